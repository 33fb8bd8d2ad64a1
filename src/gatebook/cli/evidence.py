# SPDX-License-Identifier: Apache-2.0
"""`gatebook evidence`: look after what the book is kept under."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, json_option, load, opened_journal, operator, recordings_of, stamp
from gatebook.cli.output import print_facts, print_json, say
from gatebook.config import Secrets, Settings
from gatebook.evidence import builders
from gatebook.evidence.entry import Leaf
from gatebook.model.errors import OperatorFault

if TYPE_CHECKING:
    from gatebook.vault.rewrap import Rewrapped

TELL_EVERY = 1000


@click.group("evidence")
def command() -> None:
    """Evidence: look after the keys that it is kept under."""


@command.command("rewrap")
@config_option
@json_option
def rewrap(*, config: Path, as_json: bool) -> None:
    """Wrap the keys of all recordings under the current key, so that the older ones are needed no more.

    Recordings stay as they are; a gate may be running, and it may be called again. Exit status 1 if a key file could
    not be opened: then keep the older keys. It is entered into the book, before and after.
    """
    from gatebook.vault.keystore import open_ring  # noqa: PLC0415  cryptography, only where it is needed
    from gatebook.vault.rewrap import rewrap as rewrap_all  # noqa: PLC0415  as above

    settings = load(config)
    recordings = recordings_of(settings, need_key=True)
    ring = open_ring(settings.evidence, Secrets.beside(settings.path.parent).read)
    _enter(settings, ring.id, "begun", {})
    try:
        done = rewrap_all(recordings, ring, _tell)
    except OperatorFault:
        _enter(settings, ring.id, "broken off", {})
        raise
    counts = _counts(done)
    _enter(settings, ring.id, "done", counts)
    for session, fault in done.faults:
        say(f"{session}: {fault.message}")
    if as_json:
        print_json({"key": ring.id, **counts})
    else:
        print_facts({"key": ring.id} | {name: str(count) for name, count in counts.items()})
    if done.failed:
        words = f"{done.failed} key files could not be opened and are as they were"
        raise OperatorFault(words, "keep the older keys, and look at those files")


def _counts(done: Rewrapped) -> Leaf:
    return {"rewrapped": done.rewrapped, "current": done.current, "erased": done.erased, "failed": done.failed}


def _enter(settings: Settings, key: str, result: str, counts: Leaf) -> None:
    with opened_journal(settings) as journal:
        journal.append(builders.keys_rewrapped(stamp(), by=operator(), key=key, result=result, counts=counts))


def _tell(count: int) -> None:
    if count % TELL_EVERY == 0:
        say(f"{count} key files")

# SPDX-License-Identifier: Apache-2.0
"""What most commands share: the options `--config` and `--json`, the store, and the journal of the command line."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gatebook.config import Settings, load_settings
from gatebook.evidence.builders import Stamp
from gatebook.model.errors import OperatorFault
from gatebook.store.base import Store
from gatebook.store.sqlite import open_store
from gatebook.views.places import folders_of, recordings_of

if TYPE_CHECKING:
    from gatebook.policy.source import Policy
    from gatebook.vault.journal import JournalWriter

__all__ = [
    "WRITER",
    "config_option",
    "folders_of",
    "json_option",
    "load",
    "now",
    "opened_journal",
    "opened_store",
    "operator",
    "recordings_of",
    "stamp",
]

WRITER = "cli"
LOCK_WAIT_S = 5.0  # another command holds the journal for some milliseconds
F = TypeVar("F", bound=Callable[..., object])


def config_option(function: F) -> F:
    """Add `--config`."""
    return click.option(
        "-c",
        "--config",
        "config",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("gatebook.toml"),
        show_default="gatebook.toml",
        envvar="GATEBOOK_CONFIG",
        show_envvar=True,
        help="The configuration file.",
    )(function)


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(function)


def now() -> datetime:
    """Return the moment, aware UTC."""
    return datetime.now(UTC)


def operator() -> str:
    """Return who runs the command, as the operating system knows them; entries name them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """Open the store of a configuration. OperatorFault if `gatebook init` or `gatebook serve` did not make it."""
    if not settings.store_path.exists():
        raise OperatorFault("there is no store yet in the data folder", "make one with `gatebook init`")
    store = open_store(settings.store_path)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_journal(settings: Settings) -> Iterator[JournalWriter]:
    """Open the journal of the command line. JournalUnwritable if it cannot be had: then nothing may be done."""
    from gatebook.vault.journal import JournalWriter  # noqa: PLC0415  the native module, only where evidence is written

    with JournalWriter.open(settings.journal_path, WRITER, sync="every", wait_s=LOCK_WAIT_S) as journal:
        yield journal


def check_approvers(settings: Settings, policies: Iterable[Policy]) -> bool:
    """Refuse policies that ask people who are not there; False where there is no store to look them up in.

    PolicyFault with every policy that asks too many.
    """
    from gatebook.session.quorum import check_quorum  # noqa: PLC0415  the policy engine, only where it is asked

    if not settings.store_path.exists():
        return False
    with opened_store(settings) as store:
        check_quorum(policies, store, settings.approval.provider_groups)
    return True


def stamp() -> Stamp:
    """Return what an entry of the command line starts with."""
    return Stamp(WRITER, now())


def load(config: Path) -> Settings:
    """Load the settings. ConfigFault as `load_settings`."""
    return load_settings(config)

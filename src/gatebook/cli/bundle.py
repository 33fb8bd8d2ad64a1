# SPDX-License-Identifier: Apache-2.0
"""`gatebook bundle`: hand out a part of the book that an auditor verifies offline."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook import __version__
from gatebook.cli.common import config_option, folders_of, load, now, opened_journal, operator, recordings_of, stamp
from gatebook.cli.names import MOMENT
from gatebook.cli.output import say
from gatebook.config import Settings
from gatebook.evidence import builders
from gatebook.model.errors import OperatorFault, quoted

if TYPE_CHECKING:
    from gatebook.evidence.bundle_policies import PolicySet
    from gatebook.vault.bundles import BundleMaker

SEAL_WAIT_S = 15.0  # the notary seals within a second; a busy disk may take some more
PASS_S = 0.1
SETTLE_TIMES, SETTLE_S = 3, 1.0  # a recording is sealed just behind the end of its session


@click.group("bundle")
def command() -> None:
    """Bundles: a part of the book for an auditor, with its proof."""


@command.command("make")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option("--session", "sessions", multiple=True, help="This session; may be given again.")
@click.option("--agent", default="", help="Sessions and logins of this agent.")
@click.option("--target", default="", help="Sessions and logins at this target.")
@click.option(
    "--approval", default="", metavar="ID", help="The request for approval, and the sessions whose operations name it."
)
@click.option("--from", "begin", type=MOMENT, help="What was alive or happened at or after this time.")
@click.option("--to", "end", type=MOMENT, help="What began or happened before this time.")
@click.option(
    "--purpose", required=True, help="Why it is handed out; it is entered into the book and told in the bundle."
)
@click.option(
    "--with-contents",
    is_flag=True,
    help="Put the recording keys in, in clear: whoever has the bundle can read statements and results for ever.",
)
@config_option
def make(
    *,
    output: Path,
    sessions: tuple[str, ...],
    agent: str,
    target: str,
    approval: str,
    begin: datetime | None,
    end: datetime | None,
    purpose: str,
    with_contents: bool,
    config: Path,
) -> None:
    """Make a bundle of everything sealed that matches all that is asked for.

    Sessions go in whole: entries, login, recording; and whatever people approved in them, with votes and keys. That the
    bundle is made is an entry itself, and sealed before anything is written; so the notary must run. Statements and
    recordings go in encrypted, unless --with-contents.
    """
    from gatebook.evidence.bundle_selection import Selection  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.bundles import Asked, BundleMaker  # noqa: PLC0415  as above

    selection = Selection(tuple(sorted(set(sessions))), agent, target, begin, end, approval)
    if selection.is_empty():
        raise OperatorFault("nothing is asked for", "give --session, --agent, --target, --approval, --from or --to")
    settings = load(config)
    made_at, policies = now(), _policies(settings)
    asked = Asked(selection, made_at, operator(), purpose[: builders.MAX_WORDS], __version__, policies, with_contents)
    recordings = recordings_of(settings, need_key=with_contents)
    maker = BundleMaker(folders_of(settings), recordings, asked)
    for _ in range(SETTLE_TIMES):
        if not maker.unsettled:
            break
        time.sleep(SETTLE_S)
        maker = BundleMaker(folders_of(settings), recordings, asked)
    _enter(settings, maker)
    _wait(maker.seal)
    try:
        maker.write(output)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"{quoted(str(output))} cannot be written: {words}", "see the disk") from fault
    _tell(maker, output)


def _policies(settings: Settings) -> PolicySet:
    """Return the policies in force, as files and by their hash."""
    from gatebook.evidence.bundle_policies import PolicySet, hash_of  # noqa: PLC0415  as above

    try:
        texts = {path.name: path.read_bytes() for path in sorted(settings.policy.folder.glob("*.cedar"))}
    except OSError as fault:
        raise OperatorFault(f"a policy cannot be read: {fault.strerror}", "see the file") from fault
    return PolicySet(hash_of(texts), texts)


def _enter(settings: Settings, maker: BundleMaker) -> None:
    manifest = maker.manifest
    leaf = builders.evidence_exported(
        stamp(),
        by=manifest.by,
        purpose=manifest.purpose,
        manifest=maker.manifest_hash,
        entries=manifest.counts["entries"],
        contents=manifest.contents,
    )
    with opened_journal(settings) as journal:
        journal.append(leaf)


def _wait(is_sealed: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SEAL_WAIT_S
    while not is_sealed():
        if time.monotonic() >= deadline:
            raise OperatorFault(
                f"the notary has not sealed the bundle within {SEAL_WAIT_S:.0f} s, and nothing was written",
                "start `gatebook serve` or `gatebook notary`, then make the bundle again",
            )
        time.sleep(PASS_S)


def _tell(maker: BundleMaker, output: Path) -> None:
    manifest = maker.manifest
    counted = ", ".join(f"{manifest.counts[name]:,} {name}" for name in ("entries", "sessions", "recordings"))
    say(f"the bundle is in {output}: {counted}")
    if manifest.contents != "sealed":
        say("warning: the keys of its recordings are in it; keep it as you would keep the data itself")
    if manifest.undisclosed:
        say(f"warning: {len(manifest.undisclosed)} sessions have no key any more, and stay sealed")
    if manifest.policies_missing:
        missing = len(manifest.policies_missing)
        say(f"warning: {missing} policy sets that decided are not in force any more, and so not in it")
    for writer, count in manifest.not_sealed.items():
        say(f"{count:,} entries of {writer} were not sealed yet, and not looked at")
    say(f"verify it with `gatebook verify {output} --key ...`, with a key that was kept elsewhere")

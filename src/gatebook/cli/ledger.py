# SPDX-License-Identifier: Apache-2.0
"""`gatebook ledger`: the book of evidence and its seal, shown and verified."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli import report
from gatebook.cli.common import config_option, folders_of, json_option, load, now, recordings_of
from gatebook.cli.output import json_time, print_facts, print_json, print_table, say, show_time
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import Leaf
from gatebook.evidence.verify import Report

if TYPE_CHECKING:
    from gatebook.vault.standing import WitnessStanding


@click.group("ledger")
def command() -> None:
    """The book of evidence: show its seal, verify it."""


@command.command("verify")
@click.option("--key", default="", help="The notary's verifier key, from a copy of `ledger.vkey` kept elsewhere.")
@click.option(
    "--since",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="An older `checkpoint`, kept elsewhere: it must be in the ledger's past.",
)
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="VKEY",
    help="Verifier key of a witness that must have cosigned; may be given several times.",
)
@click.option(
    "--quorum", type=click.IntRange(min=1), help="How many of the witnesses must have cosigned; all, if not given."
)
@click.option(
    "--cosigned-within",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="How old the cosignatures may be, by the clocks of witnesses and of this machine.",
)
@click.option(
    "--timestamp-roots",
    "stamp_roots",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Roots of the time-stamp authorities, PEM: every time stamp must verify; the newest time proven is told.",
)
@click.option(
    "--ledger",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Verify a copy of a ledger alone, without configuration, journals and recordings.",
)
@config_option
@json_option
def verify(
    config: Path,
    *,
    key: str,
    since: Path | None,
    witnesses: tuple[str, ...],
    quorum: int | None,
    cosigned_within: int | None,
    stamp_roots: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Verify the ledger, every journal and every recording: signature, tree, links, hashes, sequence, completeness.

    Whatever ran by an approval must be what people consented to. Works with a gate running, and without the recording
    key; with it, private parts and recordings are opened too. Anything that is wrong is a finding, and the exit status
    is 1. What a crash of the gate left, and the gate wrote down when it came back, is told as accounted for.

    Whoever can write the data folder can write `ledger.vkey` too: name the key with `--key`; one that was given up
    since leads to the present one. Whoever has the notary's key too is found by what is elsewhere: an older checkpoint
    (`--since`), witnesses (`--witness`), or time stamps (`--timestamp-roots`).
    """
    from gatebook.vault.verification import Trust, verify_copy, verify_data  # noqa: PLC0415  cryptography, only here

    if (quorum or cosigned_within) and not witnesses:
        raise click.UsageError("`--quorum` and `--cosigned-within` need `--witness`")
    if quorum and quorum > len(witnesses):
        raise click.UsageError(f"a quorum of {quorum} needs as many witnesses")
    after = int(now().timestamp()) - cosigned_within if cosigned_within else 0
    trust = Trust(
        key,
        since.read_bytes() if since else b"",
        witnesses,
        quorum or 0,
        cosigned_after=after,
        stamp_roots=stamp_roots.read_bytes() if stamp_roots else b"",
    )
    if folder is not None:
        found, with_key = Report(), False
        verify_copy(folder, found, trust)
    else:
        settings = load(config)
        recordings = recordings_of(settings, need_key=False)
        found, with_key = verify_data(folders_of(settings), recordings, trust), recordings.key is not None
    if as_json:
        print_json(_object(found, with_key=with_key))
    else:
        _print(found, with_key=with_key or folder is not None)
    if not found.ok:
        sys.exit(1)


@command.command("show")
@config_option
@json_option
def show(config: Path, *, as_json: bool) -> None:
    """Show what is sealed, by which key, how far the seal is behind, and what was cosigned and time-stamped."""
    from gatebook.vault.standing import read_standing  # noqa: PLC0415  cryptography, only here

    standing = read_standing(folders_of(load(config)))
    if as_json:
        print_json(
            {
                "origin": standing.origin,
                "size": standing.size,
                "root": standing.root,
                "key": standing.key,
                "signed": json_time(standing.signed_at),
                "notary_lives": standing.notary_lives,
                "not_sealed": dict(standing.behind),
                "removed": dict(standing.removed),
                "witnessed": standing.witnessed,
                "witnesses": {
                    one.name: {
                        "size": one.cosigned,
                        "time": json_time(one.cosigned_at) if one.cosigned_at is not None else "",
                    }
                    for one in standing.witnesses
                },
                "stamped": standing.stamped,
            }
        )
        return
    print_facts(
        {
            "origin": standing.origin,
            "entries sealed": f"{standing.size:,}",
            "root": standing.root,
            "signed": show_time(standing.signed_at),
            "verifier key": standing.key,
            "notary": "runs" if standing.notary_lives else "does not run",
            **{f"not sealed yet: {writer}": f"{count:,}" for writer, count in standing.behind},
            **{f"removed from the journal: {writer}": f"{count:,}" for writer, count in standing.removed},
            **({"entries witnessed": f"{standing.witnessed:,}"} if standing.witnesses else {}),
            **{f"witness {one.name}": _witness_words(one) for one in standing.witnesses},
            **({"entries time-stamped": f"{standing.stamped:,}"} if standing.stamped else {}),
        }
    )


command.add_command(report.command)


def _witness_words(one: WitnessStanding) -> str:
    """Say what a witness has cosigned last, and how long ago."""
    if one.cosigned_at is None:
        return "has cosigned nothing"
    age_s = max(0, int((now() - one.cosigned_at).total_seconds()))
    return f"has cosigned {one.cosigned:,} entries, {age_s:,} s ago ({show_time(one.cosigned_at)})"


def _print(found: Report, *, with_key: bool) -> None:
    click.echo("checked:")
    for name, count in found.checked.items():
        click.echo(f"{count:>9}  {name}")
    if found.proven is not None:
        click.echo(f"proven by a time stamp: {found.proven[1]:,} entries were there at {show_time(found.proven[0])}")
    if not with_key:
        say("the recording key is not at hand: hashes were checked, contents were not opened")
    if found.accounted:
        click.echo("accounted for by the book itself:")
        print_table(("what", "where", "words"), _rows(found.accounted))
    if found.ok:
        click.echo("the book is whole")
        return
    print_table(("finding", "where", "words"), _rows(found.findings))
    if found.more:
        say(f"and {found.more} more")
    say(f"error: {len(found.findings) + found.more} findings")
    say("hint: docs/reference/findings.md says what each means; keep the data folder as it is")


def _rows(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.name, finding.subject, finding.words) for finding in findings]


def _object(found: Report, *, with_key: bool) -> Leaf:
    proven = found.proven
    return {
        "ok": found.ok,
        "opened_with_key": with_key,
        "checked": {name.replace(" ", "_"): count for name, count in found.checked.items()},
        "findings": [
            {"name": finding.name, "subject": finding.subject, "words": finding.words} for finding in found.findings
        ],
        "accounted": [
            {"name": finding.name, "subject": finding.subject, "words": finding.words} for finding in found.accounted
        ],
        "more": found.more,
        **({"proven": {"time": json_time(proven[0]), "size": proven[1]}} if proven is not None else {}),
    }

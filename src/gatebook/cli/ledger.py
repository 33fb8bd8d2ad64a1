# SPDX-License-Identifier: Apache-2.0
"""`gatebook ledger`: verify the book of evidence."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gatebook.cli.common import config_option, json_option, load, recordings_of
from gatebook.cli.output import print_json, print_table, say
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import Leaf
from gatebook.evidence.verify import Report


@click.group("ledger")
def command() -> None:
    """The book of evidence: verify it."""


@command.command("verify")
@config_option
@json_option
def verify(config: Path, *, as_json: bool) -> None:
    """Verify every journal and every recording: links, hashes, sequence, completeness.

    Works with a gate running, and without the recording key; with it, private parts and recordings are opened too.
    Anything that is wrong is a finding, and the exit status is 1. What a crash of the gate left, and the gate wrote
    down when it came back, is told as accounted for.
    """
    from gatebook.vault.verification import verify_data  # noqa: PLC0415  cryptography and zstd, only here

    settings = load(config)
    recordings = recordings_of(settings, need_key=False)
    report = verify_data(settings.journal_path, recordings)
    if as_json:
        print_json(_object(report, with_key=recordings.key is not None))
    else:
        _print(report, with_key=recordings.key is not None)
    if not report.ok:
        sys.exit(1)


def _print(report: Report, *, with_key: bool) -> None:
    click.echo("checked:")
    for name, count in report.checked.items():
        click.echo(f"{count:>9}  {name}")
    if not with_key:
        say("the recording key is not at hand: hashes were checked, contents were not opened")
    if report.accounted:
        click.echo("accounted for by the book itself:")
        print_table(("what", "where", "words"), _rows(report.accounted))
    if report.ok:
        click.echo("the book is whole")
        return
    print_table(("finding", "where", "words"), _rows(report.findings))
    if report.more:
        say(f"and {report.more} more")
    say(f"error: {len(report.findings) + report.more} findings")
    say("hint: docs/reference/findings.md says what each means; keep the data folder as it is")


def _rows(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.name, finding.subject, finding.words) for finding in findings]


def _object(report: Report, *, with_key: bool) -> Leaf:
    return {
        "ok": report.ok,
        "opened_with_key": with_key,
        "checked": {name.replace(" ", "_"): count for name, count in report.checked.items()},
        "findings": [
            {"name": finding.name, "subject": finding.subject, "words": finding.words} for finding in report.findings
        ],
        "accounted": [
            {"name": finding.name, "subject": finding.subject, "words": finding.words} for finding in report.accounted
        ],
        "more": report.more,
    }

# SPDX-License-Identifier: Apache-2.0
"""`gatebook ledger report`: whether everything is accounted for, writer by writer."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, folders_of, json_option, load, now
from gatebook.cli.names import MOMENT
from gatebook.cli.output import json_time, print_facts, print_json, print_table, say, show_time
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import Leaf, Value

if TYPE_CHECKING:
    from gatebook.evidence.account import Account
    from gatebook.vault.reporting import BookAccount

_ROWS = (
    ("sessions", ("opened", "ended", "lost"), ("sessions open", "sessions without end")),
    ("operations", ("intended", "refused"), ("operations open", "operations without outcome")),
    ("logins", ("accepted", "refused", "counted"), ()),
    ("recordings", ("sealed",), ("recordings open", "recordings unsealed")),
)
_COUNTS = (
    *("starts", "stops", "runs without stop", "heartbeats", "sessions opened", "sessions ended", "sessions lost"),
    *(
        "sessions open",
        "sessions without end",
        "operations held",
        "operations intended",
        "operations refused",
        "outcomes",
    ),
    *("operations open", "operations without outcome", "seq gaps", "seq twice", "logins accepted", "logins refused"),
    *("logins counted", "recordings sealed", "recordings open", "recordings unsealed", "failures"),
)


@click.command("report")
@click.option("--from", "begin", type=MOMENT, help="Count what is at or after this time; without a zone it is UTC.")
@click.option("--to", "end", type=MOMENT, help="Count what is before this time.")
@config_option
@json_option
def command(*, begin: datetime | None, end: datetime | None, config: Path, as_json: bool) -> None:
    """Account for everything in the book, writer by writer: runs, heartbeats, sessions, operations, logins, recordings.

    Verifies the ledger, and reads what is not sealed yet out of the journals. What is open because its gate lives is no
    gap, and told apart. Whatever nobody accounts for is a finding, and the exit status is 1. With --from or --to
    the whole book is read, and what is in that time is counted.
    """
    from gatebook.evidence.account import Period  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.reporting import account_for  # noqa: PLC0415  as above

    settings, moment = load(config), now()
    book = account_for(folders_of(settings), settings.evidence.heartbeat_s, moment, Period(begin, end))
    if as_json:
        print_json(_object(book, moment))
    else:
        _print(book, moment)
    if not book.ok:
        sys.exit(1)


def _print(book: BookAccount, moment: datetime) -> None:
    waiting = sum(book.not_sealed.values())
    late = f", the oldest for {_waiting_s(book, moment):,.0f} s" if waiting else ""
    print_facts(
        {
            "ledger": f"{book.sealed:,} entries sealed, signed {show_time(book.signed_at) or 'never'}",
            "not sealed yet": f"{waiting:,} entries{late}",
        }
    )
    for writer in sorted(book.accounts):
        click.echo("")
        print_facts(_facts(book.accounts[writer], book.not_sealed.get(writer, 0)))
    failures = [
        (show_time(at), account.writer, what, action)
        for account in book.accounts.values()
        for at, what, action in account.failures
    ]
    if failures:
        click.echo("\nfailures, the newest of each writer:")
        print_table(("at", "writer", "what", "action"), sorted(failures))
    _print_findings(book)


def _print_findings(book: BookAccount) -> None:
    accounted = [_row(finding) for report in book.reports() for finding in report.accounted]
    findings = [_row(finding) for report in book.reports() for finding in report.findings]
    more = sum(report.more for report in book.reports())
    if accounted:
        click.echo("\naccounted for by the book itself:")
        print_table(("what", "where", "words"), accounted)
    click.echo("")
    if not findings:
        click.echo("everything is accounted for")
        return
    print_table(("finding", "where", "words"), findings)
    say(f"error: {len(findings) + more} findings")
    say("hint: docs/reference/findings.md says what each means; keep the data folder as it is")


def _facts(account: Account, not_sealed: int) -> dict[str, str]:
    """Say what there is of a writer; of what there is nothing, nothing is said."""
    counts, runs = account.counts, account.runs
    facts = {
        "writer": account.writer,
        "entries": f"{counts['entries']:,}, of which {not_sealed:,} are not sealed yet",
        "first and last": f"{show_time(account.first)} to {show_time(account.last)}" if account.first else "",
    }
    if counts["starts"] or account.is_running:
        ended = (
            f"{counts['starts']:,} started, {counts['stops']:,} stopped, {counts['runs without stop']:,} without stop"
        )
        facts["runs"] = f"{ended}; {'runs now' if account.is_running else 'does not run'}"
    if counts["heartbeats"]:
        due = f"longest gap {runs.longest_gap_s:,.0f} s, due every {runs.heartbeat_s} s"
        facts["heartbeats"] = f"{counts['heartbeats']:,}, {due}"
        facts["clock"] = "; ".join(
            f"not known to be synchronised {show_time(one.begin)} to {show_time(one.end)} ({one.heartbeats} heartbeats)"
            for one in runs.clock
        )
    for name, parts, ends in _ROWS:
        told = [f"{counts[f'{name} {part}']:,} {part}" for part in parts]
        told += [f"{counts['outcomes']:,} outcomes"] if name == "operations" else []
        told += [f"{counts[end]:,} {_end_words(name, end)}" for end in ends]
        if any(counts[key] for key in (*(f"{name} {part}" for part in parts), *ends)):
            facts[name] = ", ".join(told)
    if counts["sessions opened"] or counts["seq gaps"] or counts["seq twice"]:
        facts["sequence"] = f"{counts['seq gaps']:,} gaps, {counts['seq twice']:,} out of order"
    if counts["failures"]:
        facts["failures"] = f"{counts['failures']:,}"
    return {name: words for name, words in facts.items() if words}


def _end_words(name: str, end: str) -> str:
    words = end.removeprefix(f"{name} ")
    return "open now" if words == "open" else words


def _object(book: BookAccount, moment: datetime) -> Leaf:
    told: Leaf = {
        "ok": book.ok,
        "from": json_time(book.period.begin),
        "to": json_time(book.period.end),
        "ledger": {
            "sealed": book.sealed,
            "signed": json_time(book.signed_at),
            "not_sealed": sum(book.not_sealed.values()),
            "not_sealed_ms": round(1000 * _waiting_s(book, moment)),
        },
        "writers": [_writer_object(book, writer) for writer in sorted(book.accounts)],
    }
    for name in ("findings", "accounted"):
        told[name] = [
            {"name": finding.name, "subject": finding.subject, "words": finding.words}
            for report in book.reports()
            for finding in getattr(report, name)
        ]
    return told | {"more": sum(report.more for report in book.reports())}


def _writer_object(book: BookAccount, writer: str) -> Leaf:
    account = book.accounts[writer]
    counts: Leaf = {name.replace(" ", "_"): account.counts[name] for name in _COUNTS}
    clock: list[Value] = [
        {"from": json_time(one.begin), "to": json_time(one.end), "heartbeats": one.heartbeats}
        for one in account.runs.clock
    ]
    failures: list[Value] = [
        {"time": json_time(at), "what": what, "action": action} for at, what, action in account.failures
    ]
    return {
        "writer": writer,
        "entries": account.counts["entries"],
        "not_sealed": book.not_sealed.get(writer, 0),
        "first": json_time(account.first),
        "last": json_time(account.last),
        "running": account.is_running,
        "longest_gap_ms": round(1000 * account.runs.longest_gap_s),
        "heartbeat_s": account.runs.heartbeat_s,
        "clock_unknown": clock,
        "counts": counts,
        "newest_failures": failures,
    }


def _waiting_s(book: BookAccount, moment: datetime) -> float:
    """Seconds since the oldest entry was written that is not sealed; 0 where there is none."""
    return 0.0 if book.waiting_since is None else max(0.0, (moment - book.waiting_since).total_seconds())


def _row(finding: Finding) -> tuple[str, str, str]:
    return finding.name, finding.subject, finding.words

# SPDX-License-Identifier: Apache-2.0
"""`make bench`: the same reads direct, through PgBouncer and through Gatebook with everything on, in one run.

Run: .venv/bin/python bench/run.py [--quick] [--cases NAME,...] [--seconds N] [--rounds N] [--no-verify] [--json FILE]

The variants take turns within each round, so that what the machine does meanwhile meets all of them. Figures of two
runs, or of two machines, are not comparable; the ratios within one run are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from approvals import measure_approvals  # noqa: E402  tools are on the path now
from bulk import WAYS, open_bulk  # noqa: E402  tools are on the path now
from idle import WANTED, idle_kib, possible  # noqa: E402
from index import ENTRIES, measure_index  # noqa: E402
from ledger import measure_ledger  # noqa: E402
from measure import BenchFailed, Case, Sample, idle_session_kib, measure, peak_kib  # noqa: E402  tools are on the path now
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from throwaway_postgres import Postgres, PostgresMissing, throwaway_postgres  # noqa: E402
from variants import Variant, open_variants  # noqa: E402

QUICK = (
    *(Case(mode, clients, tls) for mode in ("simple", "prepared") for clients in (1, 16) for tls in (False, True)),
    *(Case("extended", clients, tls=False) for clients in (1, 16)),
)
MODES = ("simple", "extended", "prepared")
SELECTS = {
    "select": [Case(mode, clients, tls) for mode in MODES for clients in (1, 16, 64, 256) for tls in (False, True)],
    "busy": [Case("simple", 300, tls) for tls in (False, True)],
    "new": [Case("simple", 1, tls=False), Case("simple", 1, tls=False, flood=True)],
}
OTHERS = ("bulk", "memory", "ledger", "index", "approvals", "idle")
# Beside the clients of a case: PgBouncer keeps connections for two seconds, the gate has one for the catalogue.
CONNECTIONS = {"max_connections": "800"}
PLAIN_WIDTH = 150
QUICK_ENTRIES = 50_000
Samples = dict[tuple[Case, str], list[Sample]]
Figure = dict[str, str | float]


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description="Compare direct, PgBouncer and Gatebook.")
    parser.add_argument("--quick", action="store_true", help="one round of two seconds each: a look, no measurement")
    parser.add_argument("--seconds", type=int, default=3, help="measured seconds of each run")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each case and variant")
    parser.add_argument(
        "--cases",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help=f"some of {', '.join((*SELECTS, *OTHERS))}; all if absent, with --quick ten of select, and memory",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep each figure: case, variant, metric, value, unit"
    )
    parser.add_argument("--no-verify", action="store_true", help="do not verify the gate's book at the end")
    options = parser.parse_args()
    seconds, rounds = (2, 1) if options.quick else (options.seconds, options.rounds)
    names = options.cases or (["select", "memory"] if options.quick else [*SELECTS, *OTHERS])
    if unknown := set(names) - {*SELECTS, *OTHERS}:
        parser.error(f"no cases are called {', '.join(sorted(unknown))}")
    cases = list(QUICK) if options.quick and not options.cases else [c for n in names for c in SELECTS.get(n, ())]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, no_color=True, highlight=False)
    figures: list[Figure] = []
    shown: list[str] = []
    fault: Exception | None = None
    try:
        with (
            throwaway_postgres(tls=True, settings=CONNECTIONS) as server,
            open_variants(server, verify=not options.no_verify) as (variants, missing),
        ):
            shown += [variant.name for variant in variants]
            for words in missing:
                console.print(words)
            _head(console, server, variants, cases, seconds=seconds, rounds=rounds)
            # first, while the processes are fresh: later they reuse what they freed
            if "memory" in names:
                figures += _idle_sessions(variants)
            figures += _figures(_measure(server, variants, cases, seconds, rounds), cases, variants)
            figures += _peaks(variants)
            if "bulk" in names:
                figures += _bulk(server, variants, rounds)
            figures += _books(server, names, seconds, QUICK_ENTRIES if options.quick else ENTRIES)
            if "approvals" in names:
                figures += _approvals()
            if "idle" in names:
                figures += _many_idle(console)
    except (PostgresMissing, BenchFailed, RuntimeError) as caught:
        fault = caught  # what was measured before is shown
    except KeyboardInterrupt:
        return 130
    _print(console, figures, shown)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
        console.print(f"{len(figures)} figures are in {options.json}")
    if fault is not None:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    return 0


def _head(
    console: Console, server: Postgres, variants: list[Variant], cases: Sequence[Case], *, seconds: int, rounds: int
) -> None:
    version = server.psql("SHOW server_version").split()[0]
    console.print(f"{os.cpu_count()} cores, Linux {platform.release()}, PostgreSQL {version}, pgbench -S at scale 10")
    console.print(
        f"{rounds} rounds of {seconds} s for each of {len(cases)} cases of pgbench, clients on the same machine"
    )
    each = sum(seconds + case.warm_s + 1.3 for case in cases)
    console.print(f"about {each * len(variants) * rounds / 60:.0f} minutes")


def _measure(server: Postgres, variants: list[Variant], cases: Sequence[Case], seconds: int, rounds: int) -> Samples:
    samples: Samples = defaultdict(list)
    started = time.monotonic()
    for turn in range(rounds):
        for number, case in enumerate(cases):
            first = (turn + number) % len(variants)
            for variant in (*variants[first:], *variants[:first]):
                if case.tls and variant.root is None:
                    continue
                samples[case, variant.name].append(measure(server.programs, variant, case, seconds))
            latest = {one.name: samples[case, one.name][-1] for one in variants if samples[case, one.name]}
            words = ", ".join(f"{name} {sample.latency_us:.0f} us" for name, sample in latest.items())
            clock = f"[{time.monotonic() - started:5.0f} s]"
            print(f"{clock} round {turn + 1}, {case.name}: {words}", file=sys.stderr, flush=True)
    return samples


def _figures(samples: Samples, cases: Sequence[Case], variants: list[Variant]) -> Iterable[Figure]:
    """The medians over the rounds."""
    for case in cases:
        for variant in variants:
            runs = samples[case, variant.name]
            if not runs:
                continue
            yield _figure(
                case.name, variant.name, "latency average", statistics.median(r.latency_us for r in runs), "us"
            )
            yield _figure(case.name, variant.name, "throughput", statistics.median(r.tps for r in runs), "queries/s")
            for metric, taken in (("p50", [r.p50_us for r in runs]), ("p99", [r.p99_us for r in runs])):
                each = [value for value in taken if value is not None]
                if each:
                    yield _figure(case.name, variant.name, f"latency {metric}", statistics.median(each), "us")
            used = [run.cpu_us for run in runs if run.cpu_us is not None]
            if used:
                yield _figure(case.name, variant.name, "CPU of the proxy", statistics.median(used), "us/query")


def _idle_sessions(variants: list[Variant]) -> Iterable[Figure]:
    for variant in variants:
        if variant.pid:
            yield _figure("an idle session, TLS", variant.name, "memory of a session", idle_session_kib(variant), "KiB")


def _bulk(server: Postgres, variants: list[Variant], rounds: int) -> Iterable[Figure]:
    """The medians over the rounds, each variant behind the other."""
    with open_bulk(server, variants[0]) as bulk:
        for way in WAYS:
            for tls in (False, True):
                ways = [one for one in variants if not tls or one.root is not None]
                rates: dict[str, list[float]] = defaultdict(list)
                for _ in range(rounds):
                    for variant in ways:
                        rates[variant.name].append(bulk.measure(variant, way, tls=tls))
                name = f"1,000,000 rows, {way}, {'TLS' if tls else 'plain'}"
                for variant in ways:
                    yield _figure(name, variant.name, "bulk", statistics.median(rates[variant.name]), "MB/s")


def _books(server: Postgres, names: Sequence[str], seconds: int, entries: int) -> Iterable[Figure]:
    if "ledger" in names:
        for metric, value, unit in measure_ledger(server, seconds):
            yield _figure("the ledger of 16 clients", "gatebook", metric, value, unit)
    if "index" in names:
        for metric, value, unit in measure_index(entries):
            yield _figure(f"the index of {entries:,} entries", "gatebook", metric, value, unit)


def _approvals() -> Iterable[Figure]:
    for metric, value, unit in measure_approvals():
        yield _figure("operations that wait for people", "gatebook", metric, value, unit)


def _many_idle(console: Console) -> Iterable[Figure]:
    count = possible()
    if count < WANTED:
        console.print(f"the limit on open files lets {count:,} idle sessions, not {WANTED:,} (ulimit -n)")
    yield _figure(f"{count:,} idle sessions, TLS", "gatebook", "memory of a session", idle_kib(count), "KiB")


def _peaks(variants: list[Variant]) -> Iterable[Figure]:
    for variant in variants:
        if variant.pid:
            yield _figure(
                "the proxy, after all of this", variant.name, "peak memory", peak_kib(variant.pid) / 1024, "MiB"
            )


def _figure(case: str, variant: str, metric: str, value: float, unit: str) -> Figure:
    return {"case": case, "variant": variant, "metric": metric, "value": round(value, 2), "unit": unit}


def _print(console: Console, figures: list[Figure], variants: list[str]) -> None:
    """A table per metric: a line per case, a column per variant, and Gatebook's ratio to each of the others."""
    metrics = dict.fromkeys((str(figure["metric"]), str(figure["unit"])) for figure in figures)
    for metric, unit in metrics:
        found = {(f["case"], f["variant"]): float(f["value"]) for f in figures if f["metric"] == metric}
        shown = [name for name in variants if any(variant == name for _, variant in found)]
        table = Table(title=f"{metric}, {unit}", title_justify="left", box=None, padding=(0, 2, 0, 0))
        table.add_column("case")
        for name in shown:
            table.add_column(name, justify="right")
        others = [name for name in shown if name != "gatebook"]
        for name in others:
            table.add_column(f"gatebook / {name}", justify="right")
        for case in dict.fromkeys(case for case, _ in found):
            values = [found.get((case, name)) for name in shown]
            ours = found.get((case, "gatebook"))
            ratios = [
                f"{ours / theirs:.2f}" if ours is not None and (theirs := found.get((case, name))) else ""
                for name in others
            ]
            table.add_row(str(case), *("" if value is None else f"{value:,.1f}" for value in values), *ratios)
        console.print()
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())

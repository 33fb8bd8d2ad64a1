# SPDX-License-Identifier: Apache-2.0
"""The composition root: the only place that knows all parts and joins them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import structlog
import uvloop

from gatebook import trial
from gatebook.config import Secrets, Settings, load_settings
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.identity import api_key
from gatebook.issuers.fetch import fetch_keys
from gatebook.issuers.keys import KeysMissed, KeysRead, TokenKeys, describe
from gatebook.model.errors import OperatorFault
from gatebook.model.ids import KeyId
from gatebook.model.principal import Principal
from gatebook.model.target import Target
from gatebook.native.carrier import Carrier
from gatebook.notify.outbox import Standing, read_standings
from gatebook.process.logs import configure_logs
from gatebook.serve import export_run, notify_run
from gatebook.serve import witness as witness_port
from gatebook.serve.approvals import Approvals
from gatebook.serve.bearer import bearer_words
from gatebook.serve.exports import ExportProcess
from gatebook.serve.follow import follow
from gatebook.serve.fresh import now
from gatebook.serve.gateway import Gateway
from gatebook.serve.indexer import IndexerProcess
from gatebook.serve.inquiry import explain, test_policies, test_target
from gatebook.serve.metrics import serve_metrics
from gatebook.serve.notary import NotaryProcess
from gatebook.serve.notifications import NotifyProcess, has_work
from gatebook.serve.plan import make_plan
from gatebook.serve.reload import Reloader, remove_pid, write_loaded, write_pid
from gatebook.serve.rules import Regime, read_regime
from gatebook.serve.witnessed import WitnessGuard, make_guard
from gatebook.store.base import Store
from gatebook.store.sqlite import open_store
from gatebook.vault.journal import JournalUnwritable, JournalWriter
from gatebook.vault.keystore import KeyStore, open_ring
from gatebook.vault.outgoing import ExportStanding
from gatebook.vault.recordings import Recordings
from gatebook.vault.recovery import finish_lost
from gatebook.vault.witness import Witness

# How often the store is asked whether keys or people changed; a revoked key's sessions end within it.
STORE_POLL_S = 0.5

__all__ = [
    "compose",
    "explain",
    "run",
    "run_export",
    "run_notify",
    "run_witness",
    "send_export",
    "serve",
    "test_notify",
    "test_policies",
    "test_target",
    "try_database",
]

_log = structlog.get_logger("gatebook")


@dataclass(frozen=True, slots=True)
class Parts:
    """A gate that is about to run."""

    in_force: Regime
    store: Store
    journal: JournalWriter
    key: KeyStore
    tokens: TokenKeys


def serve(config: Path) -> None:
    """Run the gate of a configuration until it is told to stop. OperatorFault if it cannot start or lost its book."""
    settings = load_settings(config)
    with compose(settings) as parts:
        run(parts, lambda port: _log.info("gate is open", host=settings.gate.host, port=port))


def run_witness(witness: Witness, host: str, port: int, opened: Callable[[str], None]) -> None:
    """Serve a witness until it is told to stop; `opened` is called with its URL. OperatorFault if it cannot listen."""
    configure_logs()
    witness_port.run_witness(witness, host, port, opened)


def run_export(config: Path, name: str, *, until_input_ends: bool) -> None:
    """Send what is sealed until it is told to stop. EvidenceFault where it must not go on, OperatorFault."""
    configure_logs()
    export_run.run_export(load_settings(config), name, until_input_ends=until_input_ends)


def send_export(config: Path, name: str) -> int:
    """Send what is sealed now; how many entries. EvidenceFault where it must not, OperatorFault where some wait."""
    configure_logs()
    return export_run.send_export(load_settings(config), name)


def run_notify(config: Path, *, until_input_ends: bool) -> None:
    """Tell people what waits for them until it is told to stop. OperatorFault."""
    configure_logs()
    notify_run.run_notify(load_settings(config), until_input_ends=until_input_ends)


def test_notify(config: Path, name: str) -> None:
    """Send a receiver a test message. OperatorFault where it does not take it."""
    notify_run.test_receiver(load_settings(config), name)


@contextmanager
def compose(settings: Settings, adapt: Callable[[Target], Target] | None = None) -> Iterator[Parts]:
    """Build the parts of a gate; they are closed at the end. `adapt` turns the one target into one for any database.

    OperatorFault for whatever the operator has to mend.
    """
    key = open_ring(settings.evidence, Secrets.beside(settings.path.parent).read)
    gate = settings.gate
    gate.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = open_store(settings.store_path)
    try:
        with JournalWriter.open(
            settings.journal_path, gate.name, sync=gate.sync, segment_bytes=settings.evidence.segment_bytes
        ) as journal:
            lost = finish_lost(journal, Recordings(settings.recordings_path, key), now)
            if lost.sessions:
                _log.warning("sessions of the last run were lost", sessions=len(lost.sessions))

            def report(change: KeysRead | KeysMissed) -> None:
                journal.append(describe(Stamp(gate.name, now()), change))

            tokens = TokenKeys(fetch_keys, time.monotonic, now, report)
            tokens.replace(settings.issuers)
            in_force = read_regime(settings, store, tokens, adapt)
            yield Parts(in_force, store, journal, key, tokens)
    finally:
        store.close()


def run(parts: Parts, opened: Callable[[int], None], beside: Callable[[], Awaitable[None]] | None = None) -> None:
    """Run a gate until SIGINT or SIGTERM, or until its evidence fails.

    `opened` is called with the port once connections are accepted; `beside` runs as long as the gate does.
    OperatorFault if it cannot listen, or when it ended because evidence failed.
    """
    configure_logs()
    uvloop.run(_run(parts, opened, beside))


async def _run(parts: Parts, opened: Callable[[int], None], beside: Callable[[], Awaitable[None]] | None) -> None:
    settings, rules = parts.in_force.settings, parts.in_force.rules
    carrier = Carrier(
        parts.journal.native,
        recordings=str(settings.recordings_path),
        writer=settings.gate.name,
        threads=settings.gate.threads,
        desk_deadline_ms=settings.limits.decision_ms,
        record_queue_bytes=settings.evidence.queue_bytes,
    )
    plan = make_plan(settings)
    approvals = Approvals(
        partial(open_store, settings.store_path),
        carrier,
        parts.journal.append,
        gate=settings.gate.name,
        settings=settings.approval,
    )
    gateway = Gateway(
        carrier, parts.journal.native, rules, tokens=parts.tokens, key=parts.key, plan=plan, approvals=approvals
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    write_loaded(parts.journal, parts.in_force, now())
    gateway.start()
    report = partial(_report, parts.journal, settings.gate.name)
    guard = make_guard(settings, halt=gateway.halt, report=report, now_s=time.time)
    if guard is not None:
        guard.look()  # before anybody can come in
    listener, port = _listen(carrier, parts.in_force)
    helpers = [loop.create_task(_watch_store(parts.store, gateway))]
    if rules.any_target is None:  # a throwaway gate has nothing to take up
        reloader = Reloader(gateway, parts.journal, parts.tokens, parts.in_force, listener)
        told = asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, told.set)
        helpers.append(loop.create_task(reloader.follow(told)))
        write_pid(settings.gate.data)
    if guard is not None:
        helpers.append(loop.create_task(guard.run()))
    children = _children(settings, report)
    helpers += [loop.create_task(child.run()) for child in children]
    counters = partial(_counters, carrier, guard)
    with serve_metrics(counters, settings.gate.metrics_host, settings.gate.metrics_port, *_standings(settings)):
        opened(port)
        if beside is not None:
            helpers.append(loop.create_task(_beside(beside)))
        ends = {loop.create_task(stopping.wait()): "told to stop", loop.create_task(gateway.failed.wait()): "failed"}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        cause = ends[done.pop()]
        await gateway.stop(cause)
        for child in children:  # the notary first: what it seals last goes out too
            await child.stop()
    for task in (*helpers, *ends):
        task.cancel()
    remove_pid(settings.gate.data)
    if gateway.failed.is_set():
        raise OperatorFault("the gate stopped because evidence could not be written", "free the disk, then start again")


def _listen(carrier: Carrier, in_force: Regime) -> tuple[int, int]:
    gate = in_force.settings.gate
    if gate.insecure_plaintext:
        _log.warning("insecure_plaintext is set: keys cross the wire readable")
    return carrier.listen(
        gate.host,
        gate.port,
        protocol="postgres",
        certificate=in_force.certificate,
        key=in_force.certificate_key,
        client_roots=in_force.client_roots,
        client_required=in_force.client_required,
        insecure_plaintext=gate.insecure_plaintext,
        bearer=bearer_words(in_force.settings),
    )


Child = NotaryProcess | IndexerProcess | ExportProcess | NotifyProcess


def _children(settings: Settings, report: Callable[[str, str], None]) -> list[Child]:
    """The processes that run beside the gate."""
    children: list[Child] = []
    if settings.ledger.notary == "serve":
        children.append(NotaryProcess(settings.path, report))
    children += [ExportProcess(settings.path, export.name, report) for export in settings.exports]
    if has_work(settings):
        children.append(NotifyProcess(settings.path, report))
    if settings.index.follow == "serve":
        children.append(IndexerProcess(settings.path))
    return children


def _standings(
    settings: Settings,
) -> tuple[Callable[[], list[ExportStanding]] | None, Callable[[], list[Standing]] | None]:
    """How exports, and receivers of notifications, are asked how they stand; None where there are none."""
    receivers = [one.name for one in settings.notify.receivers]
    return (
        partial(export_run.read_standings, settings) if settings.exports else None,
        partial(read_standings, settings.outbox_path, receivers) if receivers else None,
    )


def _counters(carrier: Carrier, guard: WitnessGuard | None) -> dict[str, int]:
    return carrier.metrics() if guard is None else carrier.metrics() | guard.metrics()


async def _beside(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _report(journal: JournalWriter, writer: str, what: str, action: str) -> None:
    try:
        journal.append(builders.failure(Stamp(writer, now()), what=what, action=action), durable=False)
    except JournalUnwritable as fault:
        _log.error("evidence cannot be written", fault=str(fault))


async def _watch_store(store: Store, gateway: Gateway) -> None:
    """End sessions of keys that were revoked or ran out, and of owners who were disabled."""
    while True:
        await asyncio.sleep(STORE_POLL_S)
        moment = now()
        disabled = {person.subject for person in store.list_people() if person.disabled_at is not None}
        good = {
            key.id
            for key in store.list_keys()
            if key.revoked_at is None and key.expires_at > moment and key.owner not in disabled
        }
        gateway.end_sessions(partial(_is_good, good))


def _is_good(keys: set[KeyId], principal: Principal) -> bool:
    """Whether a credential still stands: a key must be among the good ones, a token ends by its own time."""
    return principal.method != api_key.METHOD or principal.credential in keys


def any_database(target: Target) -> Target:
    """The same server, for any of its databases, as the account of its one role, for everybody with a key."""
    role = dataclasses.replace(target.roles[0], groups=())
    return dataclasses.replace(target, any_database=True, roles=(role,))


def try_database(
    url: str,
    *,
    policy: Path | None,
    listen: tuple[str, int],
    data: Path | None,
    insecure_plaintext: bool,
    as_json: bool,
) -> None:
    """Run a throwaway gate before the database of a URL and follow the book until it is told to stop.

    With `as_json` one JSON object says how to connect, on a line of standard output, once connections are accepted;
    nothing else is printed there. OperatorFault for what is wrong with URL, policy or database.
    """
    made = trial.make_trial(
        trial.parse_url(url), policy=policy, listen=listen, data=data, insecure_plaintext=insecure_plaintext
    )
    settings = load_settings(made.config)
    with compose(settings, adapt=any_database) as parts:
        token = trial.make_key(parts.store, parts.journal)
        recordings = Recordings(settings.recordings_path, parts.key)

        def opened(port: int) -> None:
            connection = trial.how_to_connect(made, listen[0], port, token, plaintext=insecure_plaintext)
            if as_json:
                print(json.dumps(connection), flush=True)  # noqa: T201  what was asked for
                return
            print(trial.psql_command(connection), flush=True)  # noqa: T201  as above
            click.echo(
                f"the book is in {made.folder}; more of it: gatebook sessions list --config {made.config}", err=True
            )

        async def beside() -> None:
            if not as_json:
                await follow(parts.journal.folder, recordings, lambda line: print(line, flush=True))  # noqa: T201  as above

        run(parts, opened, beside)

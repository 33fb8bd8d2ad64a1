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

import asyncpg
import click
import structlog
import uvloop

from gatebook import trial
from gatebook.config import Secrets, Settings, load_settings, resolve_target
from gatebook.evidence.builders import Stamp
from gatebook.evidence.entry import Leaf
from gatebook.identity import api_key
from gatebook.model.errors import GatebookError, OperatorFault, quoted
from gatebook.model.ids import EvaluationId, KeyId, SessionId
from gatebook.model.operation import Statement
from gatebook.model.principal import Principal, PrincipalKind, Subject
from gatebook.model.target import Target
from gatebook.native.carrier import Carrier
from gatebook.policy.engine import Explained
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.facts import FACTS_QUERY, SessionFacts, parse_facts
from gatebook.protocols.postgres.handler import read_text
from gatebook.serve.bearer import bearer_words
from gatebook.serve.catalogues import DatabaseCatalogue, connect
from gatebook.serve.fetch import fetch_keys
from gatebook.serve.follow import follow
from gatebook.serve.fresh import now
from gatebook.serve.gateway import Gateway
from gatebook.serve.keys import KeysMissed, KeysRead, TokenKeys, describe
from gatebook.serve.logs import configure_logs
from gatebook.serve.plan import make_plan
from gatebook.serve.reload import Reloader, remove_pid, write_loaded, write_pid
from gatebook.serve.rules import Regime, load_policies, read_regime
from gatebook.session import steps
from gatebook.session.gate import Circumstances, Session
from gatebook.store.base import Store
from gatebook.store.sqlite import open_store
from gatebook.vault.journal import JournalWriter
from gatebook.vault.keys import KeyEncryptionKey, parse_key
from gatebook.vault.recordings import Recordings
from gatebook.vault.recovery import finish_lost

# How often the store is asked whether keys or people changed; a revoked key's sessions end within it.
STORE_POLL_S = 0.5

_log = structlog.get_logger("gatebook")


@dataclass(frozen=True, slots=True)
class Parts:
    """A gate that is about to run."""

    in_force: Regime
    store: Store
    journal: JournalWriter
    key: KeyEncryptionKey
    tokens: TokenKeys


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a test of a target: what was tried, whether it went well, and what was seen or should be done."""

    name: str
    passed: bool
    words: str


def serve(config: Path) -> None:
    """Run the gate of a configuration until it is told to stop. OperatorFault if it cannot start or lost its book."""
    settings = load_settings(config)
    with compose(settings) as parts:
        run(parts, lambda port: _log.info("gate is open", host=settings.gate.host, port=port))


@contextmanager
def compose(settings: Settings, adapt: Callable[[Target], Target] | None = None) -> Iterator[Parts]:
    """Build the parts of a gate; they are closed at the end. `adapt` turns the one target into one for any database.

    OperatorFault for whatever the operator has to mend.
    """
    key = parse_key(Secrets.beside(settings.path.parent).read(settings.evidence.recording_key))
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
    gateway = Gateway(carrier, parts.journal.native, rules, tokens=parts.tokens, key=parts.key, plan=plan)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    write_loaded(parts.journal, parts.in_force, now())
    gateway.start()
    listener, port = carrier.listen(
        settings.gate.host,
        settings.gate.port,
        protocol="postgres",
        certificate=parts.in_force.certificate,
        key=parts.in_force.certificate_key,
        insecure_plaintext=settings.gate.insecure_plaintext,
        bearer=bearer_words(settings),
    )
    if settings.gate.insecure_plaintext:
        _log.warning("insecure_plaintext is set: keys cross the wire readable")
    helpers = [loop.create_task(_watch_store(parts.store, gateway))]
    if rules.any_target is None:  # a throwaway gate has nothing to take up
        reloader = Reloader(gateway, parts.journal, parts.tokens, parts.in_force, listener)
        told = asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, told.set)
        helpers.append(loop.create_task(reloader.follow(told)))
        write_pid(settings.gate.data)
    opened(port)
    if beside is not None:
        helpers.append(loop.create_task(_beside(beside)))
    ends = {loop.create_task(stopping.wait()): "told to stop", loop.create_task(gateway.failed.wait()): "failed"}
    done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    cause = ends[done.pop()]
    await gateway.stop(cause)
    for task in (*helpers, *ends):
        task.cancel()
    remove_pid(settings.gate.data)
    if gateway.failed.is_set():
        raise OperatorFault("the gate stopped because evidence could not be written", "free the disk, then start again")


async def _beside(work: Callable[[], Awaitable[None]]) -> None:
    await work()


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


def explain(
    config: Path, *, agent: str, groups: tuple[str, ...], target_name: str, sql: str, database: str = ""
) -> list[Leaf]:
    """Tell per access of each statement what the policies say, as that agent in those groups at that target.

    Names are resolved against the real catalogue, as a new session would. OperatorFault if the target is not known or
    cannot be read.
    """
    settings = load_settings(config)
    engine = load_policies(settings)
    target = _find_target(settings, target_name)
    name = target.database_for(database or target.database)
    view, facts = asyncio.run(_read_database(target, name))
    subject = Subject(f"gatebook:{settings.gate.name}", agent)
    principal = Principal(PrincipalKind.AGENT, subject, groups, None, (subject,), "api_key", "")
    role = next((role for role in target.roles if set(role.groups) & set(groups)), target.roles[0])
    session = Session(SessionId(""), principal, target, role, name, tls=True)
    operation = read_text(sql.encode(), target.name, name, view, facts)
    circumstances = Circumstances(now(), EvaluationId(""), in_transaction=False, kind_of=view.kind_of)
    answers: list[Leaf] = []
    for index, statement in enumerate(operation.statements):
        for told in steps.explain(session, operation, statement, engine, circumstances):
            answers.append(_explained(index, statement, told))  # noqa: PERF401  # two loops deep
    return answers


def _explained(index: int, statement: Statement, told: Explained) -> Leaf:
    return {
        "statement": index,
        "verb": statement.verb,
        "action": told.access.action,
        "object": f"{told.access.object.kind.value}:{told.access.object}",
        "permitted": told.permitted,
        "permits": list(told.permits),
        "forbids": list(told.forbids),
        "reason": told.reason or statement.opaque,
        "needed": told.needed,
    }


async def _read_database(target: Target, database: str) -> tuple[CatalogueView, SessionFacts | None]:
    """The catalogue, and the facts of a session of the first role as it would begin."""
    catalogue = DatabaseCatalogue(target, database)
    view = await catalogue.current()
    await catalogue.close()
    if not view.revision:
        raise OperatorFault(
            f"the catalogue of {quoted(target.name)} cannot be read", f"see `gatebook target test {target.name}`"
        )
    connection = await connect(target, database, target.roles[0].account, {})
    try:
        row = await connection.fetchrow(FACTS_QUERY)
    finally:
        await connection.close()
    values = list(row.values()) if row else []
    return view, parse_facts([None if value is None else str(value).encode() for value in values])


def test_target(config: Path, name: str) -> list[Step]:
    """Try each role's login at a target and its catalogue, as the gate would. ConfigFault if the file is wrong."""
    target = _find_target(load_settings(config), name)
    return asyncio.run(_test_target(target))


async def _test_target(target: Target) -> list[Step]:
    steps: list[Step] = []
    for role in target.roles:
        try:
            connection = await connect(target, target.database, role.account, {})
            version = await connection.fetchval("SHOW server_version")
            superuser = await connection.fetchval("SELECT pg_catalog.current_setting('is_superuser') = 'on'")
            await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, GatebookError) as fault:
            steps.append(Step(f"login as role {role.name}", passed=False, words=" ".join(str(fault).split())[:300]))
            continue
        words = f"PostgreSQL {version}, account {quoted(role.account.name)}"
        if superuser:
            words += "; it is a superuser: give the role an account of least privilege"
        steps.append(Step(f"login as role {role.name}", passed=True, words=words))
    catalogue = DatabaseCatalogue(target, target.database)
    view = await catalogue.current()
    await catalogue.close()
    relations = sum(len(schema.relations) for schema in view.schemas.values())
    words = f"{relations} relations" if view.revision else "the catalogue account cannot read the catalogue"
    steps.append(Step("read the catalogue", passed=bool(view.revision), words=words))
    return steps


def _find_target(settings: Settings, name: str) -> Target:
    found = next((target for target in settings.targets if target.name == name), None)
    if found is None:
        known = ", ".join(quoted(target.name) for target in settings.targets) or "none"
        raise OperatorFault(f"target {quoted(name)} is not in the configuration", f"known targets: {known}")
    return resolve_target(found, Secrets.beside(settings.path.parent))


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

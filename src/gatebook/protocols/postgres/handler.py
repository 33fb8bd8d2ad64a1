# SPDX-License-Identifier: Apache-2.0
"""The desk of PostgreSQL: turns what the native conversation asks into the gate's steps, and the answer back.

It reads no clock and draws no randomness: the shell passes both in, and writes the entries this returns.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from gatebook.evidence.entry import Leaf, Value, encode_canonical
from gatebook.evidence.parts import identity_part, source_part, where_part
from gatebook.model.decision import Decision, Refused, Verdict
from gatebook.model.ids import SessionId
from gatebook.model.operation import Operation, Statement
from gatebook.model.secret import Secret
from gatebook.native import pure
from gatebook.protocols.postgres.binding import bind_matter
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.facts import FACTS_QUERY, FactsFault, SessionFacts, parse_facts
from gatebook.protocols.postgres.operations import understand
from gatebook.protocols.postgres.refusals import render
from gatebook.protocols.postgres.upstream import (
    Startup,
    StartupFault,
    read_startup,
    startup_accesses,
    upstream_address,
    upstream_parameters,
    upstream_tls,
)
from gatebook.session import steps
from gatebook.session.binding import Matter
from gatebook.session.gate import Admitted, Circumstances, Grants, Knock, NotAdmitted, Place, Rules, Session, no_grants

# LIMIT: accesses of one statement in a leaf, which has 65,535 bytes; `accesses_more` counts the rest.
ACCESSES_TOLD: Final = 100
ACCESS_CHARACTERS: Final = 300
# LIMIT: characters of the literal-free text in a leaf.
SHAPE_CHARACTERS: Final = 4096
REASONS_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a session, by the names under which an admission takes them."""

    statement_bytes: int
    message_bytes: int
    names: int
    pipeline: int
    idle_us: int
    journal_bytes_per_hour: int
    recording_bytes_per_hour: int


@dataclass(frozen=True, slots=True)
class Fresh:
    """What must be new for each session, drawn by the shell: id, SCRAM nonce, cancel secret, recording key and head.

    `recording_head` is empty where another machine wraps the key: then `with_head` follows.
    """

    session: SessionId
    nonce: str
    cancel_secret: bytes
    recording_key: Secret
    recording_head: bytes
    ends_at_us: int


class Catalogues(Protocol):
    """The committed catalogues of all databases behind the gate."""

    async def view(self, target: str, database: str) -> CatalogueView:
        """The view in force, after any reading that is due; an empty one if the database cannot be read."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A connection as the carrier reports it."""

    peer: tuple[str, int]
    tls: tuple[str, str, str] | None
    parameters: tuple[tuple[str, str], ...]
    password: Secret
    certificates: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer to an arrival: for the carrier, and for the book."""

    native: pure.Admission | pure.Refusal
    outcome: Admitted | NotAdmitted
    startup: Startup
    source: Leaf


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided of a message, and what people are asked if it is held."""

    verdict: Verdict
    matter: Matter | None
    relations: tuple[int, ...] = ()
    """Oids of what a held message touches, whose definitions are bound too."""


def receive(
    arrival: Arrival,
    rules: Rules,
    fresh: Fresh,
    circumstances: Circumstances,
    *,
    limits: Limits,
    gateway: str,
    grants: Grants = no_grants,
) -> Welcome:
    """Answer a connection: who is it, may they be here, and how does the gate log in for them."""
    source = source_part(*arrival.peer, arrival.tls)
    try:
        startup = read_startup(arrival.parameters)
    except StartupFault as fault:
        startup = Startup("", "", (), "")
        refused = Refused(fault.code, fault.message, fault.hint)
        outcome = steps.turn_away("startup", refused)
        return Welcome(render(refused), outcome, startup, source)
    place = find_place(startup, rules)
    knock = Knock(
        credential=arrival.password,
        user=startup.user,
        place=place,
        accesses=startup_accesses(startup, place) if place else (),
        tls=arrival.tls is not None,
        now=circumstances.now,
        certificates=arrival.certificates,
        grants=grants,
    )
    admitted = steps.admit(knock, rules, fresh.session, circumstances)
    if isinstance(admitted, NotAdmitted):
        return Welcome(render(admitted.refused), admitted, startup, source)
    native = _admission(admitted, startup, source, fresh, limits=limits, gateway=gateway)
    return Welcome(native, admitted, startup, source)


def with_head(welcome: Welcome, fresh: Fresh, *, limits: Limits, gateway: str) -> Welcome:
    """Give an answer that admits the head of the recording, which `fresh` has by now; else it is as it was."""
    if not isinstance(welcome.outcome, Admitted):
        return welcome
    native = _admission(welcome.outcome, welcome.startup, welcome.source, fresh, limits=limits, gateway=gateway)
    return dataclasses.replace(welcome, native=native)


def turn_back(welcome: Welcome, refused: Refused) -> Welcome:
    """Refuse who was admitted, for a reason that is the gate's own; else the answer is as it was."""
    if not isinstance(welcome.outcome, Admitted):
        return welcome
    outcome = NotAdmitted(welcome.outcome.identified, refused)
    return Welcome(render(refused), outcome, welcome.startup, welcome.source)


def find_place(startup: Startup, rules: Rules) -> Place | None:
    """Where a client wants to go.

    Physical replication is of a server, and PostgreSQL's tools for it always name the database `replication`: where no
    target is called so, they mean the only one there is.
    """
    place = rules.find(startup.database)
    if not startup.is_physical:
        return place
    if place is None and startup.database == "replication" and len(rules.targets) == 1:
        place = rules.find(next(iter(rules.targets)))
    return dataclasses.replace(place, database=place.target.database) if place else None


def turn_away(arrival: Arrival, check: str, refused: Refused) -> Welcome:
    """Answer a connection unheard: the named check failed before its credential was looked at."""
    try:
        startup = read_startup(arrival.parameters)
    except StartupFault:
        startup = Startup("", "", (), "")
    outcome = steps.turn_away(check, refused)
    return Welcome(render(refused), outcome, startup, source_part(*arrival.peer, arrival.tls))


def _admission(
    admitted: Admitted, startup: Startup, source: Leaf, fresh: Fresh, *, limits: Limits, gateway: str
) -> pure.Admission:
    session, ends_at_us = admitted.session, fresh.ends_at_us
    for ends_at in filter(None, (admitted.identified.ends_at, session.grant_ends_at)):
        ends_at_us = min(ends_at_us, int(ends_at.timestamp() * 1_000_000))
    target, account = session.target, session.role.account
    host, port = upstream_address(target.address)
    parameters = upstream_parameters(startup, session.database)
    identity = identity_part(session.principal, session.role.name, session.grant)
    place = where_part(gateway=gateway, target=target.name, database=session.database, account=account.name)
    return pure.Admission(
        session=session.id,
        host=host,
        port=port,
        tls=upstream_tls(target, account),
        account=account.name,
        password=account.password.reveal() if account.password else b"",
        nonce=fresh.nonce,
        startup=parameters,
        scope=scope_of(session, place),
        principal=str(session.principal.subject),
        facts_query=FACTS_QUERY.encode(),
        cancel_secret=fresh.cancel_secret,
        recording_key=fresh.recording_key.reveal(),
        recording_head=fresh.recording_head,
        identity=encode_canonical(identity),
        source=encode_canonical(source),
        place=encode_canonical(place),
        ends_at_us=ends_at_us,
        insecure_md5=target.insecure_md5,
        **dataclasses.asdict(limits),
    )


def scope_of(session: Session, place: Leaf) -> bytes:
    """The constant part of a cache key: target, database, account, entitlement, and whether TLS is spoken."""
    members: Leaf = {
        "identity": identity_part(session.principal, session.role.name, session.grant),
        "where": place,
        "tls": session.tls,
    }
    return hashlib.sha256(encode_canonical(members)).digest()


def judge(
    question: pure.Question, session: Session, rules: Rules, circumstances: Circumstances, view: CatalogueView
) -> Judged:
    """Answer a question: read the message and decide each statement; of one that is held, what people are asked."""
    facts = read_facts(question)
    operation = understand(
        question.text,
        question.tree,
        question.parse_error,
        via=question.via,
        arguments=question.arguments,
        target=session.target.name,
        database=session.database,
        catalogue=view,
        facts=facts,
        prepared=dict(question.prepared),
        parse=pure.parse_sql,
        columns=rules.engine.mentions_columns,
    )
    verdict = steps.decide(session, operation, rules, circumstances)
    if verdict.held is None:
        return Judged(verdict, None)
    refs = (access.object for statement in verdict.statements for access in statement.accesses)
    oids = tuple(sorted({view.oid_of(ref) for ref in refs} - {0}))
    return Judged(verdict, bind_matter(question, verdict, session, rules, view=view, facts=facts), oids)


def read_text(sql: bytes, target: str, database: str, view: CatalogueView, facts: SessionFacts | None) -> Operation:
    """Read a statement that nobody sent: what it would do, columns included (`gatebook policy explain`)."""
    tree, parse_error = None, ""
    try:
        tree = pure.parse_sql(sql)
    except pure.NativeError as fault:
        parse_error = str(fault)
    return understand(
        sql,
        tree,
        parse_error,
        target=target,
        database=database,
        catalogue=view,
        facts=facts,
        prepared={},
        parse=pure.parse_sql,
        columns=True,
    )


def read_facts(question: pure.Question) -> SessionFacts | None:
    """The facts of the session; None where they are stale, malformed or not there: then names do not resolve."""
    if not question.facts_known:
        return None
    try:
        return parse_facts(question.facts)
    except FactsFault:
        return None


def render_verdict(verdict: Verdict, session: Session) -> pure.Verdict:
    """The native verdict: the entries' parts as canonical JSON, the refusal in PostgreSQL's words."""
    operations = [
        pure.OperationFacts(
            action=encode_canonical(_action(statement)),
            decision=encode_canonical(_decision(decision, verdict, session)),
            privileged=statement.privileged or bool(decision.approval),
            effects=[(effect.kind.value, effect.name) for effect in statement.effects],
            whole=statement.whole,
        )
        for statement, decision in zip(verdict.statements, verdict.decisions, strict=True)
    ]
    blots = sorted({blot for statement in verdict.statements for blot in statement.blots})
    return pure.Verdict(
        operations=operations,
        refusal=render(verdict.refused) if verdict.refused else None,
        cache=verdict.cache.value,
        ttl_us=int(verdict.ttl_s * 1_000_000),
        blots=blots,
        salt=verdict.salt,
    )


def _action(statement: Statement) -> Leaf:
    accesses: list[Value] = [
        [access.action, f"{access.object.kind.value}:{access.object}"[:ACCESS_CHARACTERS]]
        for access in sorted(statement.accesses)[:ACCESSES_TOLD]
    ]
    action: Leaf = {
        "accesses": accesses,
        "privileged": statement.privileged,
        "shape": statement.shape[:SHAPE_CHARACTERS],
        "verb": statement.verb,
    }
    if len(statement.accesses) > ACCESSES_TOLD:
        action["accesses_more"] = len(statement.accesses) - ACCESSES_TOLD
    if len(statement.shape) > SHAPE_CHARACTERS:
        action["shape_cut"] = True
    if statement.opaque:
        action["opaque"] = statement.opaque[:REASONS_CHARACTERS]
    return action


def _decision(decision: Decision, verdict: Verdict, session: Session) -> Leaf:
    part: Leaf = {
        "evaluation": verdict.evaluation,
        "policies": list(decision.policies[:ACCESSES_TOLD]),
        "policy_hash": decision.policy_hash,
        "result": decision.result.value,
        "role": session.role.name,
    }
    if decision.approval:
        part["approval"] = decision.approval
    if decision.reasons:
        part["reasons"] = ["; ".join(decision.reasons)[:REASONS_CHARACTERS]]
    return part

# SPDX-License-Identifier: Apache-2.0
"""The console in this process, on an installation of its own, asked without a socket, as anybody whom it knows."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from gatebook.config import load_settings
from gatebook.control.assembly import Console, assemble
from gatebook.control.doorkeeper import csrf_of
from gatebook.evidence.entry import Leaf, encode_canonical
from gatebook.identity.api_key import local_issuer
from gatebook.model.approval import Hold, Kind, Request, Requirement
from gatebook.model.credential import Membership, Person, SigningKey
from gatebook.model.principal import Principal, PrincipalKind, Subject
from gatebook.store.console import ConsoleStore, WebSession, open_console
from gatebook.store.sqlite import SqliteStore, open_store
from gatebook.vault.journal import JournalWriter
from support.authenticator import SoftPasskey
from support.installation import Installation

ORIGIN = "http://localhost:5480"
PEOPLE = {"ann": ("dba",), "aud": ("auditors",), "adm": ("admins",), "per": ()}
CONTROL = '\n[control]\nauditors = ["auditors"]\nadmins = ["admins"]\n'


@dataclass
class Clock:
    """A clock that tests move."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Desk:
    """A console with people and an agent, whose key is `bearer`."""

    gate: Installation
    made: Console
    store: SqliteStore
    console: ConsoleStore
    clock: Clock
    bearer: str

    def subject(self, name: str) -> Subject:
        return Subject(local_issuer("gate"), name)

    def sign_in(self, name: str) -> str:
        """Sign a person in, and return the secret of the web session."""
        secret, at = secrets.token_urlsafe(32), self.clock.now
        ends = at + timedelta(hours=12)
        self.console.add_session(secret, WebSession(self.subject(name), (), "passkey", "SHA256:x", at, at, ends))
        return secret

    def ask(
        self,
        method: str,
        path: str,
        *,
        web: str = "",
        bearer: str = "",
        csrf: bool = True,
        headers: Mapping[str, str] | None = None,
        **more: Any,  # noqa: ANN401  httpx2's
    ) -> httpx2.Response:
        """Ask as somebody with a web session, or a bearer credential, or as nobody; from a page of ours."""
        told = {"host": "localhost:5480", "accept": "application/json"}
        if web:
            told["cookie"] = f"gatebook={web}"
            told |= {"x-csrf-token": csrf_of(web)} if csrf else {}
        if bearer:
            told["authorization"] = f"Bearer {bearer}"
        elif method != "GET":
            told |= {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
        told |= headers or {}

        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.made.app, client=("192.0.2.7", 4000))
            async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                return await client.request(method, path, headers=told, **more)

        return asyncio.run(send())

    def entries(self, event: str) -> list[Leaf]:
        """Return the entries of a kind in the console's journal."""
        return [entry for entry in self.gate.entries("control") if entry["event"] == event]


@contextmanager
def desk(gate: Installation, control: str = CONTROL) -> Iterator[Desk]:
    """Put a console on an installation."""
    gate.config.write_text(gate.config.read_text() + control)
    clock = Clock()
    settings = load_settings(gate.config)
    bearer = gate.run("key", "create", "--agent", "bot", "--owner", "alice", "--group", "shop-agents", "--json").json
    store, console = open_store(settings.store_path), open_console(settings.console_path)
    for name, groups in PEOPLE.items():
        members = tuple(Membership(group, clock.now) for group in groups)
        subject = Subject(local_issuer(settings.gate.name), name)
        store.add_person(Person(subject, admin=False, created_at=clock.now, groups=members))
    with JournalWriter.open(settings.journal_path, "control", sync="every") as journal:
        made = assemble(settings, store=store, console=console, journal=journal, now=clock)
        try:
            yield Desk(gate, made, store, console, clock, bearer["token"])
        finally:
            store.close()
            console.close()


def request_for(desk: Desk, *, groups: tuple[str, ...] = ("dba",), signed: bool = True, **more: Any) -> Request:  # noqa: ANN401  members of a request
    """Put a request of the agent `bot`, owned by alice, before the people of these groups."""
    shown = encode_canonical({"text": "DELETE FROM <orders>", "verbs": ["DELETE"], "salt": "00" * 32}).decode()
    hold = Hold(tuple(Requirement(group, 1) for group in groups), signed=signed)
    asker = Principal(
        PrincipalKind.AGENT, desk.subject("bot"), ("agents",), desk.subject("alice"), (), "api_key", "abc"
    )
    request = Request(
        **{
            "id": f"apr_{secrets.token_hex(8)}",
            "kind": Kind.OPERATION,
            "principal": asker,
            "target": "shop",
            "database": "shop",
            "role": "reader",
            "hold": hold,
            "digest": "sha256:" + "a" * 64,
            "matter": "m",
            "binding": "{}",
            "salt": "00" * 32,
            "shown": shown,
            "shown_digest": "sha256:" + hashlib.sha256(shown.encode()).hexdigest(),
            "made_at": desk.clock.now,
            "decide_by": desk.clock.now + timedelta(minutes=5),
            "use_s": 300,
            "reason": "please, it is urgent <script>",
            **more,
        }
    )
    desk.store.add_request(request, lambda _: None)
    return request


def give_passkey(desk: Desk, name: str) -> SoftPasskey:
    """Give a person a passkey."""
    soft = SoftPasskey()
    key = soft.key
    desk.store.add_signing_key(SigningKey(key.fingerprint, "webauthn", key.text, desk.subject(name), desk.clock.now))
    return soft

# SPDX-License-Identifier: Apache-2.0
"""Playbooks: a conversation of events and the output each must give, told in the order it happens.

`play.does(event, *expected)` fails unless the turn's output is exactly the expected one. Entries and frames are kept
aside, to be asked for; a playbook that ends with entries nobody looked at is fine, one that ends with output nobody
expected is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from gatebook.native.pure import (
    Admission,
    OperationFacts,
    PostgresConversation,
    Refusal,
    Verdict,
    private_open,
)
from support import pgwire

Output = tuple[Any, ...]
RECORDING_KEY = bytes(range(32))
FACTS = "SELECT facts"
ASK_FACTS = pgwire.group("gatebook facts", "SELECT pg_catalog.set_config('jit', 'off', true)", FACTS)
FACTS_ROW = pgwire.row(b'["public"]', b"public")
FACTS_ANSWER = (
    b"".join(
        pgwire.CLOSED + pgwire.PARSED + pgwire.BOUND + row + pgwire.complete("SELECT 1")
        for row in (pgwire.row(b"off"), FACTS_ROW)
    )
    + pgwire.CLOSED
    + pgwire.READY
)


def admission(**changes: Any) -> Admission:  # noqa: ANN401  the admission's own arguments
    """Consent to a session at a plaintext upstream that asks for no password."""
    fields: dict[str, Any] = {
        "session": "s_play",
        "host": "127.0.0.1",
        "port": 5432,
        "tls": None,
        "account": "shop_reader",
        "password": b"",
        "nonce": "abcdefghijklmnopqrstuvwx",
        "startup": [("database", "shop")],
        "scope": bytes(32),
        "principal": "agent",
        "facts_query": b"",
        "cancel_secret": bytes(range(1, 33)),
        "recording_key": RECORDING_KEY,
        "recording_head": b"{}\n",
        "identity": b'{"agent":{"iss":"i","sub":"a"}}',
        "source": b'{"ip":"127.0.0.1","port":1}',
        "place": b'{"target":"shop"}',
    }
    return Admission(**{**fields, **changes})


def allow(
    *verbs: str,
    cache: str = "none",
    privileged: bool = False,
    effects: tuple[tuple[str, str], ...] = (),
    salt: str = "",
) -> Verdict:
    """A verdict that allows a message of as many statements as there are verbs."""
    operations = [
        OperationFacts(
            action=json.dumps({"verb": verb}, separators=(",", ":")).encode(),
            decision=b'{"result":"allow"}',
            privileged=privileged,
            effects=list(effects),
        )
        for verb in verbs
    ]
    return Verdict(operations=operations, refusal=None, cache=cache, ttl_us=60_000_000, blots=[], salt=salt)


def refuse(*verbs: str, salt: str = "") -> Verdict:
    """A verdict that refuses."""
    operations = [
        OperationFacts(action=b'{"verb":"X"}', decision=b'{"result":"refuse"}', privileged=False, effects=[])
        for _ in verbs
    ]
    refusal = Refusal(
        sqlstate="42501",
        message="gatebook: no policy permits it",
        detail='{"operation":"{operation}"}',
        hint="ask",
        code="policy.denied",
    )
    return Verdict(operations=operations, refusal=refusal, cache="none", ttl_us=0, blots=[], salt=salt)


def refusal_of(operation: int) -> bytes:
    """The ErrorResponse that `refuse` becomes on the wire."""
    fields = {
        "S": "ERROR",
        "V": "ERROR",
        "C": "42501",
        "M": "gatebook: no policy permits it",
        "D": f'{{"operation":"s_play.{operation}"}}',
        "H": "ask",
        "R": "gatebook",
    }
    body = b"".join(letter.encode() + pgwire.text(value) for letter, value in fields.items())
    return pgwire.message(b"E", body + b"\x00")


NOTICE = Refusal(
    sqlstate="01000",
    message="gatebook: waits for approval",
    detail='{"operation":"{operation}"}',
    hint="wait",
    code="approval.waiting",
)


def held(*verbs: str, salt: str = "", blots: tuple[tuple[int, int], ...] = ()) -> Verdict:
    """What is known of a message that is held."""
    operations = [
        OperationFacts(
            action=json.dumps({"verb": verb}, separators=(",", ":")).encode(),
            decision=b'{"result":"hold"}',
            privileged=True,
            effects=[],
        )
        for verb in verbs
    ]
    return Verdict(operations=operations, refusal=None, cache="none", ttl_us=0, blots=list(blots), salt=salt)


def notice_of(operation: int) -> bytes:
    """The NoticeResponse that `NOTICE` becomes on the wire."""
    fields = {
        "S": "NOTICE",
        "V": "NOTICE",
        "C": "01000",
        "M": "gatebook: waits for approval",
        "D": f'{{"operation":"s_play.{operation}"}}',
        "H": "wait",
        "R": "gatebook",
    }
    body = b"".join(letter.encode() + pgwire.text(value) for letter, value in fields.items())
    return pgwire.message(b"N", body + b"\x00")


def constant_query(operation: int) -> bytes:
    """What goes upstream in place of a refused Query."""
    return pgwire.query(f"gatebook refused operation s_play.{operation}")


def constant_parse(operation: int, name: str = "gatebook") -> bytes:
    """What goes upstream in place of a refused message of the extended protocol."""
    return pgwire.parse(f"gatebook refused operation s_play.{operation}", name)


def opened(leaf: dict[str, Any], sealed: bytes) -> dict[str, Any]:
    """The private object of an entry; empty if it has none."""
    if not sealed:
        return {}
    private: dict[str, Any] = json.loads(private_open(RECORDING_KEY, leaf["session"], leaf["seq"], sealed)[32:])
    return private


class Play:
    """A conversation being played."""

    def __init__(self, **setup: Any) -> None:  # noqa: ANN401  the conversation's own arguments
        self.conversation = PostgresConversation(**setup)
        self.entries: list[dict[str, Any]] = []
        self.private: list[dict[str, Any]] = []
        self.frames = b""
        self.seen = b""
        self.shown = b""
        self.ticket = 0
        self.question: Any = None

    def does(self, event: Callable[[], list[Output]], *expected: Output) -> None:
        """Feed an event; its output must be exactly what is expected (entries and frames apart)."""
        got = self.take(event())
        assert got == list(expected), f"\n got: {got}\nwant: {list(expected)}"

    def take(self, turn: list[Output]) -> list[Output]:
        """Sort a turn's output: entries and frames are kept, bytes of one side are joined, the rest returned."""
        rest: list[Output] = []
        for output in turn:
            match output:
                case ("journal", leaf, sealed):
                    self.entries.append(json.loads(leaf))
                    self.private.append(opened(self.entries[-1], sealed))
                case ("record", direction, data):
                    self.frames += direction.encode() + data
                    if direction == "<":
                        self.shown += data
                case ("ask", ticket, what):
                    self.ticket, self.question = ticket, what
                    rest.append(("ask",))
                case (("client" | "upstream") as side, data) if rest and rest[-1][0] == side:
                    rest[-1] = (side, rest[-1][1] + data)
                case _:
                    rest.append(output)
        return rest

    # ── events in the words of the conversation ──

    def client(self, data: bytes, *expected: Output, at: int = 0) -> None:
        self.does(lambda: self.conversation.client(data, at), *expected)

    def upstream(self, data: bytes, *expected: Output, at: int = 0) -> None:
        self.does(lambda: self.conversation.upstream(data, at), *expected)

    def answer(self, verdict: Verdict, *expected: Output, at: int = 0) -> None:
        self.does(lambda: self.conversation.answer(self.ticket, verdict, at), *expected)

    def hold(self, verdict: Verdict, *expected: Output, notice: Refusal = NOTICE, at: int = 0) -> None:
        self.does(lambda: self.conversation.hold(self.ticket, verdict, notice, at), *expected)

    def resume(self, *expected: Output, at: int = 0) -> None:
        self.does(lambda: self.conversation.resume(self.ticket, at), *expected)

    def story(self) -> list[str]:
        """Kind and operation number of each entry on an operation, in order."""
        return [
            f"{entry['event'].removeprefix('operation.')} {entry['operation'].rpartition('.')[2]}"
            for entry in self.entries
            if "operation" in entry
        ]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["event"] == name]

    def outcomes(self) -> list[tuple[str, str]]:
        """Operation number and status of each outcome, in order."""
        return [
            (entry["operation"].rpartition(".")[2], entry["effect"]["status"])
            for entry in self.events("operation.outcome")
        ]

    def log_in(self, **changes: Any) -> None:  # noqa: ANN401  as `admission`
        """Play the login at a plaintext listener up to the first ReadyForQuery."""
        self.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
        self.client(pgwire.password("key"), ("ask",))
        self.does(
            lambda: self.conversation.admit(self.ticket, admission(**changes)),
            ("open_recording", "s_play"),
            ("dial", "127.0.0.1", 5432),
        )
        startup = pgwire.startup(user="shop_reader", database="shop")
        self.does(self.conversation.upstream_open, ("upstream", startup))
        greeting = pgwire.parameter("server_version", "15.18")
        key = pgwire.key_data(7, b"\x09\x09\x09\x09")
        shown_key = pgwire.key_data(7, b"\x01\x02\x03\x04")
        self.upstream(
            pgwire.AUTHENTICATED + greeting + key + pgwire.READY,
            ("client", pgwire.AUTHENTICATED + greeting + shown_key + pgwire.READY),
            ("register", b"\x00\x00\x00\x07\x01\x02\x03\x04"),
        )


def logged_in(**changes: Any) -> Play:  # noqa: ANN401  as `admission`
    """A play behind its login."""
    play = Play(insecure_plaintext=True)
    play.log_in(**changes)
    return play

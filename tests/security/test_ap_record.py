# SPDX-License-Identifier: Apache-2.0
"""Approvals as a third party sees them: of a real gate they hold offline, and no forged book passes for one.

Whoever forges here owns the ledger's key, the journals and the recording keys: every hash, link and signature of the
book is good. What they do not own are the keys of the people.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.approvers import Approvers, approvers
from support.bundle import members_of
from support.forged import Book, Change, Entry, names
from support.servers import eventually
from throwaway_gate import gatebook
from throwaway_postgres import Postgres

from gatebook.evidence.approval import digest_of
from gatebook.evidence.bundle_selection import Selection

UPDATE = "UPDATE things SET price = price + 1"
DELETE = "DELETE FROM things WHERE id = 9"
BIND = "UPDATE things SET price = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Told:
    """A gate's book with three operations that people approved; the ids of their requests, and a bundle of each."""

    book: Book
    update: str
    delete: str
    bind: str
    folder: Path
    key: str

    def bundle_of(self, request: str) -> Path:
        return self.folder / f"{request}.zip"


@pytest.fixture(scope="module")
def told(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("record")
    with approvers(folder / "gate", server, f"record_{os.getpid()}") as desk:
        update = _psql(desk, UPDATE, "ana")
        delete = _psql(desk, DELETE, "ana", "bo")
        bind = _bind(desk)
        gate = desk.place.gate
        eventually(lambda: all(session["ended"] for session in gate.sessions()))
        for request in (update, delete, bind):
            words = ["--approval", request, "--purpose", "audit", "--with-contents"]
            gate.run("bundle", "make", "-o", str(folder / f"{request}.zip"), *words)
        key = (gate.data / "ledger" / "ledger.vkey").read_text().strip()
        assert gate.ask("ledger", "verify")["checked"]["approvals"] == 3  # type: ignore[index]  # JSON
        copied = gate.run("ledger", "verify", "--ledger", str(gate.data / "ledger")).stdout
        assert re.search(r"3  approvals\n", copied)
        yield Told(Book(gate), update, delete, bind, folder, key)


def _psql(desk: Approvers, sql: str, *people: str) -> str:
    waiting = desk.place.through.start_psql("-c", sql)
    request = desk.waiting()
    for person in people:
        desk.vote(request, person, "--reason", f"{person} agrees")
    assert waiting.communicate(timeout=20)[0].split()[0] in {"UPDATE", "DELETE"}
    return request


def _bind(desk: Approvers) -> str:
    def run() -> None:
        with psycopg.connect(desk.place.through.dsn, autocommit=True) as connection:
            connection.execute(BIND, (7, 3))

    thread = threading.Thread(target=run)
    thread.start()
    request = desk.waiting()
    desk.vote(request, "bo")
    thread.join(20)
    assert desk.state(request) == "used"
    return request


def _verify(told: Told, request: str) -> dict[str, Any]:
    command = [gatebook(), "verify", str(told.bundle_of(request)), "--key", told.key, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("which", ["update", "delete", "bind"])
def test_ap_01_a_bundle_of_an_approved_operation_holds_offline(told: Told, which: str) -> None:
    found = _verify(told, getattr(told, which))
    assert found["ok"]
    assert found["steps"][-1] == {"name": "approvals", "words": "1 requests, their votes and uses", "ok": True}


def test_ap_01_the_page_says_who_asked_who_approved_how_and_until_when(told: Told) -> None:
    page = members_of(told.bundle_of(told.delete).read_bytes())["index.html"].decode()
    assert f"approval {told.delete}: approved by ana, bo</td>" in page
    assert re.search(r"ana approved 20[^<]*, by SSH key SHA256:[^<]*, saying: ana agrees<br>bo approved", page)
    assert "<td>helper, owned by" in page
    assert "<td>2 of dba</td>" in page
    until = next(leaf["until"] for leaf in told.book.of("approval.granted") if leaf["request"] == told.delete)
    assert until.replace("T", " ")[:23] in page


def test_ap_01_a_book_sealed_anew_without_a_change_has_no_finding(told: Told, tmp_path: Path) -> None:
    forged = told.book.forge(tmp_path, lambda entry: entry)
    assert names(forged.verify()) == set()
    for selection in (Selection(approval=told.bind), Selection(agent="helper"), Selection(begin=_when(told))):
        assert names(forged.bundle(selection)) == set()
    assert names(forged.bundle(Selection(approval=told.delete), with_contents=False)) == set()


def _when(told: Told) -> datetime:
    """A time behind the entries about people, and before the last request."""
    return datetime.fromisoformat(told.book.of("approval.requested")[-1]["time"]) - timedelta(milliseconds=1)


def _later(time: str, seconds: float) -> str:
    return (datetime.fromisoformat(time) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _on(event: str, change: Callable[[Entry], Any], request: str = "") -> Change:
    """Return what changes the entries of a kind, of a request where that is named."""

    def apply(entry: Entry) -> Any:  # noqa: ANN401  as `Change`
        leaf = entry.leaf
        named = leaf.get("request") or leaf.get("decision", {}).get("approval") or request
        return change(entry) if leaf["event"] == event and (not request or named == request) else entry

    return apply


def _content(**members: object) -> Callable[[Entry], Entry]:
    return lambda entry: replace(entry, content=(entry.content or {}) | members)


def _vote(**members: object) -> Callable[[Entry], Entry]:
    return lambda entry: entry.changed(**{f"vote__{name}": value for name, value in members.items()})


def _flip_signature(entry: Entry) -> Entry:
    data = bytearray(base64.b64decode(entry.leaf["signature"]))
    data[-1] ^= 1
    return entry.changed(signature=base64.b64encode(data).decode())


def _anew(entry: Entry) -> Entry:
    """Ask for something else, with a digest that fits."""
    changed = entry.changed(binding__verbs=["DROP"])
    return changed.changed(digest=digest_of(changed.leaf["binding"]))


def _ended(entry: Entry) -> list[Entry]:
    over = {name: entry.leaf[name] for name in ("request", "v", "writer", "time")}
    return [Entry(over | {"event": "approval.ended", "result": "denied", "reason": "no"}), entry]


def _of_person(person: str, event: str) -> Change:
    """Return what leaves out the entries of a kind about a person."""
    return lambda entry: None if entry.leaf["event"] == event and entry.leaf["person"]["sub"] == person else entry


HASH = "sha256:" + "0" * 64
CY = {"iss": "gatebook:gatebook", "sub": "cy"}
# What is changed, in which kind of entry, and what a verifier must say.
FORGERIES: dict[str, tuple[str, Callable[[Entry], Any], str]] = {
    "another verb ran": ("operation.intent", lambda e: e.changed(action__verb="DROP"), "approval_statement"),
    "another object": (
        "operation.intent",
        lambda e: e.changed(action__accesses=[["delete", "relation:work.public.secrets"]]),
        "approval_statement",
    ),
    "another text": ("operation.intent", _content(text="DELETE FROM secrets"), "approval_statement"),
    "text of what was held": ("operation.held", _content(text="DELETE FROM secrets"), "approval_statement"),
    "no salt": ("operation.intent", _content(salt=1), "approval_statement"),
    "parameters": ("operation.intent", _content(params=[{"text": "8"}, {"text": "3"}]), "approval_parameters"),
    "identity that ran": ("operation.intent", lambda e: e.changed(identity__agent__sub="x"), "approval_binding"),
    "groups that ran": ("operation.intent", lambda e: e.changed(identity__groups=["root"]), "approval_binding"),
    "place": ("operation.intent", lambda e: e.changed(where__database="prod"), "approval_binding"),
    "way": ("operation.intent", lambda e: e.changed(via="function"), "approval_binding"),
    "policy": ("operation.intent", lambda e: e.changed(decision__policies=["other"]), "approval_binding"),
    "identity that asked": (
        "approval.requested",
        lambda e: e.changed(binding__identity__agent__sub="x"),
        "approval_binding",
    ),
    "policy of the request": (
        "approval.requested",
        lambda e: e.changed(binding__policies=[["x", HASH]]),
        "approval_binding",
    ),
    "fewer approvers": (
        "approval.requested",
        lambda e: e.changed(binding__hold__approvers=[["dba", 1]], digest=HASH),
        "approval_binding",
    ),
    "request without form": (
        "approval.requested",
        lambda e: e.changed(binding__hold__uses=True),
        "approval_binding",
    ),
    "digest of the request": ("approval.requested", lambda e: e.changed(digest=HASH), "approval_binding"),
    "digest used": ("approval.used", lambda e: e.changed(digest=HASH), "approval_binding"),
    "request made anew": ("approval.requested", _anew, "approval_vote"),
    "request twice": ("approval.requested", lambda e: [e, e], "approval_reuse"),
    "no request": ("approval.requested", lambda _: None, "approval_missing"),
    "request asked afterwards": (
        "approval.requested",
        lambda e: e.changed(time=_later(e.leaf["time"], 60)),
        "approval_time",
    ),
    "digest of a vote": ("approval.voted", _vote(digest=HASH), "approval_vote"),
    "another thing shown": ("approval.voted", _vote(shown=HASH), "approval_vote"),
    "request of a vote": ("approval.voted", _vote(request="apr_other"), "approval_vote"),
    "gate of a vote": ("approval.voted", _vote(gate="other"), "approval_signature"),
    "gate that ran": ("operation.intent", lambda e: e.changed(where__gateway="other"), "approval_vote"),
    "more in a vote": ("approval.voted", _vote(more=1), "approval_vote"),
    "approver": ("approval.voted", _vote(person=CY), "approval_approver"),
    "key of another": ("approval.voted", _vote(person=CY), "approval_signature"),
    "reason": ("approval.voted", _vote(reason="gladly"), "approval_signature"),
    "signature": ("approval.voted", _flip_signature, "approval_signature"),
    "no signature": ("approval.voted", lambda e: e.changed(method="session"), "approval_signature"),
    "another method": ("approval.voted", lambda e: e.changed(method="webauthn"), "approval_signature"),
    "time that was signed": (
        "approval.voted",
        lambda e: e.changed(vote__time=_later(e.leaf["vote"]["time"], 1)),
        "approval_signature",
    ),
    "vote before it was asked": (
        "approval.voted",
        lambda e: e.changed(time=_later(e.leaf["time"], -1000)),
        "approval_time",
    ),
    "vote when it was over": (
        "approval.voted",
        lambda e: e.changed(time=_later(e.leaf["time"], 100_000)),
        "approval_time",
    ),
    "vote made days before": (
        "approval.voted",
        lambda e: e.changed(vote__time=_later(e.leaf["vote"]["time"], -100_000)),
        "approval_time",
    ),
    "no vote": ("approval.voted", lambda _: None, "approval_quorum"),
    "time to vote": ("approval.requested", lambda e: e.changed(expires=e.leaf["time"]), "approval_time"),
    "not granted": ("approval.granted", lambda _: None, "approval_missing"),
    "granted for longer": (
        "approval.granted",
        lambda e: e.changed(until="2099-01-01T00:00:00.000000Z"),
        "approval_time",
    ),
    "used later": ("approval.used", lambda e: e.changed(time=_later(e.leaf["time"], 100_000)), "approval_time"),
    "used before the votes": ("approval.used", lambda e: e.changed(time=_later(e.leaf["time"], -60)), "approval_time"),
    "no use": ("approval.used", lambda _: None, "approval_missing"),
    "count of uses": ("approval.used", lambda e: e.changed(uses=2), "approval_reuse"),
    "no count of uses": ("approval.used", lambda e: e.changed(uses=True), "approval_reuse"),
    "somebody counted": ("approval.used", lambda e: e.changed(voters=[CY]), "approval_quorum"),
    "another request": (
        "operation.intent",
        lambda e: e.changed(decision__approval="apr_other"),
        "approval_missing",
    ),
    "at bind": ("operation.intent", lambda e: e.changed(decision__approval="at bind"), "approval_missing"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_ap_02_a_forged_approval_is_named_though_every_hash_holds(told: Told, what: str, tmp_path: Path) -> None:
    event, change, name = FORGERIES[what]
    request = told.bind if what == "parameters" else told.delete
    forged = told.book.forge(tmp_path, _on(event, change, request))
    found = names(forged.verify())
    assert name in found
    assert all(one.startswith("approval_") for one in found)
    session = next(leaf["session"] for leaf in told.book.of("operation.held") if _names(leaf, request))
    found = names(forged.bundle(Selection(sessions=(session,))))
    assert name in found
    assert all(one.startswith("approval_") for one in found)


def _names(leaf: dict[str, Any], request: str) -> bool:
    return bool(leaf["decision"]["approval"] == request)


def test_ap_02_a_second_operation_by_one_approval_is_named(told: Told, tmp_path: Path) -> None:
    first, second = told.update, told.bind
    forged = told.book.forge(tmp_path, _on("operation.intent", lambda e: e.changed(decision__approval=first), second))
    assert {"approval_reuse", "approval_missing", "approval_binding"} <= names(forged.verify())


def test_ap_02_one_consent_of_two_that_are_needed_is_named(told: Told, tmp_path: Path) -> None:
    def alone(entry: Entry) -> Entry | None:
        return None if entry.leaf["vote"]["person"]["sub"] == "ana" else entry

    forged = told.book.forge(tmp_path, _on("approval.voted", alone, told.delete))
    assert names(forged.verify()) == {"approval_quorum"}


def test_ap_02_a_use_behind_a_denial_is_named(told: Told, tmp_path: Path) -> None:
    forged = told.book.forge(tmp_path, _on("approval.used", _ended, told.update))
    assert names(forged.verify()) == {"approval_ended"}


@pytest.mark.parametrize(
    ("event", "name"),
    [("person.added", "approval_approver"), ("person.key.added", "approval_signature")],
)
def test_ap_02_a_voter_of_whom_the_book_knows_nothing_is_named(
    told: Told, event: str, name: str, tmp_path: Path
) -> None:
    forged = told.book.forge(tmp_path, _of_person("ana", event))
    assert name in names(forged.verify())
    assert name in names(forged.bundle(Selection(approval=told.update)))


CHANGED_PEOPLE: dict[str, tuple[str, dict[str, Any], str]] = {
    "disabled": ("person.disabled", {}, "approval_approver"),
    "out of the group": ("person.groups", {"groups": ["others"]}, "approval_approver"),
}


@pytest.mark.parametrize("what", CHANGED_PEOPLE)
def test_ap_02_a_voter_who_could_not_vote_any_more_is_named(told: Told, what: str, tmp_path: Path) -> None:
    event, members, name = CHANGED_PEOPLE[what]

    def before(entry: Entry) -> list[Entry] | Entry:
        leaf = entry.leaf
        if leaf["vote"]["person"]["sub"] != "ana":
            return entry
        common = {key: leaf[key] for key in ("v", "writer", "time")}
        return [Entry(common | {"event": event, "person": leaf["vote"]["person"], "by": "root"} | members), entry]

    forged = told.book.forge(tmp_path, _on("approval.voted", before, told.delete))
    assert name in names(forged.verify())
    assert name in names(forged.bundle(Selection(approval=told.delete)))


def test_ap_02_a_member_of_the_group_only_since_it_was_asked_is_named(told: Told, tmp_path: Path) -> None:
    asked = next(leaf for leaf in told.book.of("approval.requested") if leaf["request"] == told.delete)

    def later(entry: Entry) -> Entry | list[Entry]:
        leaf = entry.leaf
        if leaf["person"]["sub"] != "bo":
            return entry
        joined = {name: leaf[name] for name in ("person", "groups", "by", "v", "writer")}
        moved = Entry(joined | {"event": "person.groups", "time": _later(asked["time"], 2)})
        return [Entry({name: value for name, value in leaf.items() if name != "groups"}), moved]

    forged = told.book.forge(tmp_path, _on("person.added", later))
    assert {"approval_approver", "approval_quorum"} <= names(forged.verify())


def test_ap_02_two_accounts_of_one_human_being_count_once(told: Told, tmp_path: Path) -> None:
    def same(entry: Entry) -> Entry:
        return entry.changed(human="gatebook:gatebook|ana") if entry.leaf["person"]["sub"] == "bo" else entry

    forged = told.book.forge(tmp_path, _on("person.added", same))
    assert names(forged.verify()) == {"approval_quorum"}


def test_ap_02_the_owner_of_the_agent_does_not_count_for_it(told: Told, tmp_path: Path) -> None:
    owner = told.book.of("approval.requested")[0]["binding"]["identity"]["owner"]

    def same(entry: Entry) -> Entry:
        is_ana = entry.leaf["person"]["sub"] == "ana"
        return entry.changed(human=f"{owner['iss']}|{owner['sub']}") if is_ana else entry

    forged = told.book.forge(tmp_path, _on("person.added", same))
    assert {"approval_approver", "approval_quorum"} == names(forged.verify())


def test_ap_02_an_agent_does_not_count_as_a_person(told: Told, tmp_path: Path) -> None:
    ana = told.book.of("approval.voted")[0]["vote"]["person"]
    forged = told.book.forge(tmp_path, _on("key.created", lambda e: [e, e.changed(agent=ana)]))
    assert {"approval_approver", "approval_quorum"} == names(forged.verify())

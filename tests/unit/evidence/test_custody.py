# SPDX-License-Identifier: Apache-2.0
"""Who may end the keeping of evidence: each rule, broken in a journal whose signatures are real."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.evidence import NOW, canonical, moment
from support.passkeys import Authenticator
from support.people import SshKey, make_key

from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.custody import Custody, covers
from gatebook.evidence.entry import Leaf, decode_leaf
from gatebook.evidence.events import check_leaf
from gatebook.evidence.sessions import SessionSummary
from gatebook.evidence.ssh_signature import parse_public_key, unarmored

ALICE, BOB, CAROL = ({"iss": "gatebook:gate", "sub": name} for name in ("alice", "bob", "carol"))
ID, HOLD = "00112233445566ff", "ff11223344556677"
REQUEST: dict[str, Any] = {
    "v": 1,
    "id": ID,
    "ledger": "ledger.example/gate",
    "kind": "purge",
    "made": moment(10),
    "expires": moment(3600),
    "by": "root",
    "reason": "its time has come",
    "erase": "contents",
    "sessions": 1,
    "list": "sha256:" + "0" * 64,
}
RELEASE: dict[str, Any] = {name: REQUEST[name] for name in ("v", "ledger", "made", "expires", "by", "reason")}
RELEASE |= {"id": "0" * 16, "kind": "release", "hold": HOLD}
Signed = Callable[..., bytes]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SshKey]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_key(folder, name) for name in ("alice", "bob", "carol", "second")}


def entry(event: str, seconds: float, **members: object) -> bytes:
    return canonical({"event": event, "time": moment(seconds), "v": 1, "writer": "cli", "by": "root"} | members)


def key(keys: dict[str, SshKey], person: dict[str, str], name: str = "", *, gone: bool = False, at: float = 0) -> bytes:
    parsed = parse_public_key(keys[name or person["sub"]].public.read_text())
    words = {"key": parsed.text, "fingerprint": parsed.fingerprint}
    return entry(f"person.key.{'removed' if gone else 'added'}", at, person=person, **words)


@pytest.fixture
def consent(keys: dict[str, SshKey], tmp_path: Path) -> Signed:
    """Makes the entry of a consent: by whom, with whose key, when, over what."""

    def make(
        person: dict[str, str],
        name: str = "",
        *,
        at: float = 20,
        request: dict[str, Any] = REQUEST,
        namespace: str = "gatebook-consent",
    ) -> bytes:
        file = tmp_path / "request"
        file.write_bytes(canonical(request) + b"\n")
        signer = keys[name or person["sub"]]
        signature = unarmored(signer.sign(file, namespace).read_text())
        fingerprint = parse_public_key(signer.public.read_text()).fingerprint
        words = {"person": person, "fingerprint": fingerprint, "request": request["id"]}
        return entry("consent.given", at, signature=base64.b64encode(signature).decode(), **words)

    return make


def follow(*entries: bytes) -> tuple[Custody, list[tuple[str, str]]]:
    """Feed entries; what was found."""
    custody = Custody()
    found = []
    for one in entries:
        leaf: Leaf = decode_leaf(one)
        check_leaf(leaf, "cli")
        found += [(finding.name, finding.subject) for finding in custody.add(leaf)]
    return custody, found


def asked(request: dict[str, Any] = REQUEST, at: float = 10) -> bytes:
    return entry("consent.requested", at, request=request)


def purged(at: float = 30, erased: str = "contents", request: str = ID) -> bytes:
    return entry("evidence.purged", at, session="s_1", request=request, erased=erased, **{"class": "payments"})


def test_two_people_grant_what_is_asked(keys: dict[str, SshKey], consent: Signed) -> None:
    done = entry("purge.done", 40, request=ID, sessions=1, files=2, bytes=7)
    entries = [key(keys, ALICE), key(keys, BOB), asked(), consent(ALICE), consent(BOB), purged(), done]
    custody, found = follow(*entries)
    assert found == []
    assert custody.erased("s_1") == {"contents"}
    assert custody.erased("s_2") == frozenset()
    assert custody.asked[ID].done


REFUSED = [("purge_consent", ID), ("purge_consent", "s_1")]
"""What is said of a consent that does not count, and of the purge that relied on it."""


@pytest.mark.parametrize(
    ("second", "found"),
    [
        pytest.param(lambda made: [], REFUSED[1:], id="one alone"),
        pytest.param(lambda made: [made(ALICE, at=21)], REFUSED[1:], id="one of them twice"),
        pytest.param(lambda made: [made(ALICE, "second", at=21)], REFUSED[1:], id="one of them with two keys"),
        pytest.param(lambda made: [made(BOB, "carol")], REFUSED, id="with a key that is nobody's"),
        pytest.param(lambda made: [made(BOB, "alice")], REFUSED, id="with a key that is another's"),
        pytest.param(lambda made: [made(BOB, at=5)], REFUSED, id="before it was asked"),
        pytest.param(lambda made: [made(BOB, at=3601)], REFUSED, id="after it expired"),
        pytest.param(lambda made: [made(BOB, namespace="file")], REFUSED, id="for another purpose"),
        pytest.param(lambda made: [made(BOB, request=REQUEST | {"sessions": 2})], REFUSED, id="to something else"),
    ],
)
def test_nothing_less_grants_it(
    keys: dict[str, SshKey], consent: Signed, second: Callable[[Signed], list[bytes]], found: list[tuple[str, str]]
) -> None:
    known = [key(keys, ALICE), key(keys, ALICE, "second"), key(keys, BOB)]
    custody, told = follow(*known, asked(), consent(ALICE), *second(consent), purged())
    assert told == found
    assert custody.erased("s_1") == {"contents"}  # gone it is, all the same


def test_a_key_counts_only_while_it_is_somebodys(keys: dict[str, SshKey], consent: Signed) -> None:
    known = [key(keys, ALICE), key(keys, BOB), asked(), consent(ALICE)]
    assert follow(*known, key(keys, BOB, gone=True, at=15), consent(BOB), purged())[1] == REFUSED
    assert follow(*known, entry("person.disabled", 15, person=BOB), consent(BOB), purged())[1] == REFUSED
    assert follow(*known, consent(BOB), key(keys, BOB, gone=True, at=25), purged())[1] == []


def test_a_key_is_of_one_person(keys: dict[str, SshKey], consent: Signed) -> None:
    entries = [key(keys, ALICE), key(keys, BOB, "alice"), asked(), consent(ALICE), consent(BOB, "alice"), purged()]
    assert follow(*entries)[1] == [("purge_consent", "person.key.added"), *REFUSED]


@pytest.mark.parametrize(
    "purge",
    [
        pytest.param(purged(at=3601), id="after it expired"),
        pytest.param(purged(erased="recording"), id="more or less than was asked"),
    ],
)
def test_a_purge_is_what_was_asked_for(keys: dict[str, SshKey], consent: Signed, purge: bytes) -> None:
    entries = [key(keys, ALICE), key(keys, BOB), asked(), consent(ALICE), consent(BOB), purge]
    assert follow(*entries)[1] == [("purge_consent", "s_1")]


def test_a_purge_needs_a_request() -> None:
    assert follow(purged())[1] == [("purge_consent", "s_1")]
    assert follow(asked(REQUEST | {"sessions": 0}), purged())[1] == [
        ("purge_consent", "consent.requested"),
        ("purge_consent", "s_1"),
    ]
    assert follow(asked(), asked())[1] == [("purge_consent", "consent.requested")]


def session(at: float = 0) -> SessionSummary:
    words: Any = dict.fromkeys(("owner", "role", "database", "account", "address"), "")
    begun = NOW.replace(second=int(at))
    return SessionSummary("s_1", "gate", begun, principal="helper", target="shop", ended_at=begun, **words)


def placed(at: float = 1, **selection: object) -> bytes:
    return entry("hold.placed", at, hold=HOLD, selection=selection or {"target": "shop"}, reason="court")


def test_a_purge_of_what_is_held_is_told(keys: dict[str, SshKey], consent: Signed) -> None:
    known = [key(keys, ALICE), key(keys, BOB), asked(), consent(ALICE), consent(BOB)]
    for hold, is_told in ((placed(), True), (placed(agent="other"), False), (placed(at=31), False)):
        custody, found = follow(hold, *known, purged())
        assert found == []
        told = [(one.name, one.subject) for one in custody.check_holds(session())]
        assert told == ([("purge_on_hold", "s_1")] if is_told else [])


def test_two_people_release_a_hold(keys: dict[str, SshKey], consent: Signed) -> None:
    known = [placed(), key(keys, ALICE), key(keys, BOB), asked(RELEASE), consent(ALICE, request=RELEASE)]
    released = entry("hold.released", 25, hold=HOLD, request=RELEASE["id"])
    custody, found = follow(*known, released)
    assert found == [("purge_consent", HOLD)]
    assert custody.holds[HOLD].released_at is None
    custody, found = follow(*known, consent(BOB, request=RELEASE), released, released)
    assert found == [("purge_consent", HOLD)]  # the second time
    assert custody.holds[HOLD].released_at is not None
    assert follow(*known, consent(BOB, request=RELEASE), entry("hold.released", 25, hold="0" * 16, request="0" * 16))[
        1
    ] == [("purge_consent", "0" * 16)]


def test_a_release_is_no_purge(keys: dict[str, SshKey], consent: Signed) -> None:
    consents = [consent(ALICE, request=RELEASE), consent(BOB, request=RELEASE)]
    entries = [key(keys, ALICE), key(keys, BOB), asked(RELEASE), *consents, purged(request=RELEASE["id"])]
    assert follow(*entries)[1] == [("purge_consent", "s_1")]


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(("s_1",)), True),
        (Selection(("s_2",)), False),
        (Selection(agent="helper"), True),
        (Selection(agent="other"), False),
        (Selection(target="shop"), True),
        (Selection(target="pay"), False),
        (Selection(begin=NOW.replace(second=30)), True),
        (Selection(begin=NOW.replace(second=31)), False),
        (Selection(end=NOW.replace(second=31)), True),
        (Selection(end=NOW.replace(second=30)), False),
    ],
)
def test_a_selection_takes_what_matches_all(selection: Selection, *, taken: bool) -> None:
    assert covers(selection, session(30)) is taken


def test_a_session_that_is_not_over_is_behind_every_time() -> None:
    open_one = session(30)
    open_one.ended_at = None
    assert covers(Selection(begin=NOW.replace(second=59)), open_one)


def test_a_passkey_is_no_key_for_consent_and_no_finding() -> None:
    passkey = Authenticator().passkey
    words = {"key": passkey.text, "fingerprint": passkey.fingerprint}
    custody = Custody()
    for number, event in enumerate(("person.key.added", "person.key.removed")):
        plain = entry(event, number, person=ALICE, **words)
        assert list(custody.add(decode_leaf(plain))) == []
    assert custody.keys == {}

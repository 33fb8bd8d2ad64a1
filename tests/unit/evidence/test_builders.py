# SPDX-License-Identifier: Apache-2.0
"""Entries that Python writes: each is of its kind, canonical and complete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.entry import Leaf, decode_leaf
from gatebook.evidence.events import check_leaf
from gatebook.model.credential import KeyRecord, Person
from gatebook.model.ids import KeyId
from gatebook.model.principal import Check, Identified, NotIdentified, Principal, PrincipalKind, Subject

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GATE = Stamp("gate", NOW)
ALICE = Subject("gatebook:gate", "alice")
AGENT = Subject("gatebook:gate", "reporter")
KEY = KeyRecord(KeyId("0123456789ab"), b"\x01" * 32, AGENT, ALICE, ("etl",), NOW, NOW + timedelta(days=1))
PRINCIPAL = Principal(PrincipalKind.AGENT, AGENT, ("etl",), ALICE, (AGENT,), "api_key", "0123456789ab")
FORM = Check("form", passed=True)
SOURCE: Leaf = {"ip": "127.0.0.1", "port": 7}

LEAVES = {
    "gateway.start": builders.gateway_start(GATE, version="0.1.0", policy_hash="sha256:a", config_hash="sha256:b"),
    "gateway.stop": builders.gateway_stop(GATE, cause="signal", sessions=2),
    "heartbeat": builders.heartbeat(GATE, sessions=2, entries=9, clock_synchronised=False),
    "authn": builders.authn(
        GATE, Identified(PRINCIPAL, (FORM,)), user="u", database="shop", source=SOURCE, target="shop"
    ),
    "policy.loaded": builders.policy_loaded(GATE, digest="sha256:a", files=["b", "a"], previous="sha256:0"),
    "config.loaded": builders.config_loaded(GATE, digest="sha256:a", files=["gatebook.toml"]),
    "key.created": builders.key_created(GATE, KEY, by="root"),
    "key.revoked": builders.key_revoked(GATE, KEY, by="root"),
    "person.added": builders.person_added(GATE, Person(ALICE, admin=True, created_at=NOW), by="root"),
    "person.disabled": builders.person_disabled(GATE, ALICE, by="root"),
    "evidence.rewrapped": builders.keys_rewrapped(
        GATE, by="root", key="0a1b", result="done", counts={"rewrapped": 1, "current": 2, "erased": 0, "failed": 0}
    ),
    "evidence.viewed": builders.evidence_viewed(GATE, by="root", session="s_1", purpose="audit", form="replay"),
    "evidence.exported": builders.evidence_exported(
        GATE, by="root", purpose="audit", manifest="sha256:ab", entries=3, contents="sealed"
    ),
    "session.lost": builders.session_lost(GATE, session="s_1", last_seq=4, open_operations=["s_1.2"]),
    "recording.chunk": builders.recording_chunk(
        GATE, session="s_1", index=0, digest="sha256:a", stored=9, plain=20, frames=2
    ),
    "recording.sealed": builders.recording_sealed(GATE, session="s_1", chunks=1, frames=2, plain=20, root="sha256:a"),
    "failure": builders.failure(GATE, what="disk", action="refuse everything"),
}


@pytest.mark.parametrize("event", LEAVES)
def test_each_entry_is_of_its_kind_and_complete(event: str) -> None:
    leaf = decode_leaf(LEAVES[event])
    assert check_leaf(leaf, "gate").name == event
    assert leaf["time"] == "2026-01-01T00:00:00.000000Z"


def test_says_who_logged_in() -> None:
    leaf = decode_leaf(LEAVES["authn"])
    assert leaf["result"] == "accepted"
    assert leaf["credential"] == "0123456789ab"
    assert leaf["target"] == "shop"
    assert leaf["claimed"] == {"database": "shop", "user": "u"}
    assert isinstance(leaf["identity"], dict)
    assert leaf["identity"]["owner"] == {"iss": "gatebook:gate", "sub": "alice"}


def test_says_what_a_certificate_says_of_itself() -> None:
    says = (("authority", "workloads"), ("serial", "2a"))
    answer = NotIdentified((FORM, Check("names", passed=False)), "sha256:a", certificate=says)
    leaf = decode_leaf(builders.authn(GATE, answer, user="u", database="x", source=SOURCE))
    assert leaf["certificate"] == {"authority": "workloads", "serial": "2a"}
    assert "token" not in leaf


def test_says_which_check_failed() -> None:
    answer = NotIdentified((FORM, Check("known", passed=False)), "0123456789ab")
    leaf = decode_leaf(builders.authn(GATE, answer, user="u", database="x", source=SOURCE))
    assert leaf["result"] == "refused"
    assert leaf["failed"] == "known"
    assert leaf["credential"] == "0123456789ab"
    assert leaf["checks"] == [{"name": "form", "passed": True}, {"name": "known", "passed": False}]
    assert "identity" not in leaf
    assert "target" not in leaf


def test_says_why_a_handshake_failed() -> None:
    answer = NotIdentified((Check("certificate", passed=False),))
    leaf = decode_leaf(builders.authn(GATE, answer, user="", database="", source=SOURCE, reason="expired"))
    assert (leaf["result"], leaf["failed"], leaf["reason"]) == ("refused", "certificate", "expired")
    assert leaf["claimed"] == {"database": "", "user": ""}
    assert check_leaf(leaf, "gate").name == "authn"


def test_names_no_credential_where_none_could_be_read() -> None:
    answer = NotIdentified((Check("form", passed=False),))
    assert "credential" not in decode_leaf(builders.authn(GATE, answer, user="u", database="x", source=SOURCE))


def test_never_holds_the_hash_of_a_key() -> None:
    assert KEY.sha256.hex().encode() not in LEAVES["key.created"]


def test_counts_what_is_too_much_to_list() -> None:
    lost = decode_leaf(
        builders.session_lost(GATE, session="s", last_seq=None, open_operations=[f"s.{n}" for n in range(1500)])
    )
    assert lost["open_more"] == 500
    assert "last_seq" not in lost
    loaded = decode_leaf(builders.policy_loaded(GATE, digest="sha256:a", files=[f"{n}" for n in range(1002)]))
    assert loaded["files_more"] == 2


def test_lists_files_in_order() -> None:
    assert decode_leaf(LEAVES["policy.loaded"])["files"] == ["a", "b"]


def test_says_which_session_follows_or_why_none_does() -> None:
    answer = Identified(PRINCIPAL, (FORM,))
    admitted = decode_leaf(builders.authn(GATE, answer, user="u", database="d", source=SOURCE, session="s_1"))
    assert (admitted["result"], admitted["admitted"]) == ("accepted", "s_1")
    refused = decode_leaf(builders.authn(GATE, answer, user="u", database="d", source=SOURCE, refused="admit.denied"))
    assert (refused["result"], refused["refusal"]) == ("refused", "admit.denied")

# SPDX-License-Identifier: Apache-2.0
"""The manifest and the members of a bundle: one form, in order, all listed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.evidence import canonical

from gatebook.evidence.bundle import (
    Listed,
    Manifest,
    check_members,
    check_names,
    is_listed_so,
    place_of,
    recording_name,
    session_of,
)
from gatebook.evidence.bundle_archive import Member
from gatebook.evidence.bundle_entries import BundleFault
from gatebook.evidence.bundle_policies import member_name
from gatebook.evidence.bundle_selection import Selection

HASH = "sha256:" + "0a" * 32
COUNTS = {"entries": 3, "operations": 1, "private": 0, "recordings": 1, "sessions": 1}
MANIFEST = Manifest(
    made="2026-01-01T12:00:00.000000Z",
    by="root",
    purpose="audit",
    version="0.1.0",
    origin="ledger.example/gatebook",
    size=7,
    selection=Selection(agent="helper"),
    counts=COUNTS,
    contents="disclosed",
    not_sealed={"gate": 2},
    undisclosed=("s_2",),
    policies=((HASH, ("a.cedar",)),),
    policies_missing=("sha256:" + "0b" * 32,),
    members=(Listed("README.txt", 5, "sha256:" + "0c" * 32),),
)
NEEDED = [
    *("manifest.json", "manifest.tlog-proof", "README.txt", "index.html"),
    *("ledger.vkey", "checkpoint", "entries", "hashes"),
]


def members(*names: str) -> list[Member]:
    return [Member(name, memoryview(b"x")) for name in names]


def test_a_manifest_is_canonical_json_with_a_newline() -> None:
    data = MANIFEST.encode()
    assert data == canonical(json.loads(data)) + b"\n"
    assert Manifest.parse(data) == MANIFEST
    assert json.loads(data)["ledger"] == {"origin": "ledger.example/gatebook", "size": 7}


def _set(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda told: told.__setitem__(name, value)


@pytest.mark.parametrize(
    "change",
    [
        _set("v", 2),
        _set("format", "x"),
        _set("more", 1),
        _set("made", "noon"),
        _set("by", 7),
        _set("contents", "open"),
        _set("counts", COUNTS | {"entries": -1}),
        _set("counts", COUNTS | {"entries": True}),
        _set("counts", {}),
        _set("counts", 7),
        _set("ledger", "x"),
        _set("ledger", {"origin": "x", "size": "7"}),
        _set("selection", {}),
        _set("not_sealed", {"gate": "2"}),
        _set("not_sealed", [2]),
        _set("undisclosed", "s_2"),
        _set("policies", [{"hash": HASH}]),
        _set("policies", [{"hash": "x", "files": ["a.cedar"]}]),
        _set("policies", [{"hash": HASH, "files": []}]),
        _set("policies", [7]),
        _set("members", {"README.txt": 5}),
        _set("members", [{"name": "README.txt", "bytes": 5, "sha256": HASH, "more": 1}]),
        lambda told: told.pop("purpose"),
    ],
)
def test_refuses_a_manifest_in_another_form(change: Callable[[dict[str, Any]], object]) -> None:
    told = json.loads(MANIFEST.encode())
    change(told)
    with pytest.raises(BundleFault) as fault:
        Manifest.parse(canonical(told) + b"\n")
    assert fault.value.finding == "bundle_manifest"


@pytest.mark.parametrize("data", [b"", b"{}\n", b"\xff\n", MANIFEST.encode()[:-1], MANIFEST.encode() + b"\n"])
def test_refuses_a_manifest_that_is_none(data: bytes) -> None:
    with pytest.raises(BundleFault):
        Manifest.parse(data)


def test_members_stand_in_one_order() -> None:
    policy = member_name(HASH, 0)
    names = [*NEEDED, "private", "keys.json", policy, "recordings/s_1.rec", "recordings/s_2.rec"]
    assert list(check_members(members(*names))) == names
    assert sorted(set(names), key=place_of) == names
    for wrong in ([*names[1:], names[0]], [*NEEDED, "recordings/s_2.rec", "recordings/s_1.rec"], [*NEEDED, "hashes"]):
        with pytest.raises(BundleFault, match="out of order"):
            check_members(members(*wrong))


@pytest.mark.parametrize("name", NEEDED)
def test_misses_each_member_that_must_be_there(name: str) -> None:
    with pytest.raises(BundleFault, match=f"`{name}` is missing"):
        check_members(members(*(one for one in NEEDED if one != name)))


@pytest.mark.parametrize(
    "name", ["x", "recordings/../x.rec", "recordings/s.1.rec", "recordings/s_1.key", "recordings/"]
)
def test_refuses_members_that_no_bundle_has(name: str) -> None:
    with pytest.raises(BundleFault, match="has no member"):
        check_members(members(*NEEDED, name))


def test_refuses_members_that_are_too_long() -> None:
    long = [Member(one.name, memoryview(b"x" * 5000)) for one in members(*NEEDED)]
    with pytest.raises(BundleFault, match=r"`ledger\.vkey` is longer"):
        check_members(long)
    policy = Member(member_name(HASH, 0), memoryview(bytes((1 << 20) + 1)))
    with pytest.raises(BundleFault, match="is longer"):
        check_members([*members(*NEEDED), policy])


def test_names_recordings_by_their_session() -> None:
    assert recording_name("s_1") == "recordings/s_1.rec"
    assert session_of("recordings/s_1.rec") == "s_1"
    assert [session_of(name) for name in ("s_1.rec", "recordings/s_1", "recordings/.rec", "recordings/a/b.rec")] == [
        None
    ] * 4


def test_the_manifest_lists_what_is_here() -> None:
    listed = ["README.txt", "index.html", "ledger.vkey", "entries"]
    manifest = replace(
        MANIFEST, contents="sealed", policies=(), members=tuple(Listed(name, 1, HASH) for name in listed)
    )
    here = {name: memoryview(b"x") for name in NEEDED}
    check_names(manifest, here)
    with pytest.raises(BundleFault, match="`private`"):
        check_names(manifest, here | {"private": memoryview(b"x")})
    with pytest.raises(BundleFault, match="`their order`"):
        check_names(replace(manifest, members=manifest.members[::-1]), here)
    with pytest.raises(BundleFault, match="other policies"):
        check_names(replace(manifest, policies=MANIFEST.policies), here)
    with pytest.raises(BundleFault) as fault:
        check_names(replace(manifest, contents="disclosed"), here)
    assert fault.value.finding == "bundle_contents"


def test_a_member_is_as_listed_by_length_and_hash() -> None:
    data = memoryview(b"words")
    digest = "sha256:" + hashlib.sha256(b"words").hexdigest()
    assert is_listed_so(Listed("x", 5, digest), data)
    assert not is_listed_so(Listed("x", 6, digest), data)
    assert not is_listed_so(Listed("x", 5, HASH), data)

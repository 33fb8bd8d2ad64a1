# SPDX-License-Identifier: Apache-2.0
"""The verification of a bundle: what is whole holds, and each flaw has its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.bundle import (
    KEY,
    OTHER,
    changed,
    check,
    finish,
    found,
    make_bundle,
    maker_of,
    members_of,
    packed,
    write_book,
    write_session,
)
from support.evidence import SESSION, leaf
from support.notary import seal

from gatebook.evidence.bundle_check import verify_bundle
from gatebook.evidence.bundle_entries import decode_entries, decode_private, encode_entries, encode_keys, encode_private
from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.note import Signer
from gatebook.model.secret import Secret

STEPS = "form members signature seal inclusion entries selection recordings contents policies".split()  # noqa: SIM905  words


@pytest.fixture
def book(tmp_path: Path) -> Path:
    write_book(tmp_path)
    return tmp_path


def test_a_bundle_that_is_whole_holds_step_by_step(book: Path) -> None:
    verified = verify_bundle(make_bundle(book), KEY)
    assert [step.name for step in verified.steps] == STEPS
    assert all(step.ok for step in verified.steps)
    assert (verified.report.findings, verified.report.accounted) == ([], [])
    assert verified.report.checked["chunks"] == 2
    assert (verified.key, verified.is_own_key) == (KEY.text(), False)
    assert verified.steps[8].words == "sealed: not opened"


def test_disclosed_contents_are_opened(book: Path) -> None:
    verified = verify_bundle(make_bundle(book, with_contents=True))
    assert verified.report.ok
    assert verified.is_own_key
    assert verified.steps[8].words == "disclosed: 2 private parts and 2 chunks opened"


def test_everything_of_a_time_holds(book: Path) -> None:
    report = check(make_bundle(book, Selection(target="shop")))
    assert report.ok
    report = check(make_bundle(book, Selection(begin=datetime(2026, 1, 1, tzinfo=UTC))))
    assert report.ok
    assert report.checked["entries"] > 318


def test_a_session_that_is_not_over_is_accounted_for(tmp_path: Path) -> None:
    write_book(tmp_path, ends=False)
    report = check(make_bundle(tmp_path))
    assert report.ok
    assert [(one.name, one.subject) for one in report.accounted] == [
        ("session_without_end", SESSION),
        ("recording_unsealed", SESSION),
    ]


def test_another_key_is_not_the_one_that_signed(book: Path) -> None:
    other = Signer.make("ledger.example/other", bytes(32)).verifier
    names = {name for name, _ in found(make_bundle(book), other)}
    assert names == {"note_unsigned"}
    same_name = Signer.make(KEY.name, bytes(32)).verifier
    assert {name for name, _ in found(make_bundle(book), same_name)} == {"note_unsigned"}


def test_what_is_no_bundle_stops_at_the_form() -> None:
    verified = verify_bundle(b"PK no", KEY)
    assert [(step.name, step.ok) for step in verified.steps] == [("stopped", False)]
    assert [one.name for one in verified.report.findings] == ["bundle_form"]


def test_a_manifest_made_anew_is_not_the_one_that_was_sealed(book: Path) -> None:
    data = make_bundle(book)
    anew = changed(data, "README.txt", lambda text: text.replace(b"helper", b"hacker") + b"!", list_anew=True)
    assert found(anew) == {("bundle_seal", "manifest.json")}


def test_a_receipt_of_another_bundle_does_not_seal_this_one(book: Path) -> None:
    first = make_bundle(book, Selection(target="work"))
    second = make_bundle(book)
    swapped = changed(second, "manifest.tlog-proof", lambda _: members_of(first)["manifest.tlog-proof"])
    assert found(swapped) == {("bundle_seal", "manifest.json")}


def test_an_entry_left_out_is_found_in_more_than_one_way(book: Path) -> None:
    data = make_bundle(book)
    entries = decode_entries(members_of(data)["entries"])
    index = next(index for index, entry in entries.items() if b'"operation.refused"' in entry)
    del entries[index]
    assert found(changed(data, "entries", lambda _: encode_entries(entries), list_anew=True)) == {
        ("bundle_seal", "manifest.json"),
        ("bundle_proof", "entries"),
        ("private_part", str(index)),
        ("seq_missing", SESSION),
        ("bundle_selection", "manifest.json"),
    }


def test_an_entry_that_was_not_asked_for_is_named(book: Path) -> None:
    data = make_bundle(book)
    entries = decode_entries(members_of(data)["entries"]) | {
        0: leaf("heartbeat", sessions=0, journal=0, clock="unknown")
    }
    names = found(changed(data, "entries", lambda _: encode_entries(entries), list_anew=True))
    assert ("bundle_selection", "gate/0") in names


def test_a_private_part_of_another_entry_is_named(book: Path) -> None:
    data = make_bundle(book, with_contents=True)
    parts = decode_private(members_of(data)["private"])
    first, second = parts
    swapped = encode_private({first: parts[second], second: parts[first]})
    names = found(changed(data, "private", lambda _: swapped, list_anew=True))
    assert {("private_part", f"gate/{first}"), ("private_part", f"gate/{second}")} < names


@pytest.mark.parametrize("keys", [{SESSION: Secret(bytes(32))}, {}, {OTHER: Secret(bytes(32))}])
def test_a_key_that_opens_nothing_is_named(book: Path, keys: dict[str, Secret]) -> None:
    data = make_bundle(book, with_contents=True)
    names = {name for name, _ in found(changed(data, "keys.json", lambda _: encode_keys(keys), list_anew=True))}
    assert ({"private_part", "recording_chunk"} if SESSION in keys else {"bundle_contents"}) < names


def test_a_recording_that_is_gone_or_of_nobody_is_named(book: Path) -> None:
    members = members_of(make_bundle(book))
    recording = members.pop(f"recordings/{SESSION}.rec")
    assert ("recording_missing", SESSION) in found(packed(members, list_anew=True))
    members[f"recordings/{OTHER}.rec"] = recording
    assert ("recording_unknown", OTHER) in found(packed(members, list_anew=True))


def test_a_policy_that_was_changed_or_left_out_is_named(book: Path) -> None:
    members = members_of(make_bundle(book))
    name = next(name for name in members if name.startswith("policies/"))
    set_hash = "sha256:" + name.split("/")[1]
    assert ("bundle_policy", set_hash) in found(packed(members | {name: b"forbid(principal, action, resource);"}))


def test_an_older_part_of_the_ledger_proves_under_the_newer_checkpoint(book: Path) -> None:
    maker = maker_of(book, Selection(sessions=(SESSION,)))
    write_session(book, "s_later1")
    seal(book)
    assert check(finish(book, maker, book / "bundle.zip")).ok


def test_a_manifest_that_was_sealed_and_lies_is_named_all_the_same(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.bundle.POLICY_HASH", "sha256:" + "00" * 32)
    maker = maker_of(book, Selection(sessions=(SESSION,)))
    (decided,) = maker.manifest.policies_missing
    maker.manifest = replace(maker.manifest, size=maker.manifest.size + 1, policies_missing=())
    data = finish(book, maker, book / "bundle.zip")
    assert found(data) == {("bundle_seal", "manifest.tlog-proof"), ("bundle_policy", decided)}


def test_a_manifest_of_a_longer_ledger_than_was_signed_is_named(book: Path) -> None:
    maker = maker_of(book, Selection(sessions=(SESSION,)))
    maker.manifest = replace(maker.manifest, size=10_000)
    names = found(finish(book, maker, book / "bundle.zip"))
    assert ("bundle_manifest", "checkpoint") in names

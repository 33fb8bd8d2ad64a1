# SPDX-License-Identifier: Apache-2.0
"""Bundles in hostile hands: whatever is changed is named, and what clients wrote harms nobody who reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.bundle import (
    KEY,
    NASTY,
    OTHER,
    changed,
    check,
    finish,
    flipped,
    found,
    make_bundle,
    maker_of,
    members_of,
    packed,
    write_book,
)
from support.evidence import SESSION, chunk, frame, recording_header
from support.installation import command

from gatebook.evidence.bundle_archive import parse_archive
from gatebook.evidence.bundle_entries import decode_entries, encode_entries
from gatebook.evidence.bundle_selection import Selection

BOTH = Selection(sessions=(SESSION, OTHER))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    write_book(tmp_path)
    return tmp_path


CHANGES = {
    "decision": (b'"result":"allow"', b'"result":"allou"'),
    "outcome": (b'"status":"done"', b'"status":"dont"'),
    "time": (b"2026-01-01T12", b"2026-01-01T13"),
    "who": (b'"sub":"helper"', b'"sub":"hacker"'),
    "target": (b'"target":"shop"', b'"target":"shoq"'),
    "chunk": (b'"frames":1', b'"frames":2'),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("list_anew", [False, True])
def test_au_04_an_entry_of_a_bundle_that_was_changed_is_named(book: Path, what: str, *, list_anew: bool) -> None:
    old, new = CHANGES[what]
    names = found(changed(make_bundle(book), "entries", lambda data: data.replace(old, new, 1), list_anew=list_anew))
    assert ("bundle_proof", "entries") in names
    assert (("bundle_seal", "manifest.json") if list_anew else ("bundle_member", "entries")) in names


def test_au_04_a_byte_changed_in_any_member_packed_anew_is_named(book: Path) -> None:
    data = make_bundle(book, BOTH, with_contents=True)
    for name, member in members_of(data).items():
        for place in {0, len(member) // 2, len(member) - 1}:
            report = check(changed(data, name, lambda whole, at=place: flipped(whole, at)))  # type: ignore[misc]  # a default binds it
            assert not report.ok, (name, place)


def test_au_04_entries_exchanged_or_given_another_place_are_named(book: Path) -> None:
    data = make_bundle(book)
    entries = decode_entries(members_of(data)["entries"])
    first, second, *_ = entries
    moved = entries | {first: entries[second], second: entries[first]}
    assert ("bundle_proof", "entries") in found(
        changed(data, "entries", lambda _: encode_entries(moved), list_anew=True)
    )
    shifted = {index - 1: entry for index, entry in entries.items()}
    assert ("bundle_proof", "entries") in found(
        changed(data, "entries", lambda _: encode_entries(shifted), list_anew=True)
    )


@pytest.mark.parametrize("keys", [False, True])
def test_au_06_a_chunk_swapped_between_two_sessions_is_named(book: Path, *, keys: bool) -> None:
    data = make_bundle(book, BOTH, with_contents=keys)
    members = members_of(data)
    ours, theirs = f"recordings/{SESSION}.rec", f"recordings/{OTHER}.rec"
    assert len(members[ours]) == len(members[theirs])
    half = 80 + (len(members[ours]) - 80) // 2
    swapped = members | {
        ours: members[ours][:half] + members[theirs][half:],
        theirs: members[theirs][:half] + members[ours][half:],
    }
    names = found(packed(swapped, list_anew=True))
    assert {("recording_chunk", SESSION), ("recording_chunk", OTHER), ("bundle_seal", "manifest.json")} == names
    assert {("bundle_member", ours), ("bundle_member", theirs)} < found(packed(swapped))


def test_au_06_a_whole_recording_of_another_session_is_named(book: Path) -> None:
    members = members_of(make_bundle(book, BOTH))
    ours, theirs = f"recordings/{SESSION}.rec", f"recordings/{OTHER}.rec"
    names = found(packed(members | {ours: members[theirs], theirs: members[ours]}, list_anew=True))
    assert {("recording_header", SESSION), ("recording_header", OTHER)} < names


@pytest.mark.parametrize("change", ["cut", "doubled", "swapped", "forged"])
def test_au_06_chunks_cut_doubled_swapped_or_forged_are_named(book: Path, change: str) -> None:
    name = f"recordings/{SESSION}.rec"
    data = make_bundle(book, with_contents=True)
    whole = members_of(data)[name]
    half = 80 + (len(whole) - 80) // 2
    first, second = whole[80:half], whole[half:]
    forged = (
        recording_header() + chunk(0, [frame(">", b"SELECT 'deep' 0")]) + chunk(1, [frame(">", b"SELECT 'nothing'")])
    )
    other = {"cut": whole[:half], "doubled": whole + second, "swapped": whole[:80] + second + first, "forged": forged}
    names = {name for name, _ in found(changed(data, name, lambda _: other[change], list_anew=True))}
    assert names & {"recording_chunk", "recording_cut", "recording_torn"}


def test_au_11_what_a_client_wrote_harms_nobody_who_reads_a_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_book(tmp_path, text=NASTY)
    data = finish(tmp_path, maker_of(tmp_path, BOTH, with_contents=True), tmp_path / "bundle.zip")
    members = members_of(data)
    page, readme = members["index.html"].decode(), members["README.txt"].decode()
    for text in (page, readme):
        assert all(ch.isprintable() or ch == "\n" for ch in text)
    assert "<script" not in page
    assert "\\x1b[31m&lt;script&gt;alert(1)&lt;/script&gt;\\n\\u202e\\x9b2J&quot;&#x27;&amp;" in page
    for words in ((), ("--json",), ("--key", KEY.text())):
        told = command(capsys, "verify", str(tmp_path / "bundle.zip"), *words)
        assert told.status == 0, told.out
        assert all(ch.isprintable() or ch == "\n" for ch in told.out + told.err)
    assert json.loads(command(capsys, "verify", str(tmp_path / "bundle.zip"), "--json").out)["manifest"]["purpose"] == (
        f"audit {NASTY}"
    )


def test_au_11_a_name_of_a_member_that_leaves_the_folder_is_refused(book: Path) -> None:
    data = make_bundle(book)
    for odd in (b"../../x.txt", b"/etc/passwd"[:10], b"README\x1btxt"):
        name = odd[:10].ljust(10, b"x")
        assert found(data.replace(b"\0\0README.txt", b"\0\0" + name)) == {("bundle_form", "bundle")}
    assert len(parse_archive(data)) == 12

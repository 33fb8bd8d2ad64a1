# SPDX-License-Identifier: Apache-2.0
"""Bundles out of a real gate: verified in a folder of their own with the key alone, and everything changed is named."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.bundle import NASTY, changed, flipped, members_of, packed
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import gatebook
from throwaway_postgres import Postgres

from gatebook.evidence.bundle_entries import decode_private, encode_private
from gatebook.evidence.recording import CHUNK_HEADER_BYTES, HEADER_BYTES


@pytest.fixture
def place(server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"bundle_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.serve()
    eventually((place.gate.data / "ledger" / "checkpoint").exists)
    yield place
    place.gate.stop()


def session_of(place: Place, *words: str, **options: Any) -> str:  # noqa: ANN401  words of a connection string
    """Run psql and return its session, once it is over."""
    before = place.known_sessions()
    place.through_with(**options).psql(*words)
    return str(place.operations_since(before)[0]["operation"]).partition(".")[0]


def make(place: Place, file: Path, *words: str) -> tuple[bytes, str]:
    """Make a bundle once all is sealed; its bytes, and the notary's key."""
    eventually(lambda: cast("dict[str, Any]", place.gate.ask("ledger", "show"))["not_sealed"] == {})
    place.gate.run("bundle", "make", "-o", str(file), "--purpose", "audit", *words)
    standing = cast("dict[str, Any]", place.gate.ask("ledger", "show"))
    return file.read_bytes(), str(standing["key"])


def verify(file: Path, key: str) -> dict[str, Any]:
    """Verify in a folder of its own, with no environment of ours and no configuration."""
    command = [gatebook(), "verify", file.name, "--key", key, "--json"]
    done = subprocess.run(command, cwd=file.parent, env={}, capture_output=True, text=True, check=False)
    told = cast("dict[str, Any]", json.loads(done.stdout))
    assert done.returncode == (0 if told["ok"] else 1), done.stderr
    return told


def names(told: dict[str, Any]) -> set[str]:
    return {finding["name"] for finding in told["findings"]}


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new, 1)


def test_a_bundle_of_one_session_verifies_alone_and_each_change_is_named(place: Place, tmp_path: Path) -> None:
    text = "SELECT $1::int + 41"
    session = session_of(place, "-c", f"{text} \\bind 1 \\g", "-c", "SELECT 'first'", "-c", "SELECT pg_nope()")
    apart = tmp_path / "auditor"
    apart.mkdir()
    for contents in (False, True):
        words = ["--session", session, *(["--with-contents"] if contents else [])]
        data, key = make(place, tmp_path / "made.zip", *words)
        told = _verify_copy(apart, data, key)
        assert told["ok"], told["findings"]
        assert told["counts"]["sessions"] == 1
        assert (told["checked"].get("private_parts_opened", 0) > 0) == contents
        assert (b"SELECT &#x27;first&#x27;" in members_of(data)["index.html"]) == contents
        recording = f"recordings/{session}.rec"
        assert recording in members_of(data)
        for member, change, wanted in (
            ("private", _first_private, {"bundle_member"} | ({"private_part"} if contents else set())),
            ("entries", replaced(b'"result":"allow"', b'"result":"allou"'), {"bundle_member", "bundle_proof"}),
            ("entries", replaced(b'"time":"20', b'"time":"21'), {"bundle_member", "bundle_proof"}),
            ("entries", replaced(b'"status":"done"', b'"status":"dont"'), {"bundle_member", "bundle_proof"}),
            ("checkpoint", _other_letter, {"note_signature"}),
            (recording, lambda whole: flipped(whole, HEADER_BYTES + CHUNK_HEADER_BYTES + 5), {"recording_chunk"}),
            ("index.html", replaced(b"Session", b"session"), {"bundle_member"}),
            ("README.txt", replaced(b"EVIDENCE", b"Evidence"), {"bundle_member"}),
        ):
            found = names(_verify_copy(apart, changed(data, member, change), key))
            assert wanted <= found, (member, found)
            listed = names(_verify_copy(apart, changed(data, member, change, list_anew=True), key))
            assert "bundle_seal" in listed or "note_signature" in listed, (member, listed)
    report = cast("dict[str, Any]", place.gate.ask("ledger", "verify", check=False))
    assert report["ok"], report["findings"]


def _verify_copy(folder: Path, data: bytes, key: str) -> dict[str, Any]:
    (folder / "copy.zip").write_bytes(data)
    return verify(folder / "copy.zip", key)


def _other_letter(whole: bytes) -> bytes:
    """Another letter of base64 in the signature of a note."""
    place = len(whole) - 10
    return whole[:place] + (b"A" if whole[place : place + 1] != b"A" else b"B") + whole[place + 1 :]


def _first_private(whole: bytes) -> bytes:
    parts = decode_private(whole)
    first = next(iter(parts))
    return encode_private(parts | {first: flipped(parts[first], 20)})


def test_au_06_chunks_swapped_between_two_real_sessions_are_named(place: Place, tmp_path: Path) -> None:
    first = session_of(place, "-c", "SELECT 1")
    second = session_of(place, "-c", "SELECT 2")
    data, key = make(place, tmp_path / "made.zip", "--session", first, "--session", second)
    assert verify(tmp_path / "made.zip", key)["ok"]
    members = members_of(data)
    ours, theirs = f"recordings/{first}.rec", f"recordings/{second}.rec"
    swapped = {
        ours: members[ours][:HEADER_BYTES] + members[theirs][HEADER_BYTES:],
        theirs: members[theirs][:HEADER_BYTES] + members[ours][HEADER_BYTES:],
    }
    (tmp_path / "made.zip").write_bytes(packed(members | swapped, list_anew=True))
    told = verify(tmp_path / "made.zip", key)
    found = {(finding["name"], finding["subject"]) for finding in told["findings"]}
    assert {("recording_chunk", first), ("recording_chunk", second), ("bundle_seal", "manifest.json")} <= found


def test_au_11_what_a_real_client_says_of_itself_harms_nobody_who_reads(place: Place, tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\x1b[2J"
    session = session_of(place, "-c", f"SELECT 'x' AS \"{NASTY.replace(chr(34), '')}\"", application_name=f"'{name}'")
    data, key = make(place, tmp_path / "made.zip", "--session", session, "--with-contents")
    told = verify(tmp_path / "made.zip", key)
    assert told["ok"], told["findings"]
    page = members_of(data)["index.html"].decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert all(ch.isprintable() or ch == "\n" for ch in page)
    for words in (("show", session, "--text"), ("replay", session), ("list",), ("logins",)):
        for form in ((), ("--json",)):
            out = place.gate.run("sessions", *words, *form).stdout
            assert all(ch.isprintable() or ch == "\n" for ch in out), (words, form)


def test_everything_of_an_agent_and_of_a_time_verifies(place: Place, tmp_path: Path) -> None:
    session_of(place, "-c", "SELECT 1")
    eventually(lambda: cast("dict[str, Any]", place.gate.ask("ledger", "show"))["not_sealed"] == {})
    for words in (("--agent", "helper"), ("--target", "work"), ("--from", "2020-01-01", "--to", "2100-01-01")):
        _, key = make(place, tmp_path / "made.zip", *words)
        told = verify(tmp_path / "made.zip", key)
        assert told["ok"], told["findings"]
        assert told["counts"]["sessions"] == 1

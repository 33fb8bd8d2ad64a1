# SPDX-License-Identifier: Apache-2.0
"""`gatebook bundle make`: what is asked for, what it says, and the entry that tells of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.bundle import members_of, write_session
from support.evidence import KEK, SESSION
from support.installation import Installation
from support.notary import write_entries

from gatebook.cli import bundle
from gatebook.evidence.bundle import Manifest
from gatebook.evidence.entry import format_hash


@contextmanager
def notary(gate: Installation) -> Iterator[None]:
    """A notary that seals meanwhile; it has sealed once when this begins."""
    words = [sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(gate.config)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        assert process.stderr.readline().startswith("the notary seals into")
        while not ((told := gate.run("ledger", "show", "--json").json)["size"] and told["not_sealed"] == {}):
            pass
        yield
        process.stdin.close()


@pytest.fixture
def book(gate: Installation) -> Iterator[Installation]:
    write_entries(gate.settings.gate.data, "gate", 5)
    write_session(gate.settings.gate.data)
    with notary(gate):
        yield gate


def test_a_bundle_of_a_session_is_made_entered_and_sealed(book: Installation, tmp_path: Path) -> None:
    file = tmp_path / "out.zip"
    told = book.run("bundle", "make", "-o", str(file), "--session", SESSION, "--purpose", "audit 7")
    assert told.status == 0, told.err
    assert told.out == ""
    assert "9 entries, 1 sessions, 1 recordings" in told.err
    assert "warning: 1 policy sets that decided are not in force any more" in told.err
    data = members_of(file.read_bytes())
    entry = book.entries()[-1]
    assert (entry["event"], entry["purpose"], entry["entries"], entry["contents"]) == (
        "evidence.exported",
        "audit 7",
        9,
        "sealed",
    )
    assert entry["manifest"] == format_hash(data["manifest.json"])
    assert Manifest.parse(data["manifest.json"]).purpose == "audit 7"
    key = book.run("ledger", "show", "--json").json["key"]
    verify = [sys.executable, "-m", "gatebook", "verify", str(file), "--key", key]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "the bundle holds"


def test_with_contents_warns_and_is_entered_as_such(
    book: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEBOOK_TEST_KEK", KEK.hex())
    text = book.config.read_text()
    line = next(line for line in text.splitlines() if line.startswith("recording_key"))
    book.config.write_text(text.replace(line, 'recording_key = "env:GATEBOOK_TEST_KEK"'))
    file = tmp_path / "out.zip"
    told = book.run(
        "bundle", "make", "-o", str(file), "--agent", "helper", "--target", "shop", "--purpose", "x", "--with-contents"
    )
    assert told.status == 0, told.err
    assert "warning: the keys of its recordings are in it" in told.err
    assert book.entries()[-1]["contents"] == "disclosed"
    assert b"SELECT &#x27;deep&#x27;" in members_of(file.read_bytes())["index.html"]


def test_times_are_understood_with_and_without_zone(book: Installation, tmp_path: Path) -> None:
    for begin, end in (("2026-01-01", "2026-01-02"), ("2026-01-01T13:00+01:00", "2026-01-01T12:00:01Z")):
        file = tmp_path / "out.zip"
        told = book.run("bundle", "make", "-o", str(file), "--from", begin, "--to", end, "--purpose", "x")
        assert told.status == 0, told.err
        assert Manifest.parse(members_of(file.read_bytes())["manifest.json"]).counts["sessions"] == 1


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["--purpose", "x"], 1, "nothing is asked for"),
        (["--session", "s_nobody"], 2, "--purpose"),
        (["--session", "s_nobody", "--purpose", "x"], 1, "nothing that is sealed is selected"),
        (["--from", "noon", "--purpose", "x"], 2, "`noon` is no time"),
        (["--session", SESSION, "--purpose", "x", "-o", "/nowhere/x"], 1, "`/nowhere/x` cannot be written"),
    ],
)
def test_says_what_is_wrong_with_what_is_asked(
    book: Installation, tmp_path: Path, words: list[str], status: int, error: str
) -> None:
    told = book.run("bundle", "make", "-o", str(tmp_path / "x"), *words)
    assert (told.status, list(tmp_path.glob("x*"))) == (status, [])
    assert error in told.err


def test_without_a_notary_nothing_is_written(
    gate: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_session(gate.settings.gate.data)
    with notary(gate):
        pass
    monkeypatch.setattr(bundle, "SEAL_WAIT_S", 0.2)
    told = gate.run("bundle", "make", "-o", str(tmp_path / "x"), "--session", SESSION, "--purpose", "x")
    assert told.status == 1
    assert "the notary has not sealed the bundle" in told.err
    assert not (tmp_path / "x").exists()

# SPDX-License-Identifier: Apache-2.0
"""`gatebook verify`: each step is told, flaws by name, and the exit status of each end."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bundle import KEY, changed, make_bundle, write_book
from support.installation import command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_book(tmp_path)
    make_bundle(tmp_path)
    return tmp_path / "bundle.zip"


def test_tells_each_step(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = command(capsys, "verify", str(file), "--key", KEY.text())
    assert (told.status, told.err) == (0, "")
    steps = [line.split()[1] for line in told.out.splitlines() if line.startswith("good")]
    assert steps == [
        *("form", "members", "signature", "seal", "inclusion"),
        *("entries", "selection", "recordings", "contents", "policies"),
    ]
    assert told.out.splitlines()[-1] == "the bundle holds"


def test_warns_where_the_key_is_the_bundles_own(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = command(capsys, "verify", str(file))
    assert told.status == 0
    assert "warning: the key came with the bundle" in told.err
    assert "(from the bundle itself)" in told.out


def test_names_what_is_wrong_and_fails(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(changed(file.read_bytes(), "README.txt", lambda text: text + b"!"))
    told = command(capsys, "verify", str(file), "--key", KEY.text())
    assert told.status == 1
    assert "bundle_member  README.txt  is not what the manifest says" in told.out
    assert "WRONG  members" in told.out
    assert "error: 1 findings" in told.err


def test_json_is_the_contract(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = command(capsys, "verify", str(file), "--key", KEY.text(), "--json").json
    assert (told["ok"], told["key"], told["key_is_the_bundles_own"]) == (True, KEY.text(), False)
    assert told["counts"]["entries"] == 9
    assert told["checkpoint"]["size"] == 319
    assert len(told["steps"]) == 10
    file.write_bytes(b"PK")
    told = command(capsys, "verify", str(file), "--json")
    assert told.status == 1
    assert told.json["findings"][0]["name"] == "bundle_form"
    assert "manifest" not in told.json


def test_a_key_or_file_that_is_none_is_an_error(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "error: a verifier key has not the form" in command(capsys, "verify", str(file), "--key", "x").err
    assert command(capsys, "verify", "/nowhere/x").status == 2
    file.chmod(0)
    file.unlink()
    file.touch()
    told = command(capsys, "verify", str(file))
    assert (told.status, told.err) == (1, "error: a bundle has not 0 bytes\n")


def test_what_the_operating_system_does_not_give_is_an_error(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("gatebook.vault.bundles.mmap.mmap", fail)
    told = command(capsys, "verify", str(file))
    assert told.status == 1
    assert "cannot be read: input/output error" in told.err

# SPDX-License-Identifier: Apache-2.0
"""`gatebook init`: a gate that could start, and nothing overwritten."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from support.installation import Installation, command

from gatebook import policy
from gatebook.config import Secrets
from gatebook.model.principal import Subject
from gatebook.store.sqlite import open_store
from gatebook.vault.keys import parse_key


def test_makes_everything_a_gate_needs(gate: Installation) -> None:
    settings = gate.settings
    assert settings.gate.name == "gate"
    assert settings.gate.port == 5433
    key = parse_key(Secrets.beside(gate.folder).read(settings.evidence.recording_key))
    assert len(key.id) == 16
    texts = {path.name: path.read_text() for path in settings.policy.folder.iterdir()}
    assert policy.load(texts).hash.startswith("sha256:")


def test_keeps_secrets_for_their_owner(gate: Installation) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in gate.folder.iterdir()}
    assert {name: modes[name] for name in ("recording.key", "root.key", "server.key", "data")} == {
        "recording.key": 0o600,
        "root.key": 0o600,
        "server.key": 0o600,
        "data": 0o700,
    }


def test_makes_the_first_admin_and_enters_it(gate: Installation) -> None:
    store = open_store(gate.settings.store_path)
    person = store.find_person(Subject("gatebook:gate", "alice"))
    store.close()
    assert person is not None
    assert person.admin
    (entry,) = gate.entries()
    assert entry["event"] == "person.added"
    assert entry["person"] == {"iss": "gatebook:gate", "sub": "alice"}


def test_names_the_hosts_that_clients_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = command(
        capsys, "init", str(tmp_path), "--host", "gate.example.org", "--host", "10.0.0.7", "--port", "6000", "--json"
    )
    assert told.status == 0
    assert told.json["config"] == str(tmp_path / "gatebook.toml")
    assert "server.key" in told.json["files"]
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "gate.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "10.0.0.7"]
    text = (tmp_path / "gatebook.toml").read_text()
    assert 'public_host = "gate.example.org"' in text
    assert "port = 6000" in text


@pytest.mark.parametrize("name", ["gatebook.toml", "recording.key", "root.key", "policies/example.cedar", "data"])
def test_touches_nothing_where_something_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    told = command(capsys, "init", str(tmp_path))
    assert told.status == 1
    assert f"holds {name} already" in told.err
    assert (tmp_path / name).read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {Path(name).parts[0]}


def test_does_not_write_through_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "root.key").symlink_to(tmp_path / "elsewhere")
    assert command(capsys, "init", str(tmp_path / "gate")).status == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "My Gate"], "`My Gate` is no name of a gate"),
        (["--host", "no host"], "`no host` is neither a host name nor an address"),
    ],
)
def test_does_nothing_with_a_wrong_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    told = command(capsys, "init", str(tmp_path / "gate"), *arguments)
    assert told.status == 1
    assert words in told.err
    assert not (tmp_path / "gate").exists()


def test_says_when_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    told = command(capsys, "init", str(tmp_path / "file" / "gate"))
    assert told.status == 1
    assert "cannot be made: not a directory" in told.err


def test_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = command(capsys, "init", str(tmp_path), "--admin", "alice")
    assert told.out == ""
    assert f"gatebook key create --agent NAME --owner alice --group NAME --config {tmp_path}/gatebook.toml" in told.err
    assert "keep root.key away from this machine" in told.err

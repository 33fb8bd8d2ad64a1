# SPDX-License-Identifier: Apache-2.0
"""Secrets by reference: read late, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config.secrets import ConfigFault, EnvironmentSecrets, SecretRef, Secrets
from gatebook.model.secret import Secret


def test_reads_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEBOOK_TEST_PASSWORD", "hunter2")
    assert Secrets.beside(tmp_path).read(SecretRef("env", "GATEBOOK_TEST_PASSWORD")) == Secret("hunter2")


@pytest.mark.parametrize("environment", [{}, {"PASSWORD": ""}])
def test_says_which_variable_is_not_set(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigFault, match="environment variable `PASSWORD` is not set"):
        EnvironmentSecrets(environment).read("PASSWORD")


@pytest.mark.parametrize("content", [b"hunter2", b"hunter2\n", b"hunter2\r\n"])
def test_reads_a_file_beside_the_configuration_without_its_line_break(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "password").write_bytes(content)
    assert Secrets.beside(tmp_path).read(SecretRef("file", "password")) == Secret("hunter2")


def test_reads_a_rotated_secret_anew(tmp_path: Path) -> None:
    secrets = Secrets.beside(tmp_path)
    (tmp_path / "password").write_text("old")
    secrets.read(SecretRef("file", "password"))
    (tmp_path / "password").write_text("new")
    assert secrets.read(SecretRef("file", "password")) == Secret("new")


def test_refuses_a_file_that_is_absent_empty_or_large(tmp_path: Path) -> None:
    secrets = Secrets.beside(tmp_path)
    with pytest.raises(ConfigFault, match="cannot be read: no such file or directory"):
        secrets.read(SecretRef("file", "absent"))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigFault, match="is empty"):
        secrets.read(SecretRef("file", "empty"))
    (tmp_path / "large").write_bytes(b"x" * 65_537)
    with pytest.raises(ConfigFault, match="is larger than 65536 bytes"):
        secrets.read(SecretRef("file", "large"))


def test_asks_a_source_that_a_site_added() -> None:
    class Vault:
        def read(self, locator: str) -> Secret:
            return Secret(f"from the vault: {locator}")

    assert Secrets({"vault": Vault()}).read(SecretRef("vault", "db/shop")) == Secret("from the vault: db/shop")


def test_names_the_known_sources_when_the_scheme_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="secrets cannot come from `vault`") as caught:
        Secrets.beside(tmp_path).read(SecretRef("vault", "x"))
    assert caught.value.hint == "known sources: `env:`, `file:`"


def test_shows_a_reference_as_it_was_written() -> None:
    assert str(SecretRef("env", "NAME")) == "env:NAME"

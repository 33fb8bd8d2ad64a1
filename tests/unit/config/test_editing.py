# SPDX-License-Identifier: Apache-2.0
"""The configuration file grows by a target, and takes the place of the old one at once."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from gatebook.config.editing import NewTarget, append_target, replace_file
from gatebook.model.target import TlsMode

SHOP = NewTarget(
    name="shop",
    host="db.example",
    port=5432,
    database='sh"op\\',
    tls=TlsMode.VERIFY_FULL,
    tls_roots="root.crt",
    role="reader",
    account="shop_reader",
    password="env:SHOP",
    groups=("agents", "people"),
    catalogue=("cat", "file:cat.password"),
    labels=(("env", "prod"),),
)


def test_what_stands_in_the_file_stays_as_it_is() -> None:
    before = "# why\n[gate]  # the gate\ndata='d'\n"
    after = append_target(before, SHOP)
    assert after.startswith(before + "\n[[target]]\n")
    assert after.endswith('groups = ["agents", "people"]\n')


def test_a_target_reads_as_it_was_meant() -> None:
    (target,) = tomllib.loads(append_target("", SHOP))["target"]
    assert target["database"] == 'sh"op\\'
    assert target["tls"] == "verify-full"
    assert target["catalogue"] == {"account": "cat", "password": "file:cat.password"}
    assert target["labels"] == {"env": "prod"}
    assert target["role"] == [
        {"name": "reader", "account": "shop_reader", "password": "env:SHOP", "groups": ["agents", "people"]}
    ]


def test_what_is_not_given_is_left_out() -> None:
    bare = replace(SHOP, tls_roots="", password="", catalogue=("", ""), labels=())
    (target,) = tomllib.loads(append_target("x = 1", bare))["target"]
    assert sorted(target) == ["database", "host", "name", "port", "role", "tls"]
    assert "password" not in target["role"][0]


def test_a_file_is_replaced_with_its_mode_and_through_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.toml", "real.toml"]


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gatebook.toml"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError):
        replace_file(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

# SPDX-License-Identifier: Apache-2.0
"""A folder with a configuration, a policy and a password, as a gate reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from gatebook.config import load_settings
from gatebook.identity.issuer import NoIssuers, TokenBook
from gatebook.model.credential import KeyRecord, Person
from gatebook.model.principal import Subject
from gatebook.serve.rules import Regime, read_regime

CONFIG = """\
[gate]
data = "data"
insecure_plaintext = true

[evidence]
recording_key = "env:KEY"

[policy]
folder = "policies"

[[target]]
name = "shop"
host = "127.0.0.1"
database = "shop"
tls = "disable"

  [[target.role]]
  name = "reader"
  account = "shop_reader"
  password = "file:reader.password"
  groups = ["agents"]
"""


class NoKeys:
    """A book of keys without any."""

    def find_key(self, sha256: bytes) -> KeyRecord | None:
        return None

    def find_person(self, subject: Subject) -> Person | None:
        return None


@dataclass
class Folder:
    """The files, to be changed."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "gatebook.toml"

    def change(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def read(self, tokens: TokenBook | None = None) -> Regime:
        return read_regime(load_settings(self.config), NoKeys(), tokens or NoIssuers())


@pytest.fixture
def files(tmp_path: Path) -> Folder:
    (tmp_path / "gatebook.toml").write_text(CONFIG)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "all.cedar").write_text("permit (principal, action, resource);\n")
    (tmp_path / "reader.password").write_text("secret\n")
    return Folder(tmp_path)

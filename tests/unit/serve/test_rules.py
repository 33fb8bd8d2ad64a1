# SPDX-License-Identifier: Apache-2.0
"""Everything that settings refer to is read, or the fault names the file."""

from __future__ import annotations

import dataclasses

import pytest
from unit.serve.conftest import Folder

from gatebook.identity.issuer import NoIssuers
from gatebook.model.errors import OperatorFault
from gatebook.model.target import Target
from gatebook.serve.rules import load_policies, read_regime


def test_reads_targets_with_their_secrets_and_the_policies(files: Folder) -> None:
    found = files.read()
    password = found.rules.targets["shop"].roles[0].account.password
    assert password is not None
    assert password.reveal() == b"secret"
    assert found.policy_files == ("all.cedar",)
    assert load_policies(found.settings).hash == found.rules.engine.hash
    assert (found.certificate, found.certificate_key) == (b"", b"")


def test_reads_the_certificate_and_its_key(files: Folder) -> None:
    files.change("insecure_plaintext = true", 'tls_certificate = "server.crt"\ntls_key = "file:server.key"')
    with pytest.raises(OperatorFault, match=r"certificate `.*server.crt` cannot be read: no such file"):
        files.read()
    (files.path / "server.crt").write_text("chain")
    (files.path / "server.key").write_text("key")
    found = files.read()
    assert (found.certificate, found.certificate_key) == (b"chain", b"key")


def test_one_target_can_stand_for_any_database(files: Folder) -> None:
    def adapt(target: Target) -> Target:
        return dataclasses.replace(target, any_database=True)

    rules = read_regime(files.read().settings, files.read().rules.book, NoIssuers(), adapt).rules
    assert rules.targets == {}
    assert (place := rules.find("whatever")) is not None
    assert place.target is rules.any_target


def test_no_policy_at_all_is_a_fault(files: Folder) -> None:
    (files.path / "policies" / "all.cedar").unlink()
    with pytest.raises(OperatorFault, match="no policy in"):
        files.read()


def test_a_policy_that_is_no_text_is_named(files: Folder) -> None:
    (files.path / "policies" / "b.cedar").write_bytes(b"\xff")
    with pytest.raises(OperatorFault, match=r"policy `b.cedar` cannot be read: .*utf-8"):
        files.read()

# SPDX-License-Identifier: Apache-2.0
"""Everything that settings refer to is read, or the fault names the file."""

from __future__ import annotations

import dataclasses

import pytest
from support.certificates import Maker
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


ROOT, OTHER = Maker.root(), Maker.root("other")
TLS = 'tls_certificate = "server.crt"\ntls_key = "file:server.key"'
AUTHORITIES = """
[[certificate_authority]]
name = "workloads"
kind = "agent"
roots = "workloads.pem"
subject = "spiffe"
trust_domain = "prod.example"
groups = ["agents"]

[[certificate_authority]]
name = "people"
kind = "person"
roots = "people.pem"
subject = "cn"
lifetime_s = 3600

[policy]"""


def with_authorities(files: Folder, workloads: bytes = ROOT.pem, people: bytes = OTHER.pem) -> Folder:
    files.change("insecure_plaintext = true", TLS)
    files.change("[policy]", AUTHORITIES)
    for name in ("server.crt", "server.key"):
        (files.path / name).write_text(name)
    (files.path / "workloads.pem").write_bytes(workloads)
    (files.path / "people.pem").write_bytes(people)
    return files


def test_reads_authorities_with_their_roots(files: Folder) -> None:
    found = with_authorities(files).read()
    workloads, people = found.rules.authorities
    assert (workloads.issuer, workloads.roots, workloads.groups) == ("spiffe://prod.example", (ROOT.der,), ("agents",))
    assert (people.issuer, people.roots, people.lifetime_s) == ("x509:people", (OTHER.der,), 3600)
    assert found.client_roots == ROOT.pem + b"\n" + OTHER.pem + b"\n"
    assert not found.client_required
    files.change("[gate]", '[gate]\nclient_certificates = "required"')
    assert files.read().client_required


@pytest.mark.parametrize(
    ("people", "why"),
    [
        (b"", r"roots `.*people.pem`: the file is no PEM of certificates"),
        (OTHER.issue().pem, r"holds a certificate that is no authority's"),
        (OTHER.pem + ROOT.pem, "certificate authorities `workloads` and `people` have a root in common"),
    ],
)
def test_roots_that_cannot_be_told_apart_are_a_fault(files: Folder, people: bytes, why: str) -> None:
    with pytest.raises(OperatorFault, match=why):
        with_authorities(files, people=people).read()


def test_roots_that_are_not_there_are_named(files: Folder) -> None:
    (with_authorities(files).path / "people.pem").unlink()
    with pytest.raises(OperatorFault, match=r"roots `.*people.pem` cannot be read: no such file"):
        files.read()


ASKS = '@id("x") @approval("dba") @vote("session") permit (principal, action, resource);\n'


def test_ap_07_a_policy_that_asks_a_group_without_people_is_a_fault_with_its_place(files: Folder) -> None:
    (files.path / "data").mkdir()
    (files.path / "policies" / "held.cedar").write_text(f"// why\n{ASKS}")
    with pytest.raises(OperatorFault, match=r"held\.cedar:2: the policy `x` asks for 1 of group `dba`, and nobody"):
        files.read()
    files.change("[policy]", '[approval]\nprovider_groups = ["dba"]\n\n[policy]')
    assert files.read().policy_files == ("all.cedar", "held.cedar")

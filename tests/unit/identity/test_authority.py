# SPDX-License-Identifier: Apache-2.0
"""Roots are authorities' own certificates, and who vouches stays who vouched."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from support.certificates import Maker

from gatebook.identity.authority import ROOTS, Authority, NameKind, RootsFault, parse_roots
from gatebook.model.principal import PrincipalKind

ROOT, OTHER = Maker.root(), Maker.root("other")
AGENTS = Authority("agents", PrincipalKind.AGENT, NameKind.DNS, (ROOT.der,), 86_400)


def test_roots_are_read_in_their_order() -> None:
    assert parse_roots(ROOT.pem + OTHER.pem) == (ROOT.der, OTHER.der)


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "no PEM"),
        (b"nonsense", "no PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no PEM"),
        (ROOT.issue().pem, "no authority's"),
        (Maker.root(constraints=x509.BasicConstraints(ca=False, path_length=None)).pem, "no authority's"),
        (ROOT.pem * 2, "one of them twice"),
        (b"".join(Maker.root(str(number)).pem for number in range(ROOTS + 1)), "more than 32"),
    ],
)
def test_what_is_no_file_of_roots_is_refused(pem: bytes, why: str) -> None:
    with pytest.raises(RootsFault, match=why):
        parse_roots(pem)


def test_the_issuer_is_the_authority_or_its_trust_domain() -> None:
    assert AGENTS.issuer == "x509:agents"
    assert replace(AGENTS, names=NameKind.SPIFFE, trust_domain="prod.example").issuer == "spiffe://prod.example"


def test_a_root_more_changes_nothing_for_who_is_in_and_anything_else_does() -> None:
    assert replace(AGENTS, roots=(OTHER.der, ROOT.der)).still_vouches_as(AGENTS)
    assert not replace(AGENTS, roots=(OTHER.der,)).still_vouches_as(AGENTS)
    assert not replace(AGENTS, groups=("dba",)).still_vouches_as(AGENTS)
    assert not replace(AGENTS, kind=PrincipalKind.PERSON).still_vouches_as(AGENTS)

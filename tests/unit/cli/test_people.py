# SPDX-License-Identifier: Apache-2.0
"""People of this gate, and of identity providers."""

from __future__ import annotations

import pytest
from support.installation import Installation

ISSUER = """
[[issuer]]
name = "idp"
url = "https://idp.example"
kind = "person"
audience = ["gate"]
"""
WHO = "https://idp.example|00u1"


@pytest.fixture
def provided(gate: Installation) -> Installation:
    config = gate.folder / "gatebook.toml"
    config.write_text(config.read_text() + ISSUER)
    return gate


def test_somebody_whom_a_provider_knows_is_a_person_with_groups(provided: Installation) -> None:
    added = provided.run("person", "add", WHO, "--group", "dba", "--json")
    assert added.status == 0, added.err
    assert (added.json["issuer"], added.json["name"], added.json["groups"]) == ("https://idp.example", "00u1", ["dba"])
    assert WHO in provided.run("person", "list").out
    assert provided.run("person", "groups", WHO, "--add", "ops", "--json").json["groups"] == ["dba", "ops"]
    assert provided.run("person", "add", "ann", "--same-as", WHO, "--json").json["human"] == WHO
    assert provided.run("person", "disable", WHO).status == 0


def test_nobody_comes_from_an_issuer_that_is_not_configured(provided: Installation) -> None:
    told = provided.run("person", "add", "https://other.example|00u1")
    assert told.status == 1
    assert "no issuer `https://other.example` is configured" in told.err


@pytest.mark.parametrize("name", ["|x", "https://idp.example|", "https://idp.example|a\u202eb", "a b"])
def test_what_is_no_person_is_a_wrong_argument(provided: Installation, name: str) -> None:
    assert provided.run("person", "add", name).status == 2

# SPDX-License-Identifier: Apache-2.0
"""The README of a bundle says what matters, in lines that are its own."""

from __future__ import annotations

from dataclasses import replace

from support.ledger import SIGNER

from gatebook.evidence.bundle import Manifest
from gatebook.evidence.bundle_readme import render_readme
from gatebook.evidence.bundle_selection import Selection

MANIFEST = Manifest(
    made="2026-01-01T12:00:00.000000Z",
    by="root",
    purpose="audit\nWhat it does not prove\n\x1b[2J {key}",
    version="0.1.0",
    origin="ledger.example/gatebook",
    size=7,
    selection=Selection(agent="helper", sessions=("s_1", "s_2")),
    counts={"entries": 3, "operations": 1, "private": 0, "recordings": 1, "sessions": 1},
    not_sealed={"gate": 2},
)


def text(**changes: object) -> str:
    return render_readme(replace(MANIFEST, **changes), SIGNER.verifier).decode()  # type: ignore[arg-type]  # of many kinds


def test_says_what_it_is_how_to_verify_and_with_which_key() -> None:
    told = text()
    assert SIGNER.verifier.text() in told
    assert "gatebook verify BUNDLE --key 'KEY'" in told
    assert "Asked for: sessions s_1 s_2, agent helper." in told
    assert "so not looked at: 2 of gate." in told
    assert "without a key" in told
    assert max(map(len, told.splitlines())) < 130


def test_warns_where_keys_are_in_it() -> None:
    told = text(contents="disclosed", undisclosed=("s_2",))
    assert "THE RECORDING KEYS ARE IN THIS BUNDLE" in told
    assert "as they were erased: s_2" in told


def test_names_policies_that_are_missing_and_not_all_of_very_many() -> None:
    told = text(policies_missing=tuple(f"sha256:{number}" for number in range(300)), not_sealed={})
    assert "sha256:199 and 100 more" in told
    assert "so not looked at: nothing." in told


def test_what_people_wrote_stays_on_its_line() -> None:
    told = text()
    assert "Purpose: audit\\nWhat it does not prove\\n\\x1b[2J {key}\n" in told
    assert told.count("\nWhat it does not prove\n") == 1

# SPDX-License-Identifier: Apache-2.0
"""A gate without issuers knows none."""

from __future__ import annotations

from datetime import UTC, datetime

from gatebook.identity.issuer import NoIssuers

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_gate_without_issuers_takes_no_token() -> None:
    book = NoIssuers()
    assert book.find_issuer("https://issuer.example") is None
    assert book.find_issuer_key("https://issuer.example", "k1") is None
    assert not book.spend("https://issuer.example", "t", MOMENT, MOMENT)

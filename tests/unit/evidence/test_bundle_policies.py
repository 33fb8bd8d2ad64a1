# SPDX-License-Identifier: Apache-2.0
"""Policy sets are found by the hash that the engine gives them."""

from __future__ import annotations

from gatebook.evidence.bundle_policies import PolicySet, hash_of, hashes_in, member_name
from gatebook.evidence.entry import Leaf
from gatebook.policy import engine

TEXTS = {"b ä.cedar": b"permit(principal, action, resource);", "a.cedar": b"// \xc3\xa4"}
HASH = "sha256:" + "0a" * 32


def test_the_hash_is_the_one_of_the_engine() -> None:
    assert hash_of(TEXTS) == engine._hash({name: text.decode() for name, text in TEXTS.items()})


def test_members_are_numbered_by_the_order_of_their_names() -> None:
    folder = "policies/" + "0a" * 32
    assert PolicySet(HASH, TEXTS).members() == [
        (f"{folder}/0000.cedar", TEXTS["a.cedar"]),
        (f"{folder}/0001.cedar", TEXTS["b ä.cedar"]),
    ]
    assert member_name(HASH, 12) == f"{folder}/0012.cedar"


def test_finds_the_sets_that_decided_or_were_in_force() -> None:
    other = "sha256:" + "0b" * 32
    leaves: list[Leaf] = [
        {"decision": {"policy_hash": HASH}},
        {"policy": other},
        {"decision": {"policy_hash": "x"}},
        {"decision": 7},
    ]
    assert hashes_in(leaves) == {HASH, other}

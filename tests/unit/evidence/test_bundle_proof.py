# SPDX-License-Identifier: Apache-2.0
"""One proof for many entries: against RFC 6962 word for word, and nothing else proves."""

from __future__ import annotations

import pytest
from support.ledger import NaiveTree, entry

from gatebook.evidence.bundle_proof import make_proof, verify_proof
from gatebook.evidence.tree import ProofFault, TreeFault

NAIVE = NaiveTree()


def entries(*indexes: int) -> dict[int, bytes]:
    return {index: entry(index) for index in indexes}


def test_hashes_stand_in_the_order_of_the_walk() -> None:
    proof = make_proof(NAIVE, [2, 6], 7)
    assert proof == NAIVE.root(0, 2) + NAIVE.root(3, 4) + NAIVE.root(4, 6)
    verify_proof(entries(2, 6), 7, NAIVE.root(0, 7), proof)


def test_of_one_entry_it_has_the_hashes_of_its_receipt() -> None:
    proof = make_proof(NAIVE, [5], 600)
    found = {proof[at : at + 32] for at in range(0, len(proof), 32)}
    assert found == set(NAIVE.path(5, 0, 600))


def test_of_all_entries_there_is_none() -> None:
    assert make_proof(NAIVE, range(300), 300) == b""
    verify_proof(entries(*range(300)), 300, NAIVE.root(0, 300), b"")


@pytest.mark.parametrize("indexes", [[], [-1], [7], [2, 2], [3, 2]])
def test_makes_none_for_entries_that_no_tree_has(indexes: list[int]) -> None:
    with pytest.raises(TreeFault):
        make_proof(NAIVE, indexes, 7)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 600])
def test_nothing_but_the_whole_proves(size: int) -> None:
    indexes = sorted({0, size // 3, size - 1})
    proof, root = make_proof(NAIVE, indexes, size), NAIVE.root(0, size)
    whole = entries(*indexes)
    verify_proof(whole, size, root, proof)
    wrong = [
        ({}, size, root, proof),
        (whole | {0: b"another"}, size, root, proof),
        (whole, size, bytes(32), proof),
        (whole, size, root, proof + bytes(32)),
        (whole, size, root, proof + b"\0"),
        (whole | {size: b"more"}, size, root, proof),
        (whole | {-1: b"less"}, size, root, proof),
    ]
    if proof:
        wrong += [(whole, size, root, proof[:-32]), (whole, size, root, proof[:-1] + bytes([proof[-1] ^ 1]))]
    for case in wrong:
        with pytest.raises(ProofFault):
            verify_proof(*case)
    if size > 3:
        with pytest.raises(ProofFault):
            verify_proof(entries(*indexes[1:]), size, root, proof)


def test_a_size_beyond_any_tree_is_refused() -> None:
    with pytest.raises(TreeFault):
        verify_proof(entries(0), 1 << 63, bytes(32), b"")

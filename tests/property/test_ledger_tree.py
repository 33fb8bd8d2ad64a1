# SPDX-License-Identifier: Apache-2.0
"""Trees of every size: roots, tiles and proofs are those of RFC 6962 word for word, however the tree grew."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledger import NaiveTree, entry

from gatebook.evidence.tiles import tiles_of
from gatebook.evidence.tree import (
    Frontier,
    ProofFault,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    tile_root,
    verify_consistency,
    verify_inclusion,
)

NAIVE = NaiveTree()
SMALL = range(1, 132)
AROUND_A_TILE = (254, 255, 256, 257, 258, 385)
LEAVES = b"".join(leaf_hash(entry(number)) for number in range(1600))


@pytest.mark.parametrize("sizes", [SMALL, AROUND_A_TILE], ids=["small", "around a tile"])
def test_every_inclusion_proof_is_the_one_of_the_rfc_and_verifies(sizes: range | tuple[int, ...]) -> None:
    for size in sizes:
        root = NAIVE.root(0, size)
        for index in range(size):
            proof = inclusion_proof(NAIVE, index, size)
            assert proof == NAIVE.path(index, 0, size)
            verify_inclusion(leaf_hash(entry(index)), index, size, proof, root)


@pytest.mark.parametrize("sizes", [SMALL, AROUND_A_TILE], ids=["small", "around a tile"])
def test_every_consistency_proof_is_the_one_of_the_rfc_and_verifies(sizes: range | tuple[int, ...]) -> None:
    for new in sizes:
        for old in range(1, new + 1):
            proof = consistency_proof(NAIVE, old, new)
            assert proof == NAIVE.subproof(old, 0, new)
            verify_consistency(old, NAIVE.root(0, old), new, NAIVE.root(0, new), proof)


@given(st.integers(1, 1600), st.data())
def test_proofs_of_larger_trees_are_those_of_the_rfc(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(NAIVE, index, size)
    assert proof == NAIVE.path(index, 0, size)
    verify_inclusion(leaf_hash(entry(index)), index, size, proof, NAIVE.root(0, size))
    between = consistency_proof(NAIVE, index + 1, size)
    assert between == NAIVE.subproof(index + 1, 0, size)
    verify_consistency(index + 1, NAIVE.root(0, index + 1), size, NAIVE.root(0, size), between)


@given(st.integers(2, 400), st.data())
def test_a_proof_proves_nothing_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda place: place != index))
    proof, root = inclusion_proof(NAIVE, index, size), NAIVE.root(0, size)
    with pytest.raises(ProofFault):
        verify_inclusion(leaf_hash(entry(other)), index, size, proof, root)
    with pytest.raises(ProofFault):
        verify_inclusion(leaf_hash(entry(index)), other, size, proof, root)
    with pytest.raises(ProofFault):
        verify_consistency(other + 1, NAIVE.root(0, index + 1), size, root, consistency_proof(NAIVE, index + 1, size))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=70), st.integers(), st.integers())
def test_no_bytes_make_the_checks_raise_anything_else(proof: list[bytes], first: int, second: int) -> None:
    with pytest.raises(ProofFault):
        verify_inclusion(bytes(32), first, second, proof, b"\1" * 32)
    with pytest.raises(ProofFault):
        verify_consistency(first, bytes(32), second, b"\1" * 32, proof)


@given(st.integers(1, 256))
def test_the_root_of_a_tile_is_that_of_the_tree_over_its_leaves(width: int) -> None:
    assert tile_root(LEAVES[: width * 32]) == NAIVE.root(0, width)


@given(st.lists(st.integers(0, 1600), max_size=12))
def test_however_a_tree_grows_its_tiles_and_root_are_those_of_the_definition(cuts: list[int]) -> None:
    frontier, found = Frontier.empty(), []
    for begin, end in pairwise(sorted({0, *cuts})):
        found += frontier.append(LEAVES[begin * 32 : end * 32])
        assert frontier.size == end
        assert frontier.root() == NAIVE.root(0, end)
        partials = frontier.partials()
        told = [(tile.level, tile.index, tile.width) for tile in [*found, *partials]]
        assert sorted(told) == sorted(tiles_of(end))
        assert all(tile.hashes == NAIVE.tile(tile.level, tile.index, tile.width) for tile in [*found, *partials])
    size = frontier.size
    again = Frontier.load(NAIVE, size)
    assert (again.root(), again.partials(), again.size) == (frontier.root(), frontier.partials(), size)
    assert root_of(NAIVE, size) == NAIVE.root(0, size)

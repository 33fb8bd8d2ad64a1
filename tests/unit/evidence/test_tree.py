# SPDX-License-Identifier: Apache-2.0
"""The ledger's tree: Go's figures, proofs that prove, and every way in which they do not."""

from __future__ import annotations

import base64
import hashlib

import pytest
from support.ledger import MemoryTiles, entry, vectors

from gatebook.evidence.tree import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    ProofFault,
    Tile,
    TreeFault,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    tile_root,
    verify_consistency,
    verify_inclusion,
)

TILES = MemoryTiles([entry(number) for number in range(300)])
ROOTS = [base64.b64decode(root) for root in vectors()["roots"]]
A, B, C = (hashlib.sha256(letter).digest() for letter in (b"a", b"b", b"c"))


def decoded(proof: list[str]) -> list[bytes]:
    return [base64.b64decode(one) for one in proof]


def proved(index: int = 137, size: int = 300) -> list[bytes]:
    return inclusion_proof(TILES, index, size)


def test_hashes_leaves_and_nodes_with_their_prefixes() -> None:
    # RFC 6962, 2.1: the vectors of Certificate Transparency's own tests.
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(bytes.fromhex("00")).hex() == "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert node_hash(A, B) == hashlib.sha256(b"\x01" + A + B).digest()


def test_roots_are_those_that_go_computes() -> None:
    frontier = Frontier.empty()
    found = [frontier.root()]
    for number in range(300):
        frontier.append(leaf_hash(entry(number)))
        found.append(frontier.root())
    assert found == ROOTS


def test_roots_read_from_tiles_are_those_that_go_computes() -> None:
    assert [root_of(TILES, size) for size in range(301)] == ROOTS


def test_inclusion_proofs_are_those_that_go_makes() -> None:
    assert len(vectors()["inclusion"]) >= 20
    for vector in vectors()["inclusion"]:
        index, size, proof = vector["index"], vector["size"], decoded(vector["proof"])
        assert inclusion_proof(TILES, index, size) == proof
        verify_inclusion(leaf_hash(entry(index)), index, size, proof, ROOTS[size])


def test_consistency_proofs_are_those_that_go_makes() -> None:
    assert len(vectors()["consistency"]) >= 20
    for vector in vectors()["consistency"]:
        old, new, proof = vector["old"], vector["new"], decoded(vector["proof"])
        assert consistency_proof(TILES, old, new) == proof
        verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)


def test_root_of_a_tile_splits_at_the_largest_power_of_two() -> None:
    assert tile_root(A) == A
    assert tile_root(A + B) == node_hash(A, B)
    assert tile_root(A + B + C) == node_hash(node_hash(A, B), C)
    assert tile_root(A + B + C + A + B) == node_hash(node_hash(node_hash(A, B), node_hash(C, A)), B)


@pytest.mark.parametrize("hashes", [b"", b"x", A[:31], A + b"x", A * 257])
def test_a_tile_has_1_to_256_whole_hashes(hashes: bytes) -> None:
    with pytest.raises(TreeFault) as caught:
        tile_root(hashes)
    assert caught.value.finding == "ledger_tile"


def test_a_tile_comes_after_those_below_it() -> None:
    frontier = Frontier.empty()
    tiles = frontier.append(A * (65_536 + 300))
    assert [(tile.level, tile.index) for tile in tiles[:2]] == [(0, 0), (0, 1)]
    assert [(tile.level, tile.index) for tile in tiles[255:]] == [(0, 255), (1, 0), (0, 256)]
    assert {tile.width for tile in tiles} == {256}
    assert [(tile.level, tile.index, tile.width) for tile in frontier.partials()] == [
        (0, 257, 44),
        (1, 1, 1),
        (2, 0, 1),
    ]
    assert frontier.size == 65_836


def test_a_level_without_partial_tile_is_left_out() -> None:
    frontier = Frontier.empty()
    assert frontier.append(A * 256) == [Tile(0, 0, A * 256)]
    assert frontier.partials() == [Tile(1, 0, tile_root(A * 256))]


def test_a_loaded_edge_goes_on_as_the_one_that_was_kept() -> None:
    kept, loaded = Frontier.empty(), Frontier.load(TILES, 300)
    kept.append(b"".join(leaf_hash(entry(number)) for number in range(300)))
    assert loaded.append(A * 1000) == kept.append(A * 1000)
    assert (loaded.root(), loaded.partials(), loaded.size) == (kept.root(), kept.partials(), 1300)


def test_the_empty_tree_has_the_root_of_nothing_and_no_tiles() -> None:
    frontier = Frontier.load(TILES, 0)
    assert (frontier.root(), frontier.partials(), frontier.append(b"")) == (EMPTY_ROOT, [], [])


def test_refuses_to_append_half_a_hash_and_appends_nothing() -> None:
    frontier = Frontier.empty()
    with pytest.raises(TreeFault) as caught:
        frontier.append(A + b"x")
    assert (caught.value.finding, frontier.size, frontier.partials()) == ("ledger_tile", 0, [])


class EndlessTiles:
    """Tiles of a tree of any size."""

    def read(self, level: int, index: int, width: int) -> bytes:
        return A * width


def test_a_tree_ends_below_2_to_the_63() -> None:
    frontier = Frontier.load(EndlessTiles(), MAX_SIZE)
    with pytest.raises(TreeFault) as caught:
        frontier.append(A)
    assert (caught.value.finding, frontier.size) == ("ledger_size", MAX_SIZE)


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1])
def test_refuses_sizes_that_no_tree_has(size: int) -> None:
    for ask in (
        lambda: root_of(EndlessTiles(), size),
        lambda: inclusion_proof(EndlessTiles(), 0, size),
        lambda: consistency_proof(EndlessTiles(), 0, size),
    ):
        with pytest.raises(TreeFault) as caught:
            ask()
        assert caught.value.finding == "ledger_size"


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 5), (5, 5), (6, 5)])
def test_refuses_to_prove_an_entry_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(TreeFault) as caught:
        inclusion_proof(TILES, index, size)
    assert caught.value.finding == "ledger_size"


@pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5)])
def test_refuses_to_prove_that_a_smaller_tree_begins_with_a_greater(old: int, new: int) -> None:
    with pytest.raises(TreeFault) as caught:
        consistency_proof(TILES, old, new)
    assert caught.value.finding == "ledger_size"


class ShortTiles(EndlessTiles):
    """Tiles that lack their last byte."""

    def read(self, level: int, index: int, width: int) -> bytes:
        return (A * width)[:-1]


def test_refuses_tiles_of_another_width() -> None:
    for ask in (
        lambda: root_of(ShortTiles(), 5),
        lambda: inclusion_proof(ShortTiles(), 0, 5),
        lambda: consistency_proof(ShortTiles(), 3, 5),
    ):
        with pytest.raises(TreeFault) as caught:
            ask()
        assert caught.value.finding == "ledger_tile"


def test_longest_proofs_have_63_and_64_hashes() -> None:
    last = MAX_SIZE - 1
    assert len(inclusion_proof(EndlessTiles(), 0, MAX_SIZE)) == 63
    assert len(consistency_proof(EndlessTiles(), 2**62 + 1, MAX_SIZE)) == 64
    assert len(inclusion_proof(EndlessTiles(), last, MAX_SIZE)) == 62


def test_a_tree_of_one_proves_its_entry_with_nothing() -> None:
    verify_inclusion(A, 0, 1, [], A)


def refused_inclusion(hash_: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> str:
    with pytest.raises(ProofFault) as caught:
        verify_inclusion(hash_, index, size, proof, root)
    return caught.value.finding


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 300), (300, 300), (0, MAX_SIZE + 1), (138, 300), (137, 200)])
def test_refuses_an_inclusion_at_another_place_or_size(index: int, size: int) -> None:
    assert refused_inclusion(leaf_hash(entry(137)), index, size, proved(), ROOTS[300]) == "ledger_inclusion"


def test_refuses_an_inclusion_of_another_entry_or_root() -> None:
    leaf = leaf_hash(entry(137))
    assert refused_inclusion(leaf_hash(entry(138)), 137, 300, proved(), ROOTS[300]) == "ledger_inclusion"
    assert refused_inclusion(leaf, 137, 300, proved(), ROOTS[299]) == "ledger_inclusion"


def test_refuses_an_inclusion_proof_with_a_hash_more_less_or_changed() -> None:
    leaf, good = leaf_hash(entry(137)), proved()
    changed = [[*good[:at], A, *good[at + 1 :]] for at in range(len(good))]
    exchanged = [good[1], good[0], *good[2:]]
    for proof in ([], good[1:], good[:-1], [*good, A], [A, *good], exchanged, *changed):
        assert refused_inclusion(leaf, 137, 300, proof, ROOTS[300]) == "ledger_inclusion"


def test_refuses_a_way_that_ends_below_or_above_the_root_of_that_size() -> None:
    # each gives the root that is named, by a path of another tree
    leaf = leaf_hash(entry(0))
    assert refused_inclusion(leaf, 0, 300, proved(0, 128), ROOTS[128]) == "ledger_inclusion"
    assert refused_inclusion(leaf, 0, 1, [A], node_hash(A, leaf)) == "ledger_inclusion"


def test_refuses_hashes_of_another_length() -> None:
    good = proved()
    for leaf, proof, root in (
        (leaf_hash(entry(137)), [*good[:-1], good[-1] + b"x"], ROOTS[300]),
        (leaf_hash(entry(137))[:31], good, ROOTS[300]),
        (leaf_hash(entry(137)), good, b""),
    ):
        assert refused_inclusion(leaf, 137, 300, proof, root) == "ledger_inclusion"


def test_refuses_a_proof_of_64_hashes() -> None:
    assert refused_inclusion(A, 0, MAX_SIZE, [A] * 64, A) == "ledger_inclusion"


def refused_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> str:
    with pytest.raises(ProofFault) as caught:
        verify_consistency(old, old_root, new, new_root, proof)
    return caught.value.finding


def test_every_tree_begins_with_nothing_and_with_itself() -> None:
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    verify_consistency(0, EMPTY_ROOT, 5, A, [])
    verify_consistency(5, A, 5, A, [])


@pytest.mark.parametrize(
    ("old", "old_root", "new", "new_root", "proof"),
    [
        (0, A, 0, A, []),
        (0, EMPTY_ROOT, 0, A, []),
        (0, A, 5, B, []),
        (0, EMPTY_ROOT, 5, A, [B]),
        (5, A, 5, B, []),
        (5, A, 5, A, [B]),
        (3, A, 5, B, []),
        (4, A, 5, B, []),
        (6, A, 5, A, []),
        (-1, A, 5, A, []),
        (5, A, MAX_SIZE + 1, A, [B]),
    ],
)
def test_refuses_what_no_proof_can_show(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]
) -> None:
    assert refused_consistency(old, old_root, new, new_root, proof) == "ledger_consistency"


@pytest.mark.parametrize("old", [128, 137, 256, 299])
def test_refuses_a_consistency_proof_with_a_hash_more_less_or_changed(old: int) -> None:
    good = consistency_proof(TILES, old, 300)
    changed = [[*good[:at], A, *good[at + 1 :]] for at in range(len(good))]
    for proof in ([], good[1:], good[:-1], [*good, A], [A, *good], [*good, *([A] * 64)], *changed):
        assert refused_consistency(old, ROOTS[old], 300, ROOTS[300], proof) == "ledger_consistency"


def test_refuses_a_consistency_that_ends_below_or_above_the_root_of_that_size() -> None:
    short = consistency_proof(TILES, 3, 4)
    assert refused_consistency(3, ROOTS[3], 300, ROOTS[4], short) == "ledger_consistency"
    longer_old, longer_new = node_hash(A, ROOTS[3]), node_hash(A, ROOTS[4])
    assert refused_consistency(3, longer_old, 4, longer_new, [*short, A]) == "ledger_consistency"


def test_refuses_a_consistency_with_other_roots_or_sizes() -> None:
    good = consistency_proof(TILES, 137, 300)
    for old, old_root, new, new_root in (
        (137, ROOTS[136], 300, ROOTS[300]),
        (137, ROOTS[137], 300, ROOTS[299]),
        (136, ROOTS[136], 300, ROOTS[300]),
        (137, ROOTS[137], 299, ROOTS[299]),
        (300, ROOTS[300], 300, ROOTS[300]),
        (137, ROOTS[137][:31], 300, ROOTS[300]),
    ):
        assert refused_consistency(old, old_root, new, new_root, good) == "ledger_consistency"


def test_a_changed_entry_is_a_fork_that_consistency_shows() -> None:
    forked = MemoryTiles([entry(number if number != 5 else 999) for number in range(300)])
    proof = consistency_proof(forked, 200, 300)
    assert refused_consistency(200, ROOTS[200], 300, root_of(forked, 300), proof) == "ledger_consistency"

# SPDX-License-Identifier: Apache-2.0
"""The chain of a notary's keys: which may sign a tree of which size, seen from any of them."""

from __future__ import annotations

import pytest
from support.evidence import leaf
from support.ledger import ORIGIN

from gatebook.evidence.checkpoint import Checkpoint, CheckpointFault, sign
from gatebook.evidence.note import NoteFault, Signer, countersign
from gatebook.evidence.rotation import KeyChain, Rotation, find_rotation, is_signed

KEYS = [Signer.make(ORIGIN, bytes([seed]) * 32) for seed in range(3)]
TEXTS = [key.verifier.text() for key in KEYS]
CHANGES = [Rotation(100, TEXTS[0], TEXTS[1]), Rotation(200, TEXTS[1], TEXTS[2])]


def note(size: int, *signers: Signer) -> bytes:
    made = sign(Checkpoint(ORIGIN, size, bytes(32)), signers[0])
    for signer in signers[1:]:
        made = countersign(made, signer)
    return made


def change(*, writer: str = "notary", old: str = TEXTS[0], key: str = TEXTS[1]) -> bytes:
    return leaf("notary.key", writer=writer, old=old, key=key, reason="yearly", by="ada")


@pytest.mark.parametrize("known", [0, 1, 2])
def test_each_key_is_good_for_the_sizes_of_its_time_from_whichever_is_known(known: int) -> None:
    chain = KeyChain(KEYS[known].verifier, CHANGES)
    for key, sizes in ((0, (0, 100)), (1, (101, 200)), (2, (201, 10_000))):
        for size in sizes:
            assert chain.open(note(size, KEYS[key])).size == size
    assert chain.open(note(150, KEYS[0], KEYS[1])).size == 150
    assert [one.index for one in chain.behind] == [100, 200][known:]


@pytest.mark.parametrize("size", [101, 150, 201])
def test_a_key_that_was_given_up_signs_nothing_newer(size: int) -> None:
    with pytest.raises(CheckpointFault) as caught:
        KeyChain(KEYS[2].verifier, CHANGES).open(note(size, KEYS[0]))
    assert caught.value.finding == "checkpoint_key_old"


def test_a_key_of_nobody_is_not_in_the_chain() -> None:
    stranger = Signer.make(ORIGIN, bytes([9]) * 32)
    with pytest.raises(NoteFault) as caught:
        KeyChain(KEYS[2].verifier, CHANGES).open(note(5, stranger))
    assert caught.value.finding == "note_unsigned"


def test_changes_that_do_not_meet_the_known_key_are_not_its_own() -> None:
    chain = KeyChain(KEYS[0].verifier, [Rotation(5, TEXTS[1], TEXTS[2])])
    assert [one.verifier for one in chain.links] == [KEYS[0].verifier]
    assert chain.behind == ()


def test_finds_changes_among_entries() -> None:
    assert find_rotation(7, change()) == Rotation(7, TEXTS[0], TEXTS[1])


@pytest.mark.parametrize(
    "members",
    [
        {"writer": "gate"},
        {"key": "no key"},
        {"old": TEXTS[1]},
        {"key": Signer.make("other.example/x", bytes(32)).verifier.text()},
    ],
)
def test_what_is_no_change_of_a_notary_s_key_is_none(members: dict[str, str]) -> None:
    assert find_rotation(7, change(**members)) is None


def test_other_entries_are_none() -> None:
    assert find_rotation(7, leaf("heartbeat", sessions=1, journal=0, clock="unknown")) is None
    assert find_rotation(7, b'{"event":"notary.key"') is None


def test_says_whether_a_key_has_signed() -> None:
    assert is_signed(note(5, KEYS[0], KEYS[1]), KEYS[1].verifier)
    assert not is_signed(note(5, KEYS[0]), KEYS[1].verifier)
    assert not is_signed(b"", KEYS[0].verifier)

# SPDX-License-Identifier: Apache-2.0
"""Receipts: one entry is in the ledger, shown to whoever has the key; everything else is refused."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.ledger import ORIGIN, SIGNER, MemoryTiles, entry, vectors

from gatebook.evidence.checkpoint import Checkpoint, CheckpointFault, sign
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import NoteFault, Signer, sign_note
from gatebook.evidence.receipt import Receipt, ReceiptFault
from gatebook.evidence.tree import ProofFault, inclusion_proof, leaf_hash, root_of

TILES = MemoryTiles([entry(number) for number in range(300)])
CHECKPOINT = Checkpoint(ORIGIN, 300, root_of(TILES, 300))
NOTE = sign(CHECKPOINT, SIGNER)
RECEIPT = Receipt(entry(137), 137, tuple(inclusion_proof(TILES, 137, 300)), NOTE)
TEXT = RECEIPT.text()
LINES = TEXT.split(b"\n")


def test_is_the_text_that_go_writes() -> None:
    assert TEXT.decode() == vectors()["receipt"]
    assert Receipt.parse(vectors()["receipt"].encode()) == RECEIPT


def test_shows_that_the_entry_is_in_the_ledger() -> None:
    assert RECEIPT.verify(SIGNER.verifier) == CHECKPOINT


def test_has_no_line_of_proof_in_a_tree_of_one() -> None:
    note = sign(Checkpoint(ORIGIN, 1, leaf_hash(b"alone")), SIGNER)
    receipt = Receipt(b"alone", 0, (), note)
    assert receipt.text() == b"c2sp.org/tlog-proof@v1\nextra YWxvbmU=\nindex 0\n\n" + note
    assert Receipt.parse(receipt.text()).verify(SIGNER.verifier).size == 1


def test_may_hold_the_longest_entry_and_proof() -> None:
    receipt = Receipt(b"x" * 65_535, 2**63 - 1, (bytes(32),) * 63, NOTE)
    assert Receipt.parse(receipt.text()) == receipt


def test_the_checkpoint_may_carry_signatures_of_others() -> None:
    note = sign_note(CHECKPOINT.text(), Signer.make("witness.example", bytes(32)), SIGNER)
    assert Receipt.parse(replace(RECEIPT, checkpoint_note=note).text()).verify(SIGNER.verifier) == CHECKPOINT


def with_line(number: int, line: bytes) -> bytes:
    return b"\n".join([*LINES[:number], line, *LINES[number + 1 :]])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        LINES[0],
        b"\n".join(LINES[:2]),
        b"\n" + TEXT,
        TEXT.replace(b"\n", b"\r\n"),
        with_line(0, b"c2sp.org/tlog-proof@v2"),
        with_line(0, b"c2sp.org/tlog-proof@v1 "),
        with_line(0, b"\xff"),
        b"\n".join([LINES[0], *LINES[2:]]),
        b"\n".join([LINES[0], LINES[2], LINES[1], *LINES[3:]]),
        b"\n".join([*LINES[:2], *LINES[1:]]),
        with_line(1, b"extra "),
        with_line(1, b"extra"),
        with_line(1, b"extra  ZW50cnkgMTM3"),
        with_line(1, b"Extra ZW50cnkgMTM3"),
        with_line(1, b"extra ZW50cnkgMTM3="),
        with_line(1, b"extra ZW50cnkgMTN="),
        with_line(1, b"extra \xc3\xa9"),
        with_line(1, b"extra " + base64.b64encode(b"x" * 65_536)),
        with_line(2, b"index "),
        with_line(2, b"index 0137"),
        with_line(2, b"index -1"),
        with_line(2, b"index 9223372036854775808"),
        with_line(2, b"index 137 "),
        with_line(3, b"AAAA"),
        with_line(3, b"x"),
        with_line(3, LINES[3][:-1]),
        with_line(3, b" " + LINES[3]),
        with_line(3, base64.b64encode(bytes(33))),
        b"\n".join([*LINES[:3], *LINES[3:4] * 64, *LINES[-6:]]),
        TEXT + b"x" * (2 << 20),
    ],
)
def test_refuses_a_receipt_of_another_form(data: bytes) -> None:
    with pytest.raises(ReceiptFault) as caught:
        Receipt.parse(data)
    assert caught.value.finding == "receipt_form"


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (TEXT[: TEXT.index(b"\n\n")], "note_form"),
        (TEXT[: TEXT.index(b"\n\n") + 2], "note_form"),
        (TEXT[:-1], "note_form"),
        (TEXT + b"\n", "note_form"),
        (TEXT.replace(b"\n\n", b"\n\n\n", 1), "checkpoint_form"),
        (TEXT.replace(b"\n300\n", b"\n0300\n"), "checkpoint_form"),
    ],
)
def test_refuses_a_receipt_whose_checkpoint_has_another_form(data: bytes, finding: str) -> None:
    with pytest.raises((NoteFault, CheckpointFault)) as caught:
        Receipt.parse(data)
    assert caught.value.finding == finding


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(RECEIPT, entry=b""),
        lambda: replace(RECEIPT, entry=b"x" * 65_536),
        lambda: replace(RECEIPT, index=-1),
        lambda: replace(RECEIPT, index=2**63),
        lambda: replace(RECEIPT, proof=(b"",)),
        lambda: replace(RECEIPT, proof=(bytes(32),) * 64),
    ],
)
def test_cannot_be_made_where_it_could_not_be_written(make: Callable[[], Receipt]) -> None:
    with pytest.raises(ReceiptFault) as caught:
        make()
    assert caught.value.finding == "receipt_form"


OTHER_NOTE = sign(Checkpoint(ORIGIN, 299, root_of(TILES, 299)), SIGNER)


@pytest.mark.parametrize(
    "receipt",
    [
        replace(RECEIPT, entry=entry(138)),
        replace(RECEIPT, index=138),
        replace(RECEIPT, index=300),
        replace(RECEIPT, proof=RECEIPT.proof[1:]),
        replace(RECEIPT, proof=(*RECEIPT.proof, bytes(32))),
        replace(RECEIPT, proof=(bytes(32), *RECEIPT.proof[1:])),
        replace(RECEIPT, checkpoint_note=OTHER_NOTE),
    ],
)
def test_refuses_a_receipt_that_does_not_prove(receipt: Receipt) -> None:
    with pytest.raises(ProofFault) as caught:
        Receipt.parse(receipt.text()).verify(SIGNER.verifier)
    assert caught.value.finding == "ledger_inclusion"


def test_refuses_a_checkpoint_of_another_key_though_it_is_in_the_receipt() -> None:
    impostor = Signer.make(ORIGIN, bytes(32))
    receipt = replace(RECEIPT, checkpoint_note=sign(CHECKPOINT, impostor))
    with pytest.raises(NoteFault) as caught:
        receipt.verify(SIGNER.verifier)
    assert caught.value.finding == "note_unsigned"


def test_refuses_a_changed_checkpoint() -> None:
    receipt = replace(RECEIPT, checkpoint_note=NOTE.replace(b"\n300\n", b"\n301\n"))
    with pytest.raises(NoteFault) as caught:
        receipt.verify(SIGNER.verifier)
    assert caught.value.finding == "note_signature"


def test_every_changed_byte_is_refused() -> None:
    for place in range(len(TEXT)):
        changed = bytearray(TEXT)
        changed[place] ^= 1
        with pytest.raises(EvidenceFault):
            Receipt.parse(bytes(changed)).verify(SIGNER.verifier)

# SPDX-License-Identifier: Apache-2.0
"""Cosignatures, keys of witnesses and requests: their one form, and each thing that is refused."""

from __future__ import annotations

import base64

import pytest
from support.ledger import ORIGIN, SIGNER

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.cosignature import (
    MAX_TIME,
    CosignatureFault,
    Cosigner,
    CosignerKey,
    Request,
    find_cosignatures,
    read_answer,
    with_cosignatures,
)
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import NoteFault, Signer, Verifier, open_note

CHECKPOINT = Checkpoint(ORIGIN, 3, bytes(32))
NOTE = sign(CHECKPOINT, SIGNER)
WITNESS = Cosigner(Signer.make("witness.example/w1", b"\x07" * 32))
OTHER = Cosigner(Signer.make("witness.example/w2", b"\x08" * 32))
HASH = base64.b64encode(bytes(32)).decode()


def finding(data: bytes) -> str:
    with pytest.raises(EvidenceFault) as caught:
        find_cosignatures(data, [WITNESS.key])
    return caught.value.finding


def test_key_has_the_type_of_a_cosignature_and_its_own_id() -> None:
    text = WITNESS.key.text()
    name, key_id, encoded = text.split("+", 2)
    assert name == "witness.example/w1"
    assert base64.b64decode(encoded)[0] == 4
    assert WITNESS.key.key_id.hex() == key_id != SIGNER.verifier.key_id.hex()
    assert CosignerKey.parse(text) == WITNESS.key


def test_a_notary_s_key_is_no_witness_s_and_the_other_way_round() -> None:
    with pytest.raises(NoteFault):
        CosignerKey.parse(SIGNER.verifier.text())
    with pytest.raises(NoteFault):
        Verifier.parse(WITNESS.key.text())


@pytest.mark.parametrize(("name", "key"), [("a b", bytes(32)), ("a", bytes(31)), ("", bytes(32))])
def test_refuses_what_is_no_key(name: str, key: bytes) -> None:
    with pytest.raises(NoteFault):
        CosignerKey(name, key)


def test_signs_header_time_and_checkpoint_as_the_source_says() -> None:
    line = WITNESS.cosign(CHECKPOINT, 1_679_315_147)
    start, name, encoded = line.removesuffix("\n").split(" ")
    assert (start, name) == ("—", "witness.example/w1")
    data = base64.b64decode(encoded)
    assert (len(data), data[:4]) == (76, WITNESS.key.key_id)
    assert data[4:12] == (1_679_315_147).to_bytes(8)
    message = f"cosignature/v1\ntime 1679315147\n{ORIGIN}\n3\n{HASH}\n".encode()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(WITNESS.key.public_key).verify(data[12:], message)


def test_finds_those_of_known_keys_in_the_order_of_their_lines() -> None:
    note = with_cosignatures(NOTE, [OTHER.cosign(CHECKPOINT, 5), WITNESS.cosign(CHECKPOINT, 6)])
    found = find_cosignatures(note, [WITNESS.key, OTHER.key])
    assert [(one.key.name, one.time) for one in found] == [("witness.example/w2", 5), ("witness.example/w1", 6)]
    assert find_cosignatures(NOTE, [WITNESS.key]) == []
    assert open_note(note, [SIGNER.verifier])[1] == [ORIGIN]


def test_a_key_counts_once_under_any_name() -> None:
    twin = Cosigner(Signer.make("witness.example/twin", b"\x07" * 32))
    lines = [WITNESS.cosign(CHECKPOINT, 5), WITNESS.cosign(CHECKPOINT, 6), twin.cosign(CHECKPOINT, 7)]
    found = find_cosignatures(with_cosignatures(NOTE, lines), [WITNESS.key, twin.key])
    assert [one.time for one in found] == [5]


def test_refuses_a_cosignature_of_a_known_key_that_does_not_verify() -> None:
    other = WITNESS.cosign(Checkpoint(ORIGIN, 4, bytes(32)), 5)
    assert finding(with_cosignatures(NOTE, [other])) == "note_signature"
    data = bytearray(base64.b64decode(WITNESS.cosign(CHECKPOINT, 5).split(" ")[2]))
    for changed in (data[:-1], data + b"x", data[:4] + b"\xff" + data[5:], data[:11] + b"\x06" + data[12:], data[:4]):
        line = f"— witness.example/w1 {base64.b64encode(changed).decode()}\n"
        assert finding(with_cosignatures(NOTE, [line])) in {"note_signature", "note_form"}


def test_a_signature_of_the_plain_type_is_no_cosignature() -> None:
    plain = Signer.make("witness.example/w1", b"\x07" * 32).sign(CHECKPOINT.text())
    assert find_cosignatures(with_cosignatures(NOTE, [plain]), [WITNESS.key]) == []


def test_has_no_time_that_cannot_be_written() -> None:
    for time in (-1, MAX_TIME + 1):
        with pytest.raises(CosignatureFault):
            WITNESS.cosign(CHECKPOINT, time)
    line = WITNESS.cosign(CHECKPOINT, MAX_TIME)
    assert find_cosignatures(with_cosignatures(NOTE, [line]), [WITNESS.key])[0].time == MAX_TIME


def test_reads_the_line_of_the_key_from_an_answer() -> None:
    answer = (OTHER.cosign(CHECKPOINT, 5) + WITNESS.cosign(CHECKPOINT, 6)).encode()
    assert read_answer(NOTE, answer, WITNESS.key) == (WITNESS.cosign(CHECKPOINT, 6), 6)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"ok\n",
        OTHER.cosign(CHECKPOINT, 5).encode(),
        WITNESS.cosign(Checkpoint(ORIGIN, 4, bytes(32)), 5).encode(),
        WITNESS.cosign(CHECKPOINT, 5).encode()[:-1],
        b"another text\n\n" + WITNESS.cosign(CHECKPOINT, 5).encode(),
        b"\xff\n",
    ],
)
def test_refuses_an_answer_that_is_none(answer: bytes) -> None:
    with pytest.raises(EvidenceFault):
        read_answer(NOTE, answer, WITNESS.key)


def test_request_has_size_proof_and_note() -> None:
    request = Request(2, (bytes(32),), NOTE)
    assert request.encode() == f"old 2\n{HASH}\n\n".encode() + NOTE
    assert Request.parse(request.encode()) == request
    assert Request.parse(b"old 0\n\n" + NOTE) == Request(0, (), NOTE)


@pytest.mark.parametrize(
    "head",
    [
        "",
        "old",
        "old ",
        "old 01",
        "old -1",
        "old 9223372036854775808",
        "new 1",
        "old 1 ",
        "old 1\r",
        f"old 1\n{HASH} ",
        f"old 1\n{HASH[:-1]}",
        "old 1\nAAAA",
        "old 1\n" + HASH[:-2] + "B=",
        "old 1\n" + "\n".join([HASH] * 64),
        "old \u0661",
    ],
)
def test_refuses_a_request_in_another_form(head: str) -> None:
    with pytest.raises(CosignatureFault):
        Request.parse(head.encode() + b"\n\n" + NOTE)


def test_refuses_a_request_that_is_cut_or_too_long() -> None:
    for data in (b"", b"old 1\n", b"old 1\n\n" + bytes(65_536)):
        with pytest.raises(CosignatureFault):
            Request.parse(data)
    for make in (
        lambda: Request(0, (bytes(32),) * 64, NOTE),
        lambda: Request(-1, (), NOTE),
        lambda: Request(0, (bytes(31),), NOTE),
        lambda: Request(0, (), bytes(65_536)).encode(),
    ):
        with pytest.raises(CosignatureFault):
            make()

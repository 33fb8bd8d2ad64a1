# SPDX-License-Identifier: Apache-2.0
"""Requests and cosignatures have one form, and whatever comes is refused with the one family of errors."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from support.ledger import ORIGIN, SIGNER

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.cosignature import (
    MAX_PROOF_LINES,
    MAX_TIME,
    Cosigner,
    CosignerKey,
    Request,
    find_cosignatures,
    read_answer,
    with_cosignatures,
)
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Signer
from gatebook.evidence.witnessed import Seen, decode_seen, encode_seen

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="+"), min_size=1, max_size=60)
HASHES = st.binary(min_size=32, max_size=32)
COUNTS = st.integers(0, 2**53 - 1)
CHECKPOINTS = st.builds(Checkpoint, st.just(ORIGIN), st.integers(0, 2**63 - 1), HASHES)


@given(st.integers(0, 2**63 - 1), st.lists(HASHES, max_size=MAX_PROOF_LINES), st.binary(max_size=200))
def test_a_request_is_read_as_it_was_written(old: int, proof: list[bytes], note: bytes) -> None:
    request = Request(old, tuple(proof), note)
    assert Request.parse(request.encode()) == request


@given(st.binary(max_size=300) | st.binary(max_size=200).map(b"old 1\n\n".__add__))
def test_what_is_read_as_a_request_is_written_the_same(data: bytes) -> None:
    with contextlib.suppress(EvidenceFault):
        assert Request.parse(data).encode() == data


@given(NAMES, HASHES, CHECKPOINTS, st.integers(0, MAX_TIME))
def test_a_cosignature_is_found_by_its_key_alone(name: str, seed: bytes, checkpoint: Checkpoint, time: int) -> None:
    cosigner = Cosigner(Signer.make(name, seed))
    assert CosignerKey.parse(cosigner.key.text()) == cosigner.key
    note, line = sign(checkpoint, SIGNER), cosigner.cosign(checkpoint, time)
    assert read_answer(note, line.encode(), cosigner.key) == (line, time)
    (found,) = find_cosignatures(with_cosignatures(note, [line]), [cosigner.key])
    assert (found.key, found.time) == (cosigner.key, time)


@given(st.binary(max_size=300))
def test_whatever_comes_is_refused_with_one_family_of_errors(data: bytes) -> None:
    key = Cosigner(Signer.make("w", bytes(32))).key
    note = sign(Checkpoint(ORIGIN, 1, bytes(32)), SIGNER)
    with contextlib.suppress(EvidenceFault):
        read_answer(note, data, key)
    with contextlib.suppress(EvidenceFault):
        find_cosignatures(note + data, [key])
    with contextlib.suppress(EvidenceFault):
        CosignerKey.parse(data.decode("latin-1"))
    decode_seen(data)


@given(st.dictionaries(NAMES, st.builds(Seen, COUNTS, COUNTS, COUNTS), max_size=5))
def test_what_is_remembered_is_read_as_it_was_written(seen: dict[str, Seen]) -> None:
    assert decode_seen(encode_seen(seen)) == seen

# SPDX-License-Identifier: Apache-2.0
"""Texts and files of the ledger have one form: what is written is read back, and what is read is written the same."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from support.ledger import ORIGIN, SIGNER

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint, sign
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Note, Signer, Verifier, open_note, parse_note, sign_note
from gatebook.evidence.receipt import Receipt
from gatebook.evidence.tiles import (
    MAX_INDEX,
    TileName,
    decode_bundle,
    encode_bundle,
    entries_path,
    parse_tile_path,
    tile_path,
)

HASHES = st.binary(min_size=32, max_size=32)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="+"), min_size=1, max_size=60)
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters=[chr(code) for code in range(32)])
TEXTS = st.text(LETTERS | st.just("\n"), max_size=200).map(lambda text: text + "\n")
CHECKPOINTS = st.builds(Checkpoint, NAMES, st.integers(0, 2**63 - 1), HASHES)
DIGITS = st.text("0123456789", min_size=1, max_size=4)
GROUPS = st.lists(DIGITS, min_size=1, max_size=3).map("/x".join)
PATHS = st.tuples(
    st.sampled_from(["tile/", "tile", "/tile/"]),
    DIGITS | st.just("entries"),
    st.sampled_from(["/", "/x"]),
    GROUPS,
    st.just("") | DIGITS.map("/{}".format),
    st.just("") | DIGITS.map(".p/{}".format),
).map("".join)


def path_of(name: TileName) -> str:
    if name.level is None:
        return entries_path(name.index, name.width)
    return tile_path(name.level, name.index, name.width)


def note_text(note: Note) -> bytes:
    """A note written anew from what was read of it."""
    lines = [f"— {line.name} {base64.b64encode(line.key_id + line.signature).decode()}\n" for line in note.signatures]
    return (note.text + "\n" + "".join(lines)).encode()


def one_form(parse: Callable[[bytes], bytes], data: bytes) -> None:
    """What is read is written the same; what is not is refused with the one family of errors."""
    with contextlib.suppress(EvidenceFault):
        assert parse(data) == data


def wild(data: bytes) -> str:
    """Any bytes as a text; such as are not UTF-8 become halves of surrogate pairs."""
    return data.decode("utf-8", "surrogateescape")


def changed(data: bytes, draw: st.DataObject) -> bytes:
    """The bytes with a few put in, taken out or exchanged."""
    found = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 3))):
        begin = draw.draw(st.integers(0, len(found)))
        end = draw.draw(st.integers(begin, min(begin + 2, len(found))))
        found[begin:end] = draw.draw(st.binary(max_size=2) | st.sampled_from([b"\n", b" ", b"=", b"0", b"+", b"A"]))
    return bytes(found)


@given(st.none() | st.integers(0, 63), st.integers(0, MAX_INDEX), st.integers(1, 256))
def test_paths_are_read_back(level: int | None, index: int, width: int) -> None:
    name = TileName(level, index, width)
    assert parse_tile_path(path_of(name)) == name


@given(PATHS)
def test_a_path_that_is_read_is_written_the_same(path: str) -> None:
    name = parse_tile_path(path)
    assert name is None or path_of(name) == path


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_of_paths_raise(path: str) -> None:
    parse_tile_path(path)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_are_read_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries


@given(st.binary(max_size=40), st.integers(0, 5))
def test_a_bundle_that_is_read_is_written_the_same(data: bytes, count: int) -> None:
    one_form(lambda given: encode_bundle(decode_bundle(given, count)), data)


@given(NAMES, HASHES)
def test_keys_are_read_back(name: str, seed: bytes) -> None:
    signer = Signer.make(name, seed)
    assert Verifier.parse(signer.verifier.text()) == signer.verifier
    assert Signer.parse(signer.text()).text() == signer.text()


@given(st.data())
def test_a_key_that_is_read_is_written_the_same(data: st.DataObject) -> None:
    one_form(lambda given: Verifier.parse(wild(given)).text().encode(), changed(SIGNER.verifier.text().encode(), data))
    one_form(lambda given: Signer.parse(wild(given)).text().encode(), changed(SIGNER.text().encode(), data))


@given(TEXTS, st.lists(HASHES, min_size=1, max_size=3, unique=True))
def test_notes_are_read_back(text: str, seeds: list[bytes]) -> None:
    signers = [Signer.make(f"key{number}.example", seed) for number, seed in enumerate(seeds)]
    signed = sign_note(text, *signers)
    assert open_note(signed, [one.verifier for one in signers]) == (text, [one.name for one in signers])
    assert note_text(parse_note(signed)) == signed


@given(st.binary(max_size=60))
def test_no_bytes_make_the_readers_raise_anything_else(data: bytes) -> None:
    one_form(lambda given: note_text(parse_note(given)), data)
    one_form(lambda given: Receipt.parse(given).text(), data)
    one_form(lambda given: Checkpoint.parse(wild(given)).text().encode(), data)


@given(CHECKPOINTS)
def test_checkpoints_are_read_back(checkpoint: Checkpoint) -> None:
    signer = Signer.make(checkpoint.origin, bytes(32))
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
    assert open_checkpoint(sign(checkpoint, signer), signer.verifier) == checkpoint


@given(CHECKPOINTS, st.data())
def test_a_checkpoint_that_is_read_is_written_the_same(checkpoint: Checkpoint, data: st.DataObject) -> None:
    one_form(lambda given: Checkpoint.parse(wild(given)).text().encode(), changed(checkpoint.text().encode(), data))


@given(CHECKPOINTS, st.data())
def test_a_changed_note_is_refused_or_says_the_same(checkpoint: Checkpoint, data: st.DataObject) -> None:
    signer = Signer.make(checkpoint.origin, bytes(32))
    signed = changed(sign(checkpoint, signer), data)
    one_form(lambda given: note_text(parse_note(given)), signed)
    with contextlib.suppress(EvidenceFault):
        assert open_checkpoint(signed, signer.verifier) == checkpoint


RECEIPTS = st.builds(
    Receipt,
    st.binary(min_size=1, max_size=300),
    st.integers(0, 2**63 - 1),
    st.lists(HASHES, max_size=63).map(tuple),
    st.just(sign(Checkpoint(ORIGIN, 5, bytes(32)), SIGNER)),
)


@given(RECEIPTS)
def test_receipts_are_read_back(receipt: Receipt) -> None:
    assert Receipt.parse(receipt.text()) == receipt


@given(RECEIPTS, st.data())
def test_a_receipt_that_is_read_is_written_the_same(receipt: Receipt, data: st.DataObject) -> None:
    one_form(lambda given: Receipt.parse(given).text(), changed(receipt.text(), data))

# SPDX-License-Identifier: Apache-2.0
"""Bundles have one form: what is read is written the same, and one byte changed anywhere is refused and named."""

from __future__ import annotations

import contextlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bundle import KEY, check, flipped, make_bundle, members_of, packed, write_book
from support.ledger import NaiveTree, entry

from gatebook.evidence.bundle import Manifest
from gatebook.evidence.bundle_archive import encode_archive, is_name, parse_archive
from gatebook.evidence.bundle_check import verify_bundle
from gatebook.evidence.bundle_entries import decode_entries, decode_keys, decode_private, encode_entries, encode_keys
from gatebook.evidence.bundle_entries import encode_private as encode_parts
from gatebook.evidence.bundle_proof import make_proof, verify_proof
from gatebook.evidence.faults import EvidenceFault

NAMES = st.text("abcR._-/", min_size=1, max_size=12).filter(is_name)
ITEMS = st.dictionaries(st.integers(0, 2**63 - 1), st.binary(min_size=1, max_size=40), max_size=5)
TREE = NaiveTree()


@cache
def bundle() -> bytes:
    """A bundle with contents, made once."""
    with TemporaryDirectory() as folder:
        write_book(Path(folder))
        return make_bundle(Path(folder), with_contents=True)


@pytest.fixture(scope="module", autouse=True)
def _made() -> None:
    bundle()  # not within the time that an example may take


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=5))
def test_an_archive_is_read_as_it_was_written(members: dict[str, bytes]) -> None:
    data = encode_archive(members.items())
    assert members_of(data) == members


@given(st.data())
def test_what_is_read_of_an_archive_is_written_the_same(draw: st.DataObject) -> None:
    data = bytearray(encode_archive([("README.txt", b"words"), ("recordings/s.rec", b"\0" * 9)]))
    for _ in range(draw.draw(st.integers(0, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(EvidenceFault):
        read = parse_archive(bytes(data))
        assert encode_archive((member.name, bytes(member.data)) for member in read) == data


@given(st.binary(max_size=200))
def test_garbage_is_refused_with_the_one_family_of_errors(data: bytes) -> None:
    with contextlib.suppress(EvidenceFault):
        assert encode_entries(decode_entries(data)) == data
    with contextlib.suppress(EvidenceFault):
        assert encode_parts(decode_private(data)) == data
    with contextlib.suppress(EvidenceFault):
        assert encode_keys(decode_keys(data)) == data
    with contextlib.suppress(EvidenceFault):
        assert Manifest.parse(data).encode() == data
    assert not verify_bundle(data, KEY).report.ok


@given(ITEMS)
def test_lists_are_read_as_they_were_written(items: dict[int, bytes]) -> None:
    assert decode_entries(encode_entries(items)) == items
    assert decode_private(encode_parts(items)) == items


@given(st.data())
def test_a_manifest_with_a_byte_changed_is_written_the_same_or_refused(draw: st.DataObject) -> None:
    data = bytearray(members_of(bundle())["manifest.json"])
    data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(EvidenceFault):
        assert Manifest.parse(bytes(data)).encode() == data


@given(st.data())
def test_one_bit_changed_anywhere_in_the_file_is_refused_and_named(draw: st.DataObject) -> None:
    data = bundle()
    place = draw.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[place] ^= 1 << draw.draw(st.integers(0, 7))
    report = check(bytes(changed))
    assert {finding.name for finding in report.findings} & {"bundle_form", "bundle_member"}


@given(st.data())
def test_one_bit_changed_in_any_member_packed_anew_is_refused_and_named(draw: st.DataObject) -> None:
    members = members_of(bundle())
    name = draw.draw(st.sampled_from(sorted(members)))
    member = bytearray(members[name])
    member[draw.draw(st.integers(0, len(member) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    assert check(packed(members | {name: bytes(member)})).findings
    # whoever lists the new hash as well has another manifest than was sealed
    assert check(packed(members | {name: bytes(member)}, list_anew=name != "manifest.json")).findings


@given(st.integers(1, 700), st.data())
def test_a_proof_of_any_entries_proves_them_and_nothing_else(size: int, draw: st.DataObject) -> None:
    indexes = sorted(draw.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=8)))
    entries = {index: entry(index) for index in indexes}
    proof, root = make_proof(TREE, indexes, size), TREE.root(0, size)
    verify_proof(entries, size, root, proof)
    odd = draw.draw(st.sampled_from(indexes))
    for wrong, hashes in ((entries | {odd: b"another"}, proof), (entries, flipped(proof, 0) if proof else b"\0" * 32)):
        try:
            verify_proof(wrong, size, root, hashes)
        except EvidenceFault:
            continue
        raise AssertionError(odd)

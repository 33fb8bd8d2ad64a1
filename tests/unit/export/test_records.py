# SPDX-License-Identifier: Apache-2.0
"""Lines of an export: canonical, the entry byte for byte, filtered by kind, nothing left out that has none."""

from __future__ import annotations

import base64
import json

from support.evidence import leaf

from gatebook.evidence.entry import decode_canonical, encode_canonical
from gatebook.evidence.tree import leaf_hash
from gatebook.export.records import RECORD_BYTES, batch_lines

ORIGIN = "ledger.example/gatebook"
BEAT = leaf("heartbeat", sessions=1, journal=2, clock="unknown")
FAILURE = leaf("failure", what='a "quoted" word \u2028', action="nothing")


def lines_of(*entries: bytes, first: int = 0, events: tuple[str, ...] = ()) -> list[bytes]:
    return batch_lines(ORIGIN, first, entries, [leaf_hash(entry) for entry in entries], events)


def test_a_line_is_canonical_and_has_the_entry_byte_for_byte() -> None:
    (line,) = lines_of(FAILURE, first=7)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    record = decode_canonical(line[:-1])
    assert sorted(record) == ["entry", "hash", "index", "ledger"]
    assert (record["ledger"], record["index"]) == (ORIGIN, 7)
    assert record["hash"] == leaf_hash(FAILURE).hex()
    entry = record["entry"]
    assert isinstance(entry, dict)
    assert encode_canonical(entry) == FAILURE
    assert FAILURE in line


def test_indexes_go_on_from_the_first() -> None:
    assert [json.loads(line)["index"] for line in lines_of(BEAT, FAILURE, BEAT, first=255)] == [255, 256, 257]


def test_only_kinds_that_were_asked_for_are_sent() -> None:
    told = [json.loads(line) for line in lines_of(BEAT, FAILURE, BEAT, events=("fail", "authn"))]
    assert [(one["index"], one["entry"]["event"]) for one in told] == [(1, "failure")]


def test_what_is_no_leaf_is_sent_as_base64_whatever_was_asked_for() -> None:
    (line,) = lines_of(b'{"b":1, "a":2}\xff', events=("authn",))
    record = decode_canonical(line[:-1])
    assert sorted(record) == ["base64", "hash", "index", "ledger"]
    assert base64.b64decode(str(record["base64"])) == b'{"b":1, "a":2}\xff'


def test_a_line_is_no_longer_than_its_entry_and_the_bound() -> None:
    entry = leaf("failure", what="w", action="a")
    (line,) = batch_lines("o" * 255, (1 << 53) - 1, [entry], [leaf_hash(entry)])
    assert len(line) <= len(entry) + RECORD_BYTES

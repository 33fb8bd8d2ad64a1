# SPDX-License-Identifier: Apache-2.0
"""Make `vectors.json` from the specifications alone: no code of the package takes part.

Run: PYTHONPATH=tests python tests/vectors/evidence/make.py > tests/vectors/evidence/vectors.json
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from typing import Any

from support.evidence import (
    KEK,
    RECORDING_KEY,
    SESSION,
    canonical,
    chunk,
    chunk_leaf,
    end,
    frame,
    header,
    intent,
    key_file,
    outcome,
    recording_header,
    records,
    seal_private,
    sealed_leaf,
    start,
)

GOOD: list[Any] = [
    {"b": 1, "a": "z", "B": True},
    {"text": '\u00e9\U0001f600 \u2028 " \\ \b\f\n\r\t\u001f'},
    {"nested": {"list": [1, -1, 9007199254740991, False, "", [], {}]}},
    {},
]
BAD = {
    "order of keys": '{"b":1,"a":2}',
    "a blank": '{"a": 1}',
    "a newline behind": '{"a":1}\n',
    "a key twice": '{"a":1,"a":1}',
    "a float": '{"a":1.0}',
    "an exponent": '{"a":1e3}',
    "null": '{"a":null}',
    "an integer of 2^53": '{"a":9007199254740992}',
    "minus zero": '{"a":-0}',
    "a needless escape": '{"a":"\\u0041"}',
    "an upper-case escape": '{"a":"\\u001F"}',
    "an escaped slash": '{"a":"\\/"}',
    "half a surrogate pair": '{"a":"\\ud800"}',
    "a key that is not ASCII": '{"\u00e9":1}',
    "no object": "[1]",
    "nothing": "",
}


def make() -> dict[str, Any]:
    """Everything, as JSON."""
    private, commitment = seal_private(1, 1, canonical({"text": "select 'secret'"}))
    chunks = [chunk(0, [frame(">", b"select"), frame("<", b"row", 0.5)]), chunk(1, [frame("<", b"done", 1)])]
    entries: list[Any] = [
        start(),
        (intent(1, 1, private=commitment), private),
        outcome(1, 2),
        end(3),
        chunk_leaf(0, chunks[0], 2),
        chunk_leaf(1, chunks[1], 1),
        sealed_leaf(chunks, 3),
    ]
    data, link = records(entries)
    return {
        "entry": {
            "good": [{"value": value, "bytes": canonical(value).hex()} for value in GOOD],
            "bad": [{"why": why, "bytes": text.encode("utf-8", "surrogatepass").hex()} for why, text in BAD.items()],
        },
        "keys": {"recording_key": RECORDING_KEY.hex(), "key_encryption_key": KEK.hex(), "session": SESSION},
        "private": {
            "seq": 1,
            "operation": 1,
            "content": {"text": "select 'secret'"},
            "sealed": private.hex(),
            "commitment": commitment,
        },
        "key_file": key_file().decode(),
        "journal": {
            "writer": "gate",
            "segment": (header() + data + bytes(64)).hex(),
            "leaves": [(entry[0] if isinstance(entry, tuple) else entry).decode() for entry in entries],
            "last_link": link.hex(),
        },
        "recording": {
            "file": (recording_header() + b"".join(chunks)).hex(),
            "digests": [hashlib.sha256(one).hexdigest() for one in chunks],
            "root": json.loads(sealed_leaf(chunks, 3))["root"],
            "frames": [[">", 0, "select"], ["<", 500_000, "row"], ["<", 1_000_000, "done"]],
            "begins_unix_us": struct.unpack_from(">xQ", frame(">", b""))[0],
        },
    }


if __name__ == "__main__":
    json.dump(make(), sys.stdout, indent=1, ensure_ascii=True, sort_keys=True)
    sys.stdout.write("\n")

# SPDX-License-Identifier: Apache-2.0
"""Text of peers made safe to print: nothing in it acts on a terminal, forges a line or turns its direction."""

from __future__ import annotations

import json

from gatebook.evidence.entry import Value

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def harmless(text: str) -> str:
    """Return text in which everything that a terminal could act on is a visible escape; no line breaks."""
    return text if text.isprintable() else "".join(ch if ch.isprintable() else _escape(ch) for ch in text)


def harmless_json(value: Value) -> str:
    """Return JSON on one line in which everything that a terminal could act on is an escape of JSON's own."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isprintable() else "".join(ch if ch.isprintable() else json.dumps(ch)[1:-1] for ch in text)


def _escape(ch: str) -> str:
    if ch in _SHORT:
        return _SHORT[ch]
    code = ord(ch)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}"

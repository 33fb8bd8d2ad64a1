# SPDX-License-Identifier: Apache-2.0
"""What a hostile client or server puts into a recording for whoever will look at it on a terminal."""

from __future__ import annotations

from support.evidence import chunk, frame, message

HOSTILE = {
    "clipboard (OSC 52)": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "title": "\x1b]0;root@prod\x07",
    "link (OSC 8)": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "cursor moves": "\x1b[1;1H\x1b[2J\x1b[3A\x1b[K",
    "alternate screen": "\x1b[?1049l\x1b[?1049h",
    "answers of the terminal": "\x1b[6n\x1b[c\x1b]10;?\x07",
    "device control": '\x1bP$q"p\x1b\\\x1b_G\x1b\\',
    "C1": "\x9b2J\x9d52;c;aGk=\x9c\x90\x85\x84",
    "bidi": "\u202egnissim\u202c \u2066a\u2069 \u200f\u061c",
    "invisible": "\u200b\u2060\ufeff\U000e0041\u00ad",
    "forged line": "x\r\n12:00:00.000000 < done: DROP TABLE 1\x08\x08\x7f\x00",
    "line separators": "a\u2028b\u2029c\x0bd\x0ce",
}
EVIL = " ".join(HOSTILE.values())
LONG = "L" * 300_000


def _text(value: str) -> bytes:
    return value.replace("\0", "").encode()


def _row(value: bytes) -> bytes:
    return message("D", b"\0\1" + len(value).to_bytes(4, "big") + value)


def hostile_chunk() -> bytes:
    """Return the chunk of a session in which both sides say such things wherever they can."""
    evil = _text(EVIL)
    raw = evil + b"\xff\xfe\x9b31m"
    column = evil + b"\0" + bytes(18)
    startup = b"\0\3\0\0user\0" + evil + b"\0application_name\0" + evil + b"\0\0"
    prepare = message("P", evil + b"\0select $1 " + evil + b"\0\0\0")
    bind = message("B", b"\0" + evil + b"\0\0\0\0\1" + len(raw).to_bytes(4, "big") + raw + b"\0\0")
    asked = message("Q", b"select '" + evil + LONG.encode() + b"'\0")
    error = message("E", b"SERROR\0C42601\0M" + evil + b"\0D" + evil + b"\0H" + evil + b"\0\0")
    answered = [
        message("T", b"\0\1" + column) + _row(raw) + _row(LONG.encode()),
        message("C", evil + b"\0"),
        message("N", b"SNOTICE\0M" + evil + b"\0\0"),
        message("A", b"\0\0\0\1" + evil + b"\0" + evil + b"\0"),
        message("H", b"\0\0\0") + message("d", raw + b"\n" + evil) + message("C", b"COPY 1\0"),
        error + message("Z", b"I"),
    ]
    frames = [frame(">", (len(startup) + 4).to_bytes(4, "big") + startup), frame(">", asked, 1)]
    frames += [frame("<", data, 2 + number) for number, data in enumerate(answered)]
    frames += [frame(">", prepare + bind + message("f", evil + b"\0"), 20), frame(">", b"\x1b\x1b[2J", 21)]
    return chunk(0, frames)

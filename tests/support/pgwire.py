# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL messages as bytes, both sides, written out plainly for tests (protocol 3.0, "Message Formats")."""

from __future__ import annotations

import struct
from collections.abc import Iterator

SSL_REQUEST = struct.pack(">II", 8, 80877103)
GSSENC_REQUEST = struct.pack(">II", 8, 80877104)
SYNC = b"S\x00\x00\x00\x04"
FLUSH = b"H\x00\x00\x00\x04"
TERMINATE = b"X\x00\x00\x00\x04"
READY = b"Z\x00\x00\x00\x05I"
READY_IN_BLOCK = b"Z\x00\x00\x00\x05T"
READY_FAILED = b"Z\x00\x00\x00\x05E"
PARSED = b"1\x00\x00\x00\x04"
BOUND = b"2\x00\x00\x00\x04"
CLOSED = b"3\x00\x00\x00\x04"
NO_DATA = b"n\x00\x00\x00\x04"
EMPTY = b"I\x00\x00\x00\x04"
SUSPENDED = b"s\x00\x00\x00\x04"
ASK_PASSWORD = b"R\x00\x00\x00\x08\x00\x00\x00\x03"
OFFER_BEARER = b"R\x00\x00\x00\x15\x00\x00\x00\x0aOAUTHBEARER\x00\x00"
AUTHENTICATED = b"R\x00\x00\x00\x08\x00\x00\x00\x00"


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def text(value: str | bytes) -> bytes:
    return (value.encode() if isinstance(value, str) else value) + b"\x00"


def startup(minor: int = 0, **parameters: str) -> bytes:
    body = struct.pack(">HH", 3, minor)
    for name, value in parameters.items():
        body += text(name) + text(value)
    body += b"\x00"
    return struct.pack(">I", len(body) + 4) + body


def cancel(process: int, secret: bytes) -> bytes:
    return struct.pack(">III", 12 + len(secret), 80877102, process) + secret


def password(value: str) -> bytes:
    return message(b"p", text(value))


def sasl_initial(data: bytes | None, mechanism: str = "OAUTHBEARER") -> bytes:
    length = struct.pack(">i", -1) if data is None else struct.pack(">I", len(data)) + data
    return message(b"p", text(mechanism) + length)


def bearer(token: str) -> bytes:
    return sasl_initial(b"n,,\x01auth=Bearer " + token.encode() + b"\x01\x01")


def query(sql: str) -> bytes:
    return message(b"Q", text(sql))


def parse(sql: str, name: str = "", types: tuple[int, ...] = ()) -> bytes:
    return message(b"P", text(name) + text(sql) + struct.pack(f">H{len(types)}I", len(types), *types))


def bind(statement: str = "", portal: str = "", values: tuple[bytes | None, ...] = ()) -> bytes:
    body = text(portal) + text(statement) + struct.pack(">HH", 0, len(values))
    for value in values:
        body += struct.pack(">i", -1) if value is None else struct.pack(">I", len(value)) + value
    return message(b"B", body + struct.pack(">H", 0))


def describe(kind: str, name: str = "") -> bytes:
    return message(b"D", kind.encode() + text(name))


def group(name: str, *texts: str) -> bytes:
    """Statements under a name of their own, which is dropped before and after."""
    one = (close("S", name) + parse(sql, name) + bind(name) + execute() for sql in texts)
    return b"".join(one) + close("S", name) + SYNC


def execute(portal: str = "", rows: int = 0) -> bytes:
    return message(b"E", text(portal) + struct.pack(">I", rows))


def close(kind: str, name: str = "") -> bytes:
    return message(b"C", kind.encode() + text(name))


def row_description(*names: str) -> bytes:
    body = struct.pack(">H", len(names))
    for name in names:
        body += text(name) + struct.pack(">IHIhih", 0, 0, 25, -1, -1, 0)
    return message(b"T", body)


def row(*values: bytes | None) -> bytes:
    body = struct.pack(">H", len(values))
    for value in values:
        body += struct.pack(">i", -1) if value is None else struct.pack(">I", len(value)) + value
    return message(b"D", body)


def complete(tag: str) -> bytes:
    return message(b"C", text(tag))


def error(sqlstate: str, words: str, severity: str = "ERROR") -> bytes:
    fields = b"S" + text(severity) + b"V" + text(severity) + b"C" + text(sqlstate) + b"M" + text(words)
    return message(b"E", fields + b"\x00")


def parameter(name: str, value: str) -> bytes:
    return message(b"S", text(name) + text(value))


def key_data(process: int, secret: bytes) -> bytes:
    return message(b"K", struct.pack(">I", process) + secret)


def split(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield (type letter, body) of whole messages."""
    while data:
        length = struct.unpack_from(">I", data, 1)[0]
        yield data[:1].decode("latin-1"), data[5 : 1 + length]
        data = data[1 + length :]


def error_fields(body: bytes) -> dict[str, str]:
    """Fields of an ErrorResponse by their letter."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\x00") if part}

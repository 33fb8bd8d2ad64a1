# SPDX-License-Identifier: Apache-2.0
"""Ids that sort by time: drawn from the clock and the operating system's randomness."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no letters that look like digits
_TIME_CHARACTERS = 10
_RANDOM_CHARACTERS = 16  # 80 bits
_SALT_BYTES = 32


def sortable_id(prefix: str) -> str:
    """Return the prefix, `_`, and 26 characters: 50 bits of milliseconds, so that ids sort by time, and 80 random."""
    millis = time.time_ns() // 1_000_000
    moment = "".join(_ALPHABET[(millis >> shift) & 31] for shift in range(5 * (_TIME_CHARACTERS - 1), -1, -5))
    return f"{prefix}_{moment}" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def new_salt() -> str:
    """Return a new salt of a binding: 64 hex digits."""
    return secrets.token_hex(_SALT_BYTES)


def new_request_id() -> str:
    """Return a new id of a request for approval."""
    return sortable_id("apr")

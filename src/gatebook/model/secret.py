# SPDX-License-Identifier: Apache-2.0
"""A value that must never be printed, compared carelessly or pickled by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Secret bytes.

    `repr` and `str` show nothing, equality is constant-time, hashing and pickling are refused.
    `reveal()` is the one door out; call it at the last moment and keep no copy.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else value

    def reveal(self) -> bytes:
        """Return the secret bytes."""
        return self._value

    def __eq__(self, other: object) -> bool:
        """Compare in constant time; only a Secret equals a Secret."""
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a hash would leak through dict order and repr

    def __repr__(self) -> str:
        """Show that there is one, and nothing of it."""
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into a snapshot."""
        message = "a Secret cannot be pickled"
        raise TypeError(message)

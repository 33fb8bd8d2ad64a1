# SPDX-License-Identifier: Apache-2.0
"""The error tree: one root, families by whose fault it is.

GatebookError
├── ClientFault    the client sent something wrong; told to the client
├── UpstreamFault  the target failed or lied; told to client and operator
├── OperatorFault  configuration, policy, disk; told to the operator with what to do next
└── Bug            an invariant of ours does not hold; fails closed
"""

from __future__ import annotations


class GatebookError(Exception):
    """Root of every error Gatebook raises on purpose.

    `message` starts in lower case, has no period and no line break, and holds no secret; `hint` says
    what to do next.
    """

    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ClientFault(GatebookError):
    """The client sent something that is wrong or not permitted."""

    code = "client"


class UpstreamFault(GatebookError):
    """The target could not be reached, refused the gate, or broke its protocol."""

    code = "upstream"


class OperatorFault(GatebookError):
    """Something the operator owns is wrong: configuration, policy, key, disk."""

    code = "operator"


class Bug(GatebookError):
    """An invariant of ours does not hold. The unit of work ends; nothing is let through."""

    code = "bug"


def quoted(text: str, limit: int = 200) -> str:
    """Return user input for a message: in backticks, one line, cut to `limit` characters."""
    flat = "".join(ch if ch.isprintable() else "?" for ch in text)
    return f"`{flat[:limit]}`" + ("..." if len(flat) > limit else "")

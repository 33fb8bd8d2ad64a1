# SPDX-License-Identifier: Apache-2.0
"""What a route is before it stands behind its guard: method, path, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route. `is_described` ones stand in the description of the API."""

    method: str
    path: str
    answer: Callable[..., Any]  # what FastAPI calls with what its signature asks for
    is_described: bool = False

    @property
    def name(self) -> str:
        """As in the table of access."""
        return f"{self.method} {self.path}"


def page(method: str, path: str, answer: Callable[..., Any]) -> Endpoint:
    """Return a route for browsers."""
    return Endpoint(method, path, answer)


def described(method: str, path: str, answer: Callable[..., Any]) -> Endpoint:
    """Return a route for programs."""
    return Endpoint(method, path, answer, is_described=True)

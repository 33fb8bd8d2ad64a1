# SPDX-License-Identifier: Apache-2.0
"""The files that browsers load: read once at the start, named by their hash, so that they may be kept for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HASH: Final = 16


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    media_type: str
    version: str


@cache
def load_static() -> dict[str, StaticFile]:
    """Return every file that may be sent, by its path below `static`; what has another ending is not sent."""
    return dict(_walk(resources.files("gatebook.control") / "static", ""))


def address_of(name: str) -> str:
    """Return where a file is, with the hash of its content. KeyError if there is none."""
    return f"/static/{load_static()[name].version}/{name}"


def find_static(path: str) -> StaticFile | None:
    """Return the file at an address behind `/static/`; None if it is not there, or of another hash."""
    version, _, name = path.partition("/")
    found = load_static().get(name)
    return found if found is not None and found.version == version else None


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, StaticFile]]:
    found: list[tuple[str, StaticFile]] = []
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _walk(entry, f"{name}/")
            continue
        media_type = _TYPES.get("." + entry.name.rpartition(".")[2])
        if media_type is not None:
            content = entry.read_bytes()
            found.append((name, StaticFile(content, media_type, hashlib.sha256(content).hexdigest()[:_HASH])))
    return found

# SPDX-License-Identifier: Apache-2.0
"""Readers of single TOML values: each checks one kind of value and says what would have been right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gatebook.config.secrets import ConfigFault, SecretRef
from gatebook.model.errors import quoted

MAX_ITEMS = 1000  # LIMIT: targets, roles, groups, labels; more is a mistake in a generated file
MAX_LINES = 65_536  # LIMIT: a statement in a file of cases
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=StrEnum)
_SEGMENTS = re.compile(r"(?!.*(?:\.\.|//))[A-Za-z0-9_](?:[A-Za-z0-9_./-]{0,198}[A-Za-z0-9_])?", re.ASCII)
TOML_NAMES = {
    "targets": "target",
    "roles": "role",
    "issuers": "issuer",
    "authorities": "certificate_authority",
    "cases": "case",
    "witnesses": "witness",
    "classes": "class",
    "vaults": "vault",
    "timestamps": "timestamp",
    "exports": "export",
    "webhooks": "webhook",
}
"""Fields that are arrays of tables; TOML writes them in the singular."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: the file's folder and name, its text for line numbers, and the path of keys."""

    folder: Path
    file: str
    text: str
    keys: tuple[str | int, ...] = ()

    def below(self, key: str | int) -> Place:
        """Return the place of a member."""
        return Place(self.folder, self.file, self.text, (*self.keys, key))

    def fault(self, words: str, hint: str = "") -> ConfigFault:
        """Return an error that names file, line and key."""
        line = find_line(self.text, self.keys)
        where = f"{self.file}:{line}" if line else self.file
        named = f" {quoted(self.dotted)}" if self.keys else ""
        return ConfigFault(f"{where}:{named} {words}", hint)

    @property
    def dotted(self) -> str:
        """Keys joined by dots, array positions in brackets from 1."""
        parts = ""
        for key in self.keys:
            parts += f"[{key + 1}]" if isinstance(key, int) else f".{key}"
        return parts.removeprefix(".")


class Reader(Protocol[T_co]):
    """Reads one TOML value; ConfigFault from `place.fault` if it is not right."""

    @property
    def shape(self) -> str:
        """What is expected, for the reference page."""

    def __call__(self, value: object, place: Place) -> T_co:
        """Return the value parsed."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """A reader from a function. Its results are typed by the settings class that uses it."""

    shape: str
    read: Callable[[object, Place], Any]

    def __call__(self, value: object, place: Place) -> Any:  # noqa: ANN401  typed by the settings class
        return self.read(value, place)


def _read_text(value: object, place: Place) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > 4096:
        raise place.fault("must be a string of printable characters that is not empty")
    return value


def _read_lines(value: object, place: Place) -> str:
    if not isinstance(value, str) or not value.strip() or "\x00" in value or len(value) > MAX_LINES:
        raise place.fault(f"must be a string of 1 to {MAX_LINES} characters without NUL")
    return value


def _read_boolean(value: object, place: Place) -> bool:
    if not isinstance(value, bool):
        raise place.fault("must be `true` or `false`")
    return value


def _read_path(value: object, place: Place) -> Path:
    return place.folder / _read_text(value, place)


def _read_reference(value: object, place: Place) -> SecretRef:
    # The value is never repeated: who writes a secret here by mistake must not find it in a log.
    words = "must say where the secret is, and never be the secret itself"
    hint = "write `env:NAME` for an environment variable or `file:PATH` for a file"
    if not isinstance(value, str):
        raise place.fault(words, hint)
    match = re.fullmatch(r"([a-z][a-z0-9]{1,15}):(\S.{0,1023})", value)
    if match is None:
        raise place.fault(words, hint)
    return SecretRef(match[1], match[2])


def _read_texts(value: object, place: Place) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise place.fault("must be an array of strings")
    return tuple(_read_text(item, place.below(index)) for index, item in enumerate(value))


def _read_references(value: object, place: Place) -> tuple[SecretRef, ...]:
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise place.fault("must be an array of references")
    return tuple(_read_reference(item, place.below(index)) for index, item in enumerate(value))


def _read_segments(value: object, place: Place) -> str:
    if not isinstance(value, str) or _SEGMENTS.fullmatch(value) is None:
        raise place.fault("must be 1 to 200 of `A-Z`, `a-z`, `0-9`, `_`, `-`, `.` and `/` within")
    return value


def _read_labels(value: object, place: Place) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or len(value) > MAX_ITEMS:
        raise place.fault("must be a table of strings")
    return tuple(sorted((key, _read_text(item, place.below(key))) for key, item in value.items()))


text = _Reader("string", _read_text)
lines = _Reader("string, lines allowed", _read_lines)
boolean = _Reader("`true` or `false`", _read_boolean)
path = _Reader("path", _read_path)
reference = _Reader("`env:NAME` or `file:PATH`", _read_reference)
references = _Reader("array of references", _read_references)
segments = _Reader("path of a URL", _read_segments)
texts = _Reader("array of strings", _read_texts)
labels = _Reader("table of strings", _read_labels)


def integer(least: int, most: int) -> _Reader:
    """Return a reader of a number within bounds, both included."""

    def read(value: object, place: Place) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise place.fault(f"must be a whole number from {least} to {most}")
        return value

    return _Reader(f"{least} to {most}", read)


def integer_or(word: str, least: int, most: int) -> _Reader:
    """Return a reader of a number within bounds, or of a word, which gives None."""
    number = integer(least, most)

    def read(value: object, place: Place) -> int | None:
        if isinstance(value, str) and value != word:
            raise place.fault(f"must be a whole number from {least} to {most}, or `{word}`")
        return None if value == word else int(number(value, place))

    return _Reader(f"{number.shape}, or `{word}`", read)


def choice(*words: str) -> _Reader:
    """Return a reader of one of a few words."""

    def read(value: object, place: Place) -> str:
        if value not in words:
            listed = ", ".join(f"`{word}`" for word in words)
            raise place.fault(f"must be one of {listed}", _nearest(value, words))
        return str(value)

    return _Reader(" or ".join(f"`{word}`" for word in words), read)


def choices(*words: str) -> _Reader:
    """Return a reader of an array of some of a few words."""
    one = choice(*words)

    def read(value: object, place: Place) -> tuple[str, ...]:
        return tuple(one(item, place.below(index)) for index, item in enumerate(_read_texts(value, place)))

    return _Reader("array of " + ", ".join(f"`{word}`" for word in words), read)


def member(kind: type[StrEnum]) -> _Reader:
    """Return a reader of one of an enum's words."""
    words = choice(*(str(item) for item in kind))
    return _Reader(words.shape, lambda value, place: kind(words(value, place)))


def name(pattern: re.Pattern[str]) -> _Reader:
    """Return a reader of a short name that is safe in a path, a policy and a command."""

    def read(value: object, place: Place) -> str:
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise place.fault("must be 1 to 63 of `a-z`, `0-9`, `-`, `_`, with a letter or digit at both ends")
        return value

    return _Reader("name", read)


def table(kind: type[Any]) -> _Reader:
    """Return a reader of a table into a settings class."""
    return _Reader("table", lambda value, place: read_table(kind, value, place))


def tables(kind: type[Any]) -> _Reader:
    """Return a reader of an array of tables, of which `name` must be unique."""

    def read(value: object, place: Place) -> tuple[Any, ...]:
        if not isinstance(value, list) or not value or len(value) > MAX_ITEMS:
            raise place.fault("must be an array of tables that is not empty")
        items = tuple(read_table(kind, item, place.below(index)) for index, item in enumerate(value))
        seen: set[str] = set()
        for index, item in enumerate(items):
            if item.name in seen:
                raise place.below(index).below("name").fault("is there twice", "names must be unique")
            seen.add(item.name)
        return items

    return _Reader("array of tables", read)


def read_table(kind: type[Any], value: object, place: Place, **given: object) -> Any:  # noqa: ANN401  a settings class
    """Return a settings object from a TOML table; `given` are fields that do not come from it.

    Unknown keys are refused with the nearest known name; absent ones without a default are named.
    """
    if not isinstance(value, dict):
        raise place.fault("must be a table")
    known = {TOML_NAMES.get(item.name, item.name): item for item in fields(kind) if "read" in item.metadata}
    for key in value:
        if key not in known:
            raise place.below(key).fault("is not a setting", _nearest(key, known))
    parsed: dict[str, object] = dict(given)
    for key, item in known.items():
        if key in value:
            parsed[item.name] = item.metadata["read"](value[key], place.below(key))
        elif not has_default(item):
            raise place.fault(f"needs the setting `{key}`", str(item.metadata["words"]))
    return kind(**parsed)


def has_default(item: Field[Any]) -> bool:
    """Return whether the setting may be absent."""
    return item.default is not MISSING


def find_line(source: str, keys: tuple[str | int, ...]) -> int:
    """Return the line (from 1) of a key in TOML text, or of the closest table above it; 0 if neither is found.

    Best effort for messages only: it knows headers and `key =` lines, not keys inside inline tables.
    """
    table_keys: tuple[str | int, ...] = ()
    counts: dict[tuple[str | int, ...], int] = {}
    best, depth = 0, 0
    for number, line in enumerate(source.splitlines(), 1):
        header = re.fullmatch(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?", line)
        if header is not None:
            table_keys = _header_keys(header[2], counts, array=header[1] == "[[")
            here = table_keys
        else:
            assignment = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
            if assignment is None:
                continue
            here = (*table_keys, *_split(assignment[1]))
        if len(here) > depth and keys[: len(here)] == here:
            best, depth = number, len(here)
    return best


def _header_keys(written: str, counts: dict[tuple[str | int, ...], int], *, array: bool) -> tuple[str | int, ...]:
    keys: tuple[str | int, ...] = ()
    parts = _split(written)
    for position, part in enumerate(parts):
        keys = (*keys, part)
        if array and position == len(parts) - 1:
            counts[keys] = counts.get(keys, -1) + 1
        if keys in counts:
            keys = (*keys, counts[keys])
    return keys


def _split(written: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in written.split("."))


def _nearest(word: object, known: Mapping[str, object] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    if close:
        return f"did you mean `{close[0]}`?"
    return "known: " + ", ".join(f"`{item}`" for item in known)

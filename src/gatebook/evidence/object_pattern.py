# SPDX-License-Identifier: Apache-2.0
"""Objects as a person names them: `orders`, `public.orders`, `shop.public.orders`, `public.*`.

Source: accesses of leaves, docs/spec/entry.md, "Kinds": `<kind>:<path>`, parts of the path joined by dots, dots and
backslashes inside a part behind a backslash. Patterns have the same form; the kind may be absent, and the last part may
be `*`. Bounds: 300 characters, 8 parts. Case is folded on both sides: who looks wants `Orders` and `orders`.

An object has as its *names* every end of its path, and the target before each end, so that the database may be left
out. A column has the names of its relation too. What is named only as the client wrote it (`Unknown`) is split at its
dots. The names of its *containers* are those of every beginning of its path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.operation import ObjectKind

MAX_CHARACTERS = 300  # of an access in a leaf, and so of a pattern
MAX_PARTS = 8

_KINDS = frozenset(kind.value.casefold() for kind in ObjectKind)
_COLUMN, _UNKNOWN = ObjectKind.COLUMN.value.casefold(), ObjectKind.UNKNOWN.value.casefold()


class QuestionFault(OperatorFault):
    """What is asked cannot be asked so."""

    code = "question"


@dataclass(frozen=True, slots=True)
class ObjectPattern:
    """An object that is looked for: `name` as `join` gives it, or what is inside it; `kind` empty for any."""

    name: str
    kind: str = ""
    inside: bool = False

    @classmethod
    def parse(cls, text: str) -> ObjectPattern:
        """Read what a person wrote. QuestionFault if it names nothing."""
        kind, colon, path = text.casefold().partition(":")
        if not colon or kind not in _KINDS:
            kind, path = "", text.casefold()
        parts = split(path)
        inside = parts[-1] == "*"
        parts = parts[:-1] if inside else parts
        if not parts or not all(parts) or len(parts) > MAX_PARTS or len(text) > MAX_CHARACTERS:
            hint = "such as `orders`, `public.orders`, `shop.public.orders` or `public.*`"
            raise QuestionFault(f"{quoted(text)} names no object", hint)
        return cls(join(parts), kind, inside)


def names_of(access: str) -> tuple[str, list[str], list[str]]:
    """Return the kind of an access's object, its names, and the names of its containers; all folded."""
    kind, _, path = access.casefold().partition(":")
    parts = split(path)
    if kind == _UNKNOWN:
        parts = [*parts[:-1], *parts[-1].split(".")]
    wholes = [parts, parts[:-1]] if kind == _COLUMN else [parts]
    names = [name for whole in wholes for name in _ends(whole)]
    return kind, names, [name for count in range(1, len(parts)) for name in _ends(parts[:count])]


def split(path: str) -> list[str]:
    """Return the parts of a path; a backslash at its end, where a path was cut, is dropped."""
    parts, escaped = [""], False
    for character in path:
        if escaped or character not in "\\.":
            parts[-1] += character
            escaped = False
        elif character == ".":
            parts.append("")
        else:
            escaped = True
    return parts


def join(parts: Sequence[str]) -> str:
    """Return parts as one text that no other parts give."""
    return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in parts)


def _ends(parts: Sequence[str]) -> list[str]:
    ends = [join(parts[begin:]) for begin in range(len(parts))]
    return ends + [join([parts[0], *parts[begin:]]) for begin in range(2, len(parts))]

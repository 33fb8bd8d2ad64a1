# SPDX-License-Identifier: Apache-2.0
"""Questions to the book: what can be asked, which leaves answer it, and by which terms an index finds them.

A leaf has *facets*, pairs of what and value; a question asks for some of them, and for a time. An index keeps a hash of
each facet, so that it holds no name. It may only ever say where to look: whether a leaf answers is seen in the leaf.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

import msgspec

from gatebook.evidence.entry import EntryFault, Leaf, Value, parse_time
from gatebook.evidence.events import BY_NAME
from gatebook.evidence.object_pattern import MAX_CHARACTERS, ObjectPattern, QuestionFault, names_of
from gatebook.model.errors import quoted

TERMS_VERSION = 1  # raised with every change of `facets_of`: an index of another version answers wrongly
MAX_WORDS = 32  # LIMIT: of a question
OUTCOME = "operation.outcome"

Facet = tuple[str, str]
_WORD = re.compile(r"\w+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVERY: Facet = ("entry", "")
_UNREADABLE = frozenset({_EVERY, ("unclear", "object"), ("unclear", "shape")})
_OF_OBJECTS = frozenset({"object", "inside", "kind", "action"})
_RESULTS = {"accepted": "allow", "refused": "refuse"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for; what is empty is not asked. `begin` is included, `end` is not; both aware.

    `unclear` asks for operations whose objects no leaf tells whole.
    """

    object: ObjectPattern | None = None
    action: str = ""
    agent: str = ""
    owner: str = ""
    person: str = ""
    target: str = ""
    session: str = ""
    approval: str = ""
    decision: str = ""
    event: str = ""
    shape: str = ""
    begin: datetime | None = None
    end: datetime | None = None
    unclear: bool = False

    def __post_init__(self) -> None:
        """Refuse what no entry could answer. QuestionFault."""
        words = _words(self.shape)
        if len(words) > MAX_WORDS or (self.shape and not words):
            raise QuestionFault(f"a shape is looked for by 1 to {MAX_WORDS} words")
        if self.event and self.event not in BY_NAME:
            raise QuestionFault(f"{quoted(self.event)} is no kind of entry", "docs/spec/entry.md lists them")
        if self.event == OUTCOME:
            raise QuestionFault("an outcome is shown with its operation", "ask for `operation.intent`")

    def facets(self) -> frozenset[Facet]:
        """Return what a leaf must have, beside the time."""
        named = ("agent", "owner", "person", "target", "session", "approval", "decision", "event")
        facets = {(name, str(value)) for name in named if (value := getattr(self, name))}
        if self.object is not None:
            facets.add(_object_facet(self.object.inside, self.object.name, self.action.casefold()))
            if self.object.kind:
                facets.add(_kind_facet(self.object.kind, self.action.casefold()))
        elif self.action:
            facets.add(("action", self.action.casefold()))
        facets |= {("word", word) for word in _words(self.shape)}
        if self.unclear:
            facets.add(("unclear", "object"))
        return frozenset(facets or {_EVERY})

    def without_contents(self) -> frozenset[Facet]:
        """Return the facets of operations that may answer though their leaves do not tell: empty if there are none."""
        unclear = "object" if self.object or self.action else "shape" if self.shape else ""
        if not unclear or self.unclear:
            return frozenset()
        kept = {facet for facet in self.facets() if facet[0] not in _OF_OBJECTS | {"word"}}
        return frozenset(kept | {("unclear", unclear)})

    def is_within(self, at: datetime) -> bool:
        """Whether a moment is in the time that is asked for."""
        return (self.begin is None or at >= self.begin) and (self.end is None or at < self.end)

    def matches(self, leaf: Leaf) -> bool:
        """Whether a leaf answers. EntryFault if a time is asked for, and the leaf's has not its form."""
        if not self.facets() <= facets_of(leaf):
            return False
        if (self.begin or self.end) and not self.is_within(parse_time(str(leaf.get("time")))):
            return False
        asked = self.object
        if asked is None or not asked.kind:
            return True
        return any(
            {one for one in self.facets() if one[0] in _OF_OBJECTS} <= set(_access(action, access))
            for action, access in _accesses(_part(leaf, "action"))
        )


@dataclass(frozen=True, slots=True)
class Posting:
    """What an index keeps of an entry: its terms, or of an outcome whose it is; `at_us` since 1970, None if unknown."""

    index: int
    terms: tuple[str, ...]
    at_us: int | None
    outcome_of: int | None = None


def posting_of(index: int, data: bytes) -> Posting:
    """Return what an index keeps of entry `index`. One that cannot be read is found by every question of contents."""
    leaf = read_quickly(data)
    try:
        at_us = micros(parse_time(str((leaf or {}).get("time"))))
    except EntryFault:
        at_us = None
    is_outcome = leaf is not None and leaf.get("event") == OUTCOME
    key = operation_key(_text(leaf, "operation")) if leaf is not None and is_outcome else None
    return Posting(index, posting_terms(leaf), at_us, key)


def posting_terms(leaf: Leaf | None) -> tuple[str, ...]:
    """Return the terms of a leaf as `read_quickly` gives it: none of an outcome, which is found by its operation."""
    if not leaf:
        return terms_of(_UNREADABLE)
    return () if leaf.get("event") == OUTCOME else terms_of(facets_of(leaf))


def read_quickly(data: bytes) -> Leaf | None:
    """Return a leaf of a ledger that is verified, without checking that it is canonical; None if it is no leaf."""
    try:
        leaf = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return leaf if isinstance(leaf, dict) and leaf else None


def terms_of(facets: Iterable[Facet]) -> tuple[str, ...]:
    """Return the terms of facets: 12 hex digits each."""
    return tuple(_term(facet) for facet in facets)


def operation_key(operation: str) -> int:
    """Return the number under which outcomes of an operation are kept; two operations may share one."""
    return int.from_bytes(blake2b(operation.encode("utf-8", "replace"), digest_size=7).digest())


def micros(at: datetime) -> int:
    """Return microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def moment(at_us: int) -> datetime:
    """Return the aware moment of `micros`."""
    return _EPOCH + timedelta(microseconds=at_us)


def facets_of(leaf: Mapping[str, Value]) -> set[Facet]:
    """Return every facet of a leaf."""
    event = _text(leaf, "event")
    facets: set[Facet] = {_EVERY, ("event", event)}
    facets.update(_who(leaf))
    for name, value in (
        ("target", _text(leaf, "target") or _text(_part(leaf, "where"), "target")),
        ("session", _text(leaf, "session")),
        ("session", _text(leaf, "admitted")),
        ("decision", _decision(leaf, event)),
    ):
        if value:
            facets.add((name, value))
    for part in (leaf, _part(leaf, "decision")):
        if approval := _text(part, "approval") or _text(_part(part, "approval"), "id"):
            facets.add(("approval", approval))
    if event.startswith("operation."):
        facets.update(_contents(_part(leaf, "action")))
    return facets


def _contents(action: Mapping[str, Value]) -> Iterator[Facet]:
    """Facets of what an operation does: its accesses and the words of its shape."""
    unclear = not action or "accesses_more" in action or "opaque" in action
    for done, access in _accesses(action):
        yield from _access(done, access)
        unclear = unclear or done == "opaque" or len(access) >= MAX_CHARACTERS
    for word in _words(_text(action, "shape")):
        yield "word", word
    if unclear:
        yield "unclear", "object"
    if not action or "shape_cut" in action or "opaque" in action:
        yield "unclear", "shape"


def _accesses(action: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    accesses = action.get("accesses")
    for pair in accesses if isinstance(accesses, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            yield str(pair[0]), str(pair[1])


@lru_cache(maxsize=4096)
def _access(action: str, access: str) -> tuple[Facet, ...]:
    kind, names, containers = names_of(access)
    done = action.casefold()
    return (
        ("action", done),
        _kind_facet(kind, ""),
        _kind_facet(kind, done),
        *(
            _object_facet(inside, name, asked)
            for inside, found in ((False, names), (True, containers))
            for name in found
            for asked in ("", done)
        ),
    )


def _object_facet(inside: bool, name: str, action: str) -> Facet:  # noqa: FBT001  private, and used in a loop
    return ("inside" if inside else "object", f"{action} {name}")


def _kind_facet(kind: str, action: str) -> Facet:
    return ("kind", f"{action} {kind}")


def _who(leaf: Mapping[str, Value]) -> Iterator[Facet]:
    """Facets of people and agents: who it is, who owns it, who acts for whom; of entries on keys and people too."""
    for part in (leaf, _part(leaf, "identity")):
        for name in ("agent", "owner", "person"):
            if subject := _text(_part(part, name), "sub"):
                yield name, subject
                if name == "owner":
                    yield "person", subject
        actors = part.get("act")
        for actor in actors if isinstance(actors, list) else ():
            if isinstance(actor, dict) and (subject := _text(actor, "sub")):
                yield "agent", subject
                yield "person", subject


def _decision(leaf: Mapping[str, Value], event: str) -> str:
    if event == "authn":
        return _RESULTS.get(_text(leaf, "result"), "")
    return {"operation.intent": "allow", "operation.refused": "refuse"}.get(event, "")


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


@lru_cache(maxsize=1 << 16)
def _term(facet: Facet) -> str:
    name, value = facet
    return blake2b(f"{name}\0{value}".encode("utf-8", "replace"), digest_size=6).hexdigest()


def _part(leaf: Mapping[str, Value], name: str) -> Mapping[str, Value]:
    part = leaf.get(name)
    return part if isinstance(part, dict) else {}


def _text(leaf: Mapping[str, Value], name: str) -> str:
    text = leaf.get(name)
    return text if isinstance(text, str) else ""

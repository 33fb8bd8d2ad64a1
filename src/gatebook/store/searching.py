# SPDX-License-Identifier: Apache-2.0
"""Questions answered: the index says where to look, and only what the ledger says there is told.

Each entry that the index names is read from the ledger, shown to be in the tree that the notary signed, and compared
with the question and with what the index says of it. So an index can at worst leave something out; `prove` reads the
whole ledger for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gatebook.evidence.entry import EntryFault, Leaf, decode_leaf, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.query import (
    OUTCOME,
    Facet,
    Question,
    micros,
    operation_key,
    posting_terms,
    read_quickly,
    terms_of,
)
from gatebook.evidence.tree import HASH_BYTES, TILE_WIDTH, Frontier, inclusion_proof, leaf_hash, verify_inclusion
from gatebook.store.index import REBUILD, Cursor, Index, IndexFault, Span
from gatebook.store.indexing import Ledger, check_same, read_bundle

PAGE = 256  # candidates asked for at a time
MAX_UNCLEAR = 1000  # LIMIT: counted; more are `1,000 or more`
MAX_OUTCOMES = 1000  # LIMIT: executions of one portal that are added up, the newest
KEPT_BUNDLES = 8  # LIMIT: hits that are neighbours share one; a bundle has 16 MiB at most
KEPT_TILES = 4096


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that answers, by its number in the ledger; of an operation its outcomes too, in order."""

    index: int
    leaf: Leaf
    outcomes: tuple[tuple[int, Leaf], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The newest hits, oldest first. `more`: older ones were not asked for.

    `unclear` counts operations that may answer too though no leaf tells their objects, or their shape, whole; at most
    MAX_UNCLEAR. `proved`: all that was indexed was read, and nothing else answers.
    """

    hits: tuple[Hit, ...]
    more: bool
    unclear: int
    cursor: Cursor
    proved: bool = False


@dataclass(slots=True)
class _Reader:
    """Entries of a ledger, each shown to be in its signed tree."""

    ledger: Ledger
    _bundles: dict[int, list[bytes]] = field(default_factory=dict)
    _tiles: dict[tuple[int, int, int], bytes] = field(default_factory=dict)

    def read(self, level: int, index: int, width: int) -> bytes:
        """See `evidence.tree.Tiles`; what was read is kept."""
        place = (level, index, width)
        if place not in self._tiles:
            if len(self._tiles) >= KEPT_TILES:
                self._tiles.clear()
            self._tiles[place] = self.ledger.stored.read(level, index, width)
        return self._tiles[place]

    def peek(self, index: int) -> Leaf:
        """Return what is said to be a leaf, nothing if it is none. EvidenceFault if it was not signed."""
        return read_quickly(self._bundle(index // TILE_WIDTH)[index % TILE_WIDTH]) or {}

    def entry(self, index: int) -> Leaf:
        """Return a leaf. EvidenceFault if it was not signed, or is no leaf."""
        try:
            leaf = decode_leaf(self._bundle(index // TILE_WIDTH)[index % TILE_WIDTH])
            parse_time(str(leaf.get("time")))
        except EntryFault as fault:
            words = f"entry {index:,} of the ledger is malformed: {fault.message}"
            hint = "see `gatebook ledger verify`; ask for a time without it"
            raise EvidenceFault(fault.finding, words, hint) from fault
        return leaf

    def _bundle(self, number: int) -> list[bytes]:
        if number not in self._bundles:
            if len(self._bundles) >= KEPT_BUNDLES:
                del self._bundles[next(iter(self._bundles))]
            self._bundles[number] = self._read_signed(number)
        return self._bundles[number]

    def _read_signed(self, number: int) -> list[bytes]:
        """Return a bundle that is in the signed tree: its first entry is, and the proof of that holds all others.

        Entries that do not answer are proved too: one that was changed so that it answers no more must not be missed.
        """
        signed, first = self.ledger.checkpoint, number * TILE_WIDTH
        entries = read_bundle(self.ledger, number)
        hashes = b"".join(map(leaf_hash, entries))
        if hashes != self.read(0, number, len(entries)):
            words = f"an entry from {first:,} to {first + len(entries) - 1:,} of the ledger is not what its hash says"
            raise EvidenceFault("ledger_entry", words, "see `gatebook ledger verify`")
        verify_inclusion(
            hashes[:HASH_BYTES], first, signed.size, inclusion_proof(self, first, signed.size), signed.root
        )
        return entries


def search(index: Index, ledger: Ledger, question: Question, last: int, *, prove: bool = False) -> Answer:
    """Answer a question with the newest hits, at most `last`, out of what is indexed.

    With `prove` every entry that is indexed is read too, and the answer is the same without the index. IndexFault if
    the index is not of this ledger or differs from it, EvidenceFault if the ledger cannot be read or is not what was
    signed.
    """
    cursor = index.cursor()
    check_same(cursor, ledger)
    reader = _Reader(ledger)
    found = _find(index, reader, question, cursor, last + 1)
    hits = tuple(reversed(found[:last]))
    if prove:
        _prove(ledger, cursor, question, [hit.index for hit in found], hits)
    unclear = question.without_contents()
    count = index.count(terms_of(unclear), _span(question, cursor), MAX_UNCLEAR) if unclear else 0
    return Answer(hits, len(found) > last, count, cursor, prove)


def _find(index: Index, reader: _Reader, question: Question, cursor: Cursor, most: int) -> list[Hit]:
    """Return the newest entries that answer, newest first."""
    found: list[Hit] = []
    facets = question.facets()
    terms = terms_of(facets)
    below = cursor.size
    while len(found) < most:
        page = index.find(terms, _span(question, cursor, below), PAGE)
        for one in page:
            _check(reader, one, min(below, cursor.size), facets)
            below = one
            if _answers(question, reader.peek(one)):
                leaf = reader.entry(one)
                # Now, while its bundle is at hand: what came of it stands near.
                found.append(Hit(one, leaf, _outcomes(index, reader, one, leaf, cursor)))
                if len(found) == most:
                    break
        if len(page) < PAGE:
            break
    return found


def _check(reader: _Reader, one: int, below: int, facets: frozenset[Facet]) -> None:
    """Raise IndexFault if an entry that the index names is not what it says."""
    if not 0 <= one < below:
        raise _differs(one)
    leaf = reader.peek(one)
    # By terms, as two facets may share one: then the index is right, and the leaf does not answer.
    if not set(terms_of(facets)) <= set(posting_terms(leaf or None)):
        raise _differs(one)


def _outcomes(index: Index, reader: _Reader, one: int, leaf: Leaf, cursor: Cursor) -> tuple[tuple[int, Leaf], ...]:
    if leaf.get("event") != "operation.intent":
        return ()
    operation = str(leaf.get("operation"))
    found: list[tuple[int, Leaf]] = []
    for place in index.outcomes_of(operation_key(operation), MAX_OUTCOMES):
        if not one < place < cursor.size:
            raise _differs(place)
        outcome = reader.entry(place)
        if outcome.get("event") != OUTCOME:
            raise _differs(place)
        if outcome.get("operation") == operation:
            found.append((place, outcome))
    return tuple(found)


def _prove(ledger: Ledger, cursor: Cursor, question: Question, found: Sequence[int], hits: Sequence[Hit]) -> None:
    """Read all that is indexed. IndexFault if something else answers than was found, or came of it than was told."""
    frontier = Frontier.empty()
    answering: deque[int] = deque(maxlen=len(hits) + 1)  # one more than was asked for, or than there are
    came = {
        str(hit.leaf["operation"]): deque[int](maxlen=MAX_OUTCOMES)
        for hit in hits
        if hit.leaf["event"] == "operation.intent"
    }
    while frontier.size < cursor.size:
        first = frontier.size
        entries = read_bundle(ledger, first // TILE_WIDTH)[: cursor.size - first]
        frontier.append(b"".join(map(leaf_hash, entries)))
        for one, entry in enumerate(entries, first):
            leaf = read_quickly(entry) or {}
            if leaf.get("event") == OUTCOME:
                if (operation := leaf.get("operation")) in came:
                    came[str(operation)].append(one)
            elif _answers(question, leaf):
                answering.append(one)
    if frontier.root() != cursor.root:
        raise EvidenceFault("ledger_root", "the entries are not those that were signed", "see `gatebook ledger verify`")
    told = {one for hit in hits for one, _ in hit.outcomes}
    differing = (set(answering) ^ set(found)) | ({one for ones in came.values() for one in ones} ^ told)
    if differing:
        raise _differs(min(differing))


def _answers(question: Question, leaf: Leaf) -> bool:
    try:
        return question.matches(leaf)
    except EntryFault:
        return False


def _span(question: Question, cursor: Cursor, below: int | None = None) -> Span:
    return Span(
        None if question.begin is None else micros(question.begin),
        None if question.end is None else micros(question.end),
        cursor.size if below is None else below,
    )


def _differs(index: int) -> IndexFault:
    return IndexFault(f"the index and entry {index:,} of the ledger say different things", REBUILD)

# SPDX-License-Identifier: Apache-2.0
"""The interface of the search index, in product verbs; one shared test suite for all that implement it.

The index is derived from the ledger alone and can be deleted at any time: nothing is in it that a ledger does not give
again. It holds hashes of terms and numbers of entries, no names. Duties of an implementer: `extend` is all or nothing,
and a reader sees what was there before or after one, never between; durability is not asked for. What cannot be used,
because it is damaged, of another version or of something else, raises IndexFault, whenever that is seen. Methods may
be called from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gatebook.evidence.query import Posting
from gatebook.evidence.tree import EMPTY_ROOT
from gatebook.store.base import StoreFault

REBUILD = "make it anew with `gatebook index rebuild`"


class IndexFault(StoreFault):
    """The index cannot be used, or is not the index of this ledger. It can always be made anew."""

    code = "index"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a ledger is indexed: the first `size` entries, whose root is `root`, of the ledger with this key.

    `newest_us` is the newest time of an entry, microseconds since 1970; 0 where there was none.
    """

    key: str
    size: int = 0
    root: bytes = EMPTY_ROOT
    newest_us: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Times and entries among which is looked: each from the first, included, to the second, which is not."""

    begin_us: int | None = None
    end_us: int | None = None
    below: int | None = None


class Index(Protocol):
    """Where in the ledger entries are found."""

    def cursor(self) -> Cursor:
        """Return how far the ledger is indexed."""

    def extend(self, before: Cursor, postings: Sequence[Posting], after: Cursor) -> None:
        """Take up the entries behind `before`, in order. IndexFault if the cursor is not `before` any more."""

    def find(self, terms: Sequence[str], span: Span, most: int) -> list[int]:
        """Return entries that have all `terms` (one or more), newest first, at most `most`.

        Of the times in `span` entries beside them may come too; none that is inside is left out.
        """

    def count(self, terms: Sequence[str], span: Span, most: int) -> int:
        """Return how many `find` gives, at most `most`."""

    def outcomes_of(self, operation: int, most: int) -> list[int]:
        """Return the newest outcomes kept under an operation's number, in order; maybe those of another too."""

    def size_bytes(self) -> int:
        """Return what the index takes on the disk."""

    def close(self) -> None:
        """Release it; nothing may be called afterwards."""

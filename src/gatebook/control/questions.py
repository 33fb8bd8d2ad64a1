# SPDX-License-Identifier: Apache-2.0
"""Searches of the sealed book through the index, as `gatebook search` does them; the index is never waited for long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from gatebook.config import Settings
from gatebook.control.problems import Problem
from gatebook.evidence.object_pattern import ObjectPattern
from gatebook.evidence.query import Question
from gatebook.store.index import IndexFault
from gatebook.store.indexing import Behind, behind
from gatebook.store.searching import Hit, search
from gatebook.views.indexed import open_ledger, opened_index, take_up

CATCH_UP_S: Final = 1.0  # what little is missing is taken up before an answer; more is told
LOCK_WAIT_S: Final = 0.2
LAST: Final = 100
FIELDS: Final = ("action", "agent", "owner", "person", "target", "session", "event", "shape")


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, newest first, and what it could not look at."""

    hits: Sequence[Hit]
    more: bool
    unclear: int
    indexed: int
    sealed: int
    behind: Behind


def parse_question(
    named: str, decision: str, begin: str, end: str, texts: Mapping[str, str], *, unclear: bool = False
) -> Question:
    """Return a question from what was typed; `texts` are FIELDS by name. QuestionFault; Problem 422."""
    if decision not in {"", "allow", "refuse"}:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "question", "a decision is `allow` or `refuse`")
    return Question(
        object=ObjectPattern.parse(named) if named else None,
        decision=decision,
        begin=_moment(begin),
        end=_moment(end),
        unclear=unclear,
        **{name: texts.get(name, "") for name in FIELDS},
    )


def ask(settings: Settings, question: Question, last: int = LAST) -> Found:
    """Answer a question. EvidenceFault where nothing is sealed yet; IndexFault where there is no index."""
    ledger = open_ledger(settings)
    with suppress(IndexFault, OSError):  # best effort: what is indexed may do all the same; if not, that is told now
        take_up(settings.index_path, ledger, CATCH_UP_S, LOCK_WAIT_S)
    with opened_index(settings.index_path) as index:
        answer = search(index, ledger, question, last)
    hits = tuple(reversed(answer.hits))
    missing = behind(answer.cursor, ledger)
    return Found(hits, answer.more, answer.unclear, answer.cursor.size, ledger.checkpoint.size, missing)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        hint = "write it as 2026-11-25T14:00Z"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "question", "a time cannot be read", hint) from fault
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

# SPDX-License-Identifier: Apache-2.0
"""Clock and randomness: everything that must be new, drawn from the operating system."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

from gatebook.model.ids import EvaluationId, SessionId
from gatebook.model.secret import Secret
from gatebook.protocols.postgres.handler import Fresh
from gatebook.serve.wrapping import Wrapping
from gatebook.vault.keys import KEY_BYTES

# All of it is shown from protocol 3.2 on, four bytes before.
CANCEL_SECRET_BYTES = 32

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no letters that look like digits
_TIME_CHARACTERS = 10
_RANDOM_CHARACTERS = 16  # 80 bits


def now() -> datetime:
    """Return the moment, aware UTC."""
    return datetime.now(UTC)


def fresh_session(wrapping: Wrapping, session_s: int) -> Fresh:
    """Draw what a new session needs. The head of its recording is empty where another machine has to be asked."""
    session = SessionId(f"s_{_sortable()}")
    recording_key = Secret(secrets.token_bytes(KEY_BYTES))
    return Fresh(
        session=session,
        nonce=secrets.token_urlsafe(24),
        cancel_secret=secrets.token_bytes(CANCEL_SECRET_BYTES),
        recording_key=recording_key,
        recording_head=wrapping.wrap_here(session, recording_key),
        ends_at_us=(time.time_ns() // 1000) + session_s * 1_000_000,
    )


def fresh_evaluation() -> EvaluationId:
    """Return a new id of an evaluation."""
    return EvaluationId(f"e_{_sortable()}")


def fresh_request() -> str:
    """Return a new id of a request for approval."""
    return f"apr_{_sortable()}"


def _sortable() -> str:
    """Return 26 characters: 50 bits of milliseconds, so that ids sort by time, then 80 random bits."""
    millis = time.time_ns() // 1_000_000
    moment = "".join(_ALPHABET[(millis >> shift) & 31] for shift in range(5 * (_TIME_CHARACTERS - 1), -1, -5))
    return moment + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))

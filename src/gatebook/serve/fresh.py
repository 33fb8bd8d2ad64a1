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
from gatebook.vault.ids import sortable_id
from gatebook.vault.keys import KEY_BYTES

# All of it is shown from protocol 3.2 on, four bytes before.
CANCEL_SECRET_BYTES = 32


def now() -> datetime:
    """Return the moment, aware UTC."""
    return datetime.now(UTC)


def fresh_session(wrapping: Wrapping, session_s: int) -> Fresh:
    """Draw what a new session needs. The head of its recording is empty where another machine has to be asked."""
    session = SessionId(sortable_id("s"))
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
    return EvaluationId(sortable_id("e"))

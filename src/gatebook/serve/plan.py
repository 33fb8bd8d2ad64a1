# SPDX-License-Identifier: Apache-2.0
"""What a running gate needs to know of its settings beside its rules."""

from __future__ import annotations

from dataclasses import dataclass

from gatebook.config import Settings
from gatebook.model.ids import WriterId
from gatebook.protocols.postgres.handler import Limits


@dataclass(frozen=True, slots=True)
class Plan:
    """Lengths of time, bounds of new sessions, and the hash of the configuration in force."""

    writer: WriterId
    limits: Limits
    session_s: int
    login_wait_s: float
    heartbeat_s: int
    drain_s: int
    config_hash: str


def make_plan(settings: Settings) -> Plan:
    """Return the plan of a configuration."""
    limits = settings.limits
    return Plan(
        writer=WriterId(settings.gate.name),
        limits=Limits(
            statement_bytes=limits.statement_bytes,
            message_bytes=limits.message_bytes,
            names=limits.names,
            pipeline=limits.pipeline,
            idle_us=limits.idle_s * 1_000_000,
            journal_bytes_per_hour=limits.journal_bytes_per_hour,
            recording_bytes_per_hour=limits.recording_bytes_per_hour,
        ),
        session_s=limits.session_s,
        login_wait_s=limits.decision_ms / 2000,  # half of what the carrier waits for an answer
        heartbeat_s=settings.evidence.heartbeat_s,
        drain_s=settings.gate.drain_s,
        config_hash=settings.digest,
    )

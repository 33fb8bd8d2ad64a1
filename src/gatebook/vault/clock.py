# SPDX-License-Identifier: Apache-2.0
"""Whether the machine's clock is synchronised: entries bear its time, and heartbeats say what it is worth.

Source: adjtimex(2), Linux.
"""

from __future__ import annotations

import ctypes

CLOCK_UNSYNCHRONISED = 5  # TIME_ERROR


def clock_state() -> int | None:
    """Return what adjtimex(2) says of the clock, asking without changing anything; None where it is not there."""
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state = int(ask(ctypes.create_string_buffer(512)))  # a zeroed struct timex: modes 0 only reads
    return state if state >= 0 else None


def is_synchronised() -> bool:
    """Return whether the system vouches for its clock; not knowing is no."""
    return clock_state() not in {None, CLOCK_UNSYNCHRONISED}

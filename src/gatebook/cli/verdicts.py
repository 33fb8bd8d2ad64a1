# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of one thing: its name, how it went, what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    WEAK = "weak"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, how it went, what was seen."""

    name: str
    verdict: Verdict
    words: str

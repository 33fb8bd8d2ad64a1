# SPDX-License-Identifier: Apache-2.0
"""How often somebody may ask: a bucket of tokens for each name, refilled steadily, and no more names than a bound."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

NAMES: Final = 10_000  # LIMIT: addresses, or callers, remembered; who is forgotten starts with a full bucket


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """Buckets of one kind: `per_minute` requests each, which may come at once.

    Moments are seconds of a clock that never goes back.
    """

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._per_s = per_minute / 60.0
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, moment: float) -> float:
        """Take a token; return 0, or the seconds until there is one again: then none was taken."""
        wait = self.wait(name, moment)
        if not wait:
            self._buckets[name].tokens -= 1
        return wait

    def wait(self, name: str, moment: float) -> float:
        """Return the seconds until there is a token; 0 if there is one. None is taken."""
        bucket = self._buckets.get(name) or _Bucket(self._most, moment)
        bucket.tokens = min(self._most, bucket.tokens + max(0.0, moment - bucket.at) * self._per_s)
        bucket.at = moment
        self._buckets[name] = bucket
        self._buckets.move_to_end(name)
        if len(self._buckets) > NAMES:
            self._buckets.popitem(last=False)
        return 0.0 if bucket.tokens >= 1 else (1 - bucket.tokens) / self._per_s

# SPDX-License-Identifier: Apache-2.0
"""Cancel requests: each is entered before anything comes of it, and whoever guesses keys is slowed.

A key has four secret bytes before protocol 3.2, so that guessing is not hopeless: a wrong one counts as a failed login
of its source, and a source that fails too much waits or is turned away, also with a right key (its own sessions end a
statement by other means).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.parts import source_part
from gatebook.native.carrier import Cancel
from gatebook.serve.logins import Logins, source_of

CHECK = "cancel"


class Cancels:
    """Answers cancel requests. `write` takes a leaf and raises where evidence cannot be written."""

    def __init__(
        self, logins: Logins, write: Callable[[bytes], None], stamp: Callable[[], Stamp], clock: Callable[[], float]
    ) -> None:
        self._logins = logins
        self._write = write
        self._stamp = stamp
        self._clock = clock

    async def is_good(self, request: Cancel) -> bool:
        """Enter a request and return whether it is to be carried out. Raises what `write` raises."""
        ip, port = request.peer
        # Stands where a login has its user name: no user has it, for a name ends at a NUL; and one for each source, so
        # that no source slows the requests of another.
        name = f"\0cancel {source_of(ip)}"
        wait = self._logins.arrive(ip, name, self._clock())
        if wait:
            await asyncio.sleep(wait)
            self._logins.waited(ip)
        result = "throttled" if wait is None else "sent" if request.session else "unknown"
        is_told = result == "sent" or self._logins.fail(ip, name, CHECK, self._clock(), heard=wait is not None)
        if is_told:
            source = source_part(ip, port, None)
            self._write(builders.cancel(self._stamp(), result=result, source=source, session=request.session or ""))
        return result == "sent"

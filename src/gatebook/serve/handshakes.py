# SPDX-License-Identifier: Apache-2.0
"""Clients that never came inside TLS: each is a failed login in the book, and a flood of them is counted.

No credential was looked at, so nothing was guessed: such failures share the book's room with the other failed logins
of their source, and slow nobody's.
"""

from __future__ import annotations

from collections.abc import Callable

from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.parts import source_part
from gatebook.model.principal import Check, NotIdentified
from gatebook.native.carrier import NotSecured
from gatebook.serve.logins import Logins


class Handshakes:
    """Enters failed handshakes. `write` takes a leaf and raises where evidence cannot be written."""

    def __init__(
        self, logins: Logins, write: Callable[[bytes], None], stamp: Callable[[], Stamp], clock: Callable[[], float]
    ) -> None:
        self._logins = logins
        self._write = write
        self._stamp = stamp
        self._clock = clock

    def enter(self, failed: NotSecured) -> None:
        """Enter a client that never came inside TLS, or count it. Raises what `write` raises."""
        moment = self._clock()
        if failed.peer is None:
            self._logins.fail_elsewhere(failed.check, failed.times, moment)
            return
        ip, port = failed.peer
        if self._logins.fail(ip, "", failed.check, moment, heard=False):
            answer = NotIdentified((Check(failed.check, passed=False),))
            source = source_part(ip, port, None)
            # What it wanted, it would have said inside TLS.
            self._write(
                builders.authn(self._stamp(), answer, user="", database="", source=source, reason=failed.reason)
            )

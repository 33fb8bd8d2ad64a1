# SPDX-License-Identifier: Apache-2.0
"""People of the gate itself, who sign in with a passkey: whose it is and whether it signed, in named steps.

The signature itself is verified by whoever keeps passkeys (docs/spec/entry.md, "Keys of people"): a book says whether.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from gatebook.model.credential import Person
from gatebook.model.principal import Check, Identified, NotIdentified, Principal, PrincipalKind, Subject

METHOD: Final = "passkey"


@dataclass(frozen=True, slots=True)
class KnownPasskey:
    """A passkey that is somebody's now."""

    fingerprint: str
    person: Subject


class PasskeyBook(Protocol):
    """What is known of the passkey that was shown, as of now."""

    def find_passkey(self) -> KnownPasskey | None:
        """Return whose it is; None if it is nobody's."""

    def is_signed(self) -> bool:
        """Whether it signed the challenge, its person there and verified. Asked once, of one that is known."""

    def find_person(self, subject: Subject) -> Person | None:
        """Return the person, also if disabled."""


def not_shown(check: str) -> NotIdentified:
    """Return the answer to a sign-in that failed at this check, before a passkey was looked at."""
    return NotIdentified((Check(check, passed=False),))


def verify(book: PasskeyBook) -> Identified | NotIdentified:
    """Verify a passkey. The checks, in order: `passkey` (it is somebody's), `signature`, `person` (not disabled)."""
    passed: list[Check] = []
    found = book.find_passkey()
    if found is None:
        return NotIdentified((Check(METHOD, passed=False),))
    passed.append(Check(METHOD, passed=True))
    if not book.is_signed():
        return NotIdentified((*passed, Check("signature", passed=False)), found.fingerprint)
    passed.append(Check("signature", passed=True))
    known = book.find_person(found.person)
    if known is None or known.disabled_at is not None:
        return NotIdentified((*passed, Check("person", passed=False)), found.fingerprint)
    passed.append(Check("person", passed=True))
    principal = Principal(PrincipalKind.PERSON, found.person, (), None, (), METHOD, found.fingerprint)
    return Identified(principal, tuple(passed), names=(found.person.subject,))

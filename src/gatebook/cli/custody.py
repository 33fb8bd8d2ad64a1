# SPDX-License-Identifier: Apache-2.0
"""What the commands on consent, holds and purging share: the journal of the command line, read and held."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gatebook.cli.common import folders_of, now, opened_journal, operator, recordings_of, stamp
from gatebook.cli.output import say
from gatebook.config import Settings
from gatebook.evidence import builders
from gatebook.evidence.consent import NAMESPACE, NEEDED, Request
from gatebook.model.errors import OperatorFault, quoted

if TYPE_CHECKING:
    from gatebook.evidence.custody import Asked, Custody
    from gatebook.vault.journal import JournalWriter
    from gatebook.vault.purging import Requests

ID_BYTES = 8
LIFE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Desk:
    """The journal, held so that nothing changes in between, and what it says."""

    settings: Settings
    journal: JournalWriter
    custody: Custody

    def asked(self, name: str) -> Asked:
        """Return a request. OperatorFault if there is none of that id."""
        found = self.custody.asked.get(name)
        if found is None:
            raise OperatorFault(f"no request {quoted(name)}", "list them with `gatebook consent list`")
        return found

    def ask(self, request: Request, listed: bytes = b"") -> Path:
        """Write the files of a request, then enter it; return the file to sign."""
        path = requests_of(self.settings).keep(request, listed)
        self.journal.append(builders.consent_requested(stamp(), request, by=operator()))
        return path


@contextmanager
def opened_desk(settings: Settings) -> Iterator[Desk]:
    """Hold the journal of the command line and read it. OperatorFault where it is damaged."""
    with opened_journal(settings) as journal:
        yield Desk(settings, journal, read_desk(settings))


def read_desk(settings: Settings) -> Custody:
    """Return what is in force, without holding anything."""
    from gatebook.vault.purging import read_custody  # noqa: PLC0415  cryptography, only where it is needed
    from gatebook.vault.reading import BookReader  # noqa: PLC0415  as above

    return read_custody(BookReader(folders_of(settings), recordings_of(settings, need_key=False)))[0]


def requests_of(settings: Settings) -> Requests:
    """Return the folder of requests."""
    from gatebook.vault.purging import Requests  # noqa: PLC0415  as above

    return Requests(settings.retention_path)


def new_id() -> str:
    """Draw the id of a request or a hold."""
    return secrets.token_hex(ID_BYTES)


def new_request(settings: Settings, kind: str, reason: str, life: timedelta, **own: str | int) -> Request:
    """Return a request as of now. OperatorFault if its bounds are not kept."""
    made = now()
    request = Request(
        id=new_id(),
        ledger=settings.ledger_origin,
        kind=kind,
        made_at=made,
        expires_at=made + life,
        by=operator(),
        reason=reason,
        **own,  # type: ignore[arg-type]  # erase, sessions, list_hash, hold
    )
    if not request.is_sound():
        raise OperatorFault("a request needs a reason of at most 1,024 characters, and lives at most 30 days")
    return request


def tell_signing(settings: Settings, request: Request, path: Path, *, missing: int = NEEDED) -> None:
    """Say how people consent; `missing` is how many still have to."""
    custodians = ", ".join(settings.retention.custodians) or "nobody, as `retention.custodians` is empty"
    people = "person" if missing == 1 else "people"
    say(f"request {request.id} waits for the consent of {missing} {people}; who can: {custodians}")
    say("whoever does looks at it and signs it, then the signature is handed in:")
    say(f"  gatebook consent show {request.id}")
    say(f"  ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519 {path}")
    say(f"  gatebook consent give {request.id} --person NAME --signature {path}.sig")

# SPDX-License-Identifier: Apache-2.0
"""Votes and ends of requests, as people give them: checked, written into the book, then in force.

The entry is on disk before the state changes, in one transaction of the store: a vote that is not in the book does not
count. Every function may be called by several processes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from gatebook.approval import request as rules
from gatebook.approval.people import Crowd
from gatebook.approval.request import NotNow
from gatebook.evidence import approval_entries
from gatebook.evidence.approval import Ballot, ballot_for
from gatebook.evidence.builders import Stamp
from gatebook.evidence.vote_signature import SESSION, verify_vote
from gatebook.model.approval import Choice, Request, State, Vote
from gatebook.model.credential import KeyRecord, Person, SigningKey
from gatebook.model.errors import quoted
from gatebook.model.principal import Subject

# A vote is signed before it is handed in: by hand, on another machine, within minutes.
LATEST = timedelta(minutes=10)
EARLIEST = timedelta(minutes=1)


class Kept(Protocol):
    """What of the store is needed here; the duties are those of `gatebook.store.base`."""

    def list_people(self) -> tuple[Person, ...]:
        """Return everybody."""

    def list_keys(self) -> tuple[KeyRecord, ...]:
        """Return the API keys of agents."""

    def list_signing_keys(self) -> tuple[SigningKey, ...]:
        """Return the keys that people sign with."""

    def find_request(self, request: str) -> Request | None:
        """Return a request."""

    def change_request(self, request: str, change: Callable[[Request], Request]) -> Request:
        """Replace a request in a transaction."""


def crowd_of(store: Kept) -> Crowd:
    """Return the people, machines and keys that a store knows now."""
    return Crowd(
        people={person.subject: person for person in store.list_people()},
        agents=frozenset(key.agent for key in store.list_keys()),
        keys=frozenset(key.fingerprint for key in store.list_signing_keys() if key.removed_at is None),
    )


@dataclass(frozen=True, slots=True)
class Booth:
    """Where votes are given: a gate's name, its store, and a journal to append to durably."""

    gate: str
    writer: str
    store: Kept
    append: Callable[[bytes], object]
    now: Callable[[], datetime]

    def find(self, request: str) -> Request:
        """Return a request. NotNow if there is none of this id."""
        found = self.store.find_request(request)
        if found is None:
            raise NotNow(f"no request {quoted(request)}", "list them with `gatebook approvals list`")
        return found

    def ballot(self, request: Request, person: Subject, choice: Choice, reason: str = "") -> Ballot:
        """Return what a person would sign now."""
        return ballot_for(request, self.gate, choice=choice, person=person, at=self.now(), reason=reason)

    def vote(self, ballot: Ballot, *, method: str, key: str = "", signature: bytes = b"", channel: str) -> Request:
        """Take a vote, and return the request as it is then.

        NotNow if it cannot count, ApprovalFault if its signature is not good; nothing is written then.
        """
        moment = self.now()
        request = self.find(ballot.request)
        if (ballot.gate, ballot.digest, ballot.shown) != (self.gate, request.digest, request.shown_digest):
            raise NotNow("the vote is about something else", "look at the request again, and vote anew")
        if not -EARLIEST <= moment - ballot.at <= LATEST:
            raise NotNow("the vote was not made now", "vote anew")
        if method != SESSION:
            self._check_signature(ballot, method, key, signature)
        vote = Vote(
            person=ballot.person,
            choice=ballot.choice,
            at=ballot.at,
            method=method,
            message=ballot.message(),
            key=key,
            signature=signature,
            channel=channel,
            reason=ballot.reason,
        )

        def change(found: Request) -> Request:
            if moment >= found.decide_by:  # also where the vote was made before
                raise NotNow("the request has expired", "the operation has to be asked for again")
            changed = rules.cast(found, vote, self.crowd())
            self.append(approval_entries.voted(self._stamp(), ballot, vote))
            self._tell(changed)
            return changed

        def look(found: Request) -> Request:
            changed = rules.review(found, vote, self.crowd())
            self.append(approval_entries.voted(self._stamp(), ballot, vote))
            return changed

        if ballot.choice is Choice.REVIEW:
            return self.store.change_request(request.id, look)

        return self.store.change_request(request.id, change)

    def withdraw(self, request: str, person: Subject, why: str) -> Request:
        """Take a person's consent back. NotNow if that is too late."""
        return self._end(request, lambda found: rules.withdraw(found, person, self.crowd(), self.now(), why))

    def cancel(self, request: str, why: str) -> Request:
        """End a request for its asker. NotNow if it is over."""
        return self._end(request, lambda found: rules.cancel(found, self.now(), why))

    def crowd(self) -> Crowd:
        """Return the people and machines that are known now."""
        return crowd_of(self.store)

    def _end(self, request: str, end: Callable[[Request], Request]) -> Request:
        def change(found: Request) -> Request:
            changed = end(found)
            self._tell(changed)
            return changed

        return self.store.change_request(self.find(request).id, change)

    def _tell(self, changed: Request) -> None:
        if changed.state is State.GRANTED:
            self.append(approval_entries.granted(self._stamp(), changed))
        elif not changed.is_open:
            self.append(approval_entries.ended(self._stamp(), changed))

    def _check_signature(self, ballot: Ballot, method: str, key: str, signature: bytes) -> None:
        keys = {known.fingerprint: known for known in self.store.list_signing_keys()}
        known = keys.get(key)
        if known is None or known.person != ballot.person or known.removed_at is not None:
            raise NotNow("the key is not this person's", "see `gatebook person key list`")
        verify_vote(method, known.text, ballot.message(), signature)

    def _stamp(self) -> Stamp:
        return Stamp(self.writer, self.now())

# SPDX-License-Identifier: Apache-2.0
"""Votes at the console: who may see a request and vote, one challenge for each vote, and the vote itself.

A vote by passkey signs the bytes of the ballot: the challenge is their SHA-256, so that the assertion is the signature
that everybody can verify later. A challenge is for one ballot, one web session and one answer (AP-06: the step up is
for the vote, never for a while). A credential of an agent comes nowhere near: the table of access has no row for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from webauthn import generate_authentication_options
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

from gatebook.approval.people import ineligible
from gatebook.config import ControlSettings
from gatebook.control.access import Who
from gatebook.control.assertion import AssertionRefused, Credential, read_assertion
from gatebook.control.caller import Caller
from gatebook.control.passkeys import LIFE, Passkeys
from gatebook.control.problems import Problem, absent
from gatebook.evidence import builders
from gatebook.evidence.approval import Ballot
from gatebook.evidence.builders import Stamp
from gatebook.evidence.entry import decode_canonical
from gatebook.evidence.vote_signature import SESSION, WEBAUTHN, challenge_of
from gatebook.model.approval import Choice, Request, State, Vote
from gatebook.model.principal import Principal, Subject
from gatebook.session.voting import Booth
from gatebook.store.base import Store
from gatebook.store.console import Challenge, ConsoleStore, hashed
from gatebook.views.approvals import list_waiting

VOTE: Final = "vote"
CHANNEL: Final = "console"
NAME_BYTES: Final = 32
LISTED: Final = 200
MAX_REASON: Final = 1024


@dataclass(frozen=True, slots=True)
class Item:
    """A request as a caller sees it. `why_not` says why they cannot vote now, and is empty if they can.

    `can_review`: somebody broke glass, it is over, and the caller may say that they looked at what was done.
    """

    request: Request
    why_not: str
    can_review: bool = False

    @property
    def waits_for_caller(self) -> bool:
        """Whether the caller's vote is wanted."""
        return not self.why_not or self.can_review


class Ballots:
    """Shows requests and takes votes. Used from the event loop's thread."""

    def __init__(
        self,
        control: ControlSettings,
        booth: Booth,
        *,
        store: Store,
        console: ConsoleStore,
        passkeys: Passkeys,
        append: Callable[[bytes], object],
    ) -> None:
        self._control = control
        self._booth = booth
        self._store = store
        self._console = console
        self._passkeys = passkeys
        self._append = append

    # ── what there is ──

    def list_items(self, caller: Caller, *, with_ended: bool = False, most: int = LISTED) -> list[Item]:
        """Return requests that a caller may see, newest first; those that wait for their vote before all others."""
        found = self._store.list_requests(State, most) if with_ended else list_waiting(self._store, most)
        items = [self._item(caller, one) for one in found if self._is_shown(caller, one)]
        return items if with_ended else sorted(items, key=lambda item: not item.waits_for_caller)

    def changed(self, caller: Caller, since: int) -> tuple[int, list[Item]]:
        """Return requests changed since a number (0: all open ones) that a caller may see, and the number of now."""
        reached, found = self._store.list_changed(since)
        return reached, [self._item(caller, one) for one in found if self._is_shown(caller, one)]

    def find(self, caller: Caller, request: str) -> Item:
        """Return a request. Problem 404 if there is none that the caller may see."""
        found = self._store.find_request(request) if len(request) <= MAX_REASON else None
        if found is None or not self._is_shown(caller, found):
            raise absent("request")
        return self._item(caller, found)

    def look(self, caller: Caller, request: str) -> Item:
        """As `find`, for all of it; that somebody looks whose business it is not is entered. JournalUnwritable."""
        item = self.find(caller, request)
        if not self._is_concerned(caller, item.request):
            purpose = f"approval {item.request.id}"
            stamp = Stamp(self._booth.writer, self._booth.now())
            session = item.request.session
            self._append(
                builders.evidence_viewed(stamp, by=caller.name, session=session, purpose=purpose, form="approval")
            )
        return item

    def passkeys_of(self, caller: Caller) -> int:
        """Return how many passkeys a caller has."""
        return len(self._passkeys.keys_of(_person(caller).subject))

    # ── votes ──

    def begin(self, caller: Caller, request: str, choice: Choice, reason: str) -> tuple[str, dict[str, Any]]:
        """Return the name of a challenge and the browser's options for one vote. Problem 404, 409, 422."""
        ballot = self.ballot(caller, request, choice, reason)
        keys = self._passkeys.keys_of(ballot.person)
        if not keys:
            hint = "make one with a link of `gatebook person passkey`, or sign with an SSH key: `gatebook approvals`"
            raise Problem(HTTPStatus.CONFLICT, "passkey", "you have no passkey to sign with", hint)
        name, message, moment = secrets.token_urlsafe(NAME_BYTES), ballot.message(), self._booth.now()
        kept = Challenge(VOTE, hashed(caller.web), message, moment + LIFE)
        if not self._console.begin_challenge(name, kept, moment):
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS, "busy", "too many have begun and not finished", Retry_After="60"
            )
        options = generate_authentication_options(
            rp_id=self._control.rp_id,
            challenge=challenge_of(message),
            allow_credentials=[PublicKeyCredentialDescriptor(id=key.credential) for key in keys],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return name, options_to_json_dict(options)

    def finish(self, caller: Caller, request: str, name: str, credential: Credential) -> Request:
        """Take a vote with its signature. Problem 409, 422; NotNow, ApprovalFault, JournalUnwritable."""
        message = self._console.take_challenge(name, VOTE, hashed(caller.web), self._booth.now())
        if message is None:
            raise Problem(HTTPStatus.CONFLICT, "challenge", "the vote took too long, or was used already", "vote anew")
        ballot = Ballot.from_value(decode_canonical(message.removesuffix(b"\n")))
        if ballot.request != request or ballot.person != _person(caller).subject:
            raise Problem(HTTPStatus.CONFLICT, "challenge", "the vote is about something else", "vote anew")
        try:
            credential_id, assertion = read_assertion(credential)
            key = next(one for one in self._passkeys.keys_of(ballot.person) if one.credential == credential_id)
            self._passkeys.verify(key, challenge_of(message), assertion)
        except (AssertionRefused, StopIteration) as fault:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "passkey", "the signature is not accepted") from fault
        return self._booth.vote(
            ballot, method=WEBAUTHN, key=key.fingerprint, signature=assertion.encode(), channel=CHANNEL
        )

    def vote_unsigned(self, caller: Caller, request: str, choice: Choice, reason: str) -> Request:
        """Take a vote without a key, where every policy that asks lets it be so. Problem; NotNow, JournalUnwritable."""
        return self._booth.vote(self.ballot(caller, request, choice, reason), method=SESSION, channel=CHANNEL)

    def vote_signed(self, caller: Caller, ballot: Ballot, *, method: str, key: str, signature: bytes) -> Request:
        """Take a vote that was signed elsewhere, by who hands it in. Problem; NotNow, ApprovalFault."""
        self.find(caller, ballot.request)
        if ballot.person != _person(caller).subject:
            raise Problem(HTTPStatus.FORBIDDEN, "vote", "the vote is another person's")
        if ballot.choice is not Choice.APPROVE and not ballot.reason.strip():
            raise _no_reason()
        if method == SESSION:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "vote", "the vote has no signature")
        return self._booth.vote(ballot, method=method, key=key, signature=signature, channel="api")

    def ballot(self, caller: Caller, request: str, choice: Choice, reason: str) -> Ballot:
        """Return what a caller would sign now. Problem 404, 409 if they cannot vote, 422 without a reason to deny."""
        item, words = self.find(caller, request), " ".join(reason.split())
        if item.why_not and not (choice is Choice.REVIEW and item.can_review):
            raise Problem(HTTPStatus.CONFLICT, "vote", f"you cannot vote on it: {item.why_not}")
        if choice is not Choice.APPROVE and not words:
            raise _no_reason()
        if len(words) > MAX_REASON:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "reason", f"a reason has at most {MAX_REASON} characters")
        return self._booth.ballot(item.request, _person(caller).subject, choice, words)

    # ── ends ──

    def withdraw(self, caller: Caller, request: str, reason: str) -> Request:
        """Take the caller's consent back. Problem 404, 422; NotNow if that is too late."""
        self.find(caller, request)
        if not reason.strip():
            raise _no_reason()
        return self._booth.withdraw(request, _person(caller).subject, " ".join(reason.split()))

    def cancel(self, caller: Caller, request: str) -> Request:
        """End a request for its asker, or the person who answers for it. Problem 403, 404; NotNow if it is over."""
        item = self.find(caller, request)
        asker = item.request.principal
        if caller.principal is None or caller.principal.subject not in {asker.subject, asker.owner}:
            raise Problem(HTTPStatus.FORBIDDEN, "cancel", "only who asked can cancel it")
        return self._booth.cancel(request, f"cancelled by {caller.name}")

    # ── who ──

    def _is_shown(self, caller: Caller, request: Request) -> bool:
        return caller.reads_all or self._is_concerned(caller, request)

    def _is_concerned(self, caller: Caller, request: Request) -> bool:
        """Whether a caller asked, answers for who asked, has voted, or is in a group that is asked."""
        if caller.principal is None:
            return False
        subject, asker = caller.principal.subject, request.principal
        if not caller.is_any(Who.PERSON):
            return subject == asker.subject
        is_asked = bool(_groups(self._store, subject) & {need.group for need in request.hold.requirements})
        return is_asked or subject in {asker.subject, asker.owner} or _has_voted(request.votes, subject)

    def _item(self, caller: Caller, request: Request) -> Item:
        can_review = request.waits_for_review and caller.is_any(Who.APPROVER) and not self._shut_out(caller, request)
        return Item(request, self._why_not(caller, request), can_review)

    def _why_not(self, caller: Caller, request: Request) -> str:
        if request.state is not State.PENDING:
            return f"it is {request.state.value}"
        if self._booth.now() >= request.decide_by:
            return "it has expired"
        if caller.principal is None or not caller.is_any(Who.PERSON):
            return "only people vote"
        return self._shut_out(caller, request)

    def _shut_out(self, caller: Caller, request: Request) -> str:
        crowd, subject = self._booth.crowd(), _person(caller).subject
        human = crowd.human(subject)
        if any(crowd.human(vote.person) == human for vote in request.votes):
            return "you have voted"
        return ineligible(request.principal, request.hold, request.made_at, subject, crowd)


def _groups(store: Store, subject: Subject) -> set[str]:
    known = store.find_person(subject)
    return {membership.group for membership in known.groups} if known is not None else set()


def _has_voted(votes: Sequence[Vote], subject: Subject) -> bool:
    return any(vote.person == subject for vote in votes)


def _person(caller: Caller) -> Principal:
    if caller.principal is None or not caller.is_any(Who.PERSON):
        raise Problem(HTTPStatus.FORBIDDEN, "vote", "only people vote")
    return caller.principal


def _no_reason() -> Problem:
    hint = "who asked is told it, and the book keeps it"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "reason", "this needs a reason", hint)


def waiting(items: Iterable[Item]) -> int:
    """Return how many wait for the caller."""
    return sum(item.waits_for_caller for item in items)

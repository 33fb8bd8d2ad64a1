# SPDX-License-Identifier: Apache-2.0
"""Whether what ran by an approval is what people consented to: followed through the entries of all journals.

SPEC: docs/spec/approval.md, "What a verifier must check". Fed with the leaves of any journals, those of one writer in
their order; keeps what concerns approvals alone, and says at the end what is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gatebook.evidence.approval import ApprovalFault
from gatebook.evidence.approval_binding import (
    ROLES,
    Asked,
    Ran,
    check_digest,
    check_entered,
    check_ran,
    read_asked,
    read_ran,
)
from gatebook.evidence.approval_people import PEOPLE, UNCERTAIN, Moment, People
from gatebook.evidence.approval_votes import Cast, check_cast, read_cast
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import EntryFault, Leaf, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.parts import read_subject
from gatebook.evidence.vote_signature import SESSION
from gatebook.model.approval import Choice, Kind
from gatebook.model.principal import Subject

MARKS: Final = (b'"approval', b'"grant":"', b'"event":"person.', b'"event":"key.created"')
"""What the bytes of a leaf hold that is looked at here."""
AT_BIND: Final = "at bind"  # SPEC: entry.md, `decision`: of a statement that is parsed and does not run yet
_ENTRIES: Final = frozenset(
    {"approval.requested", "approval.voted", "approval.granted", "approval.used", "approval.ended"}
)
_MOST: Final = 1 << 53
_INTENT: Final = "operation.intent"
_SESSION: Final = "session.start"
_OPERATIONS: Final = frozenset({"operation.held", _INTENT, "operation.refused"})
_LOOKED_AT: Final = PEOPLE | _ENTRIES | _OPERATIONS | {_SESSION}


@dataclass(frozen=True, slots=True)
class _Used:
    moment: Moment
    operation: str
    digest: str
    uses: object
    voters: tuple[Subject, ...]


@dataclass(slots=True)
class _Approval:
    """All that the book says of one request."""

    newest: datetime
    asked: Asked | None = None
    is_there: bool = False
    votes: list[Cast] = field(default_factory=list)
    granted: list[tuple[Moment, str]] = field(default_factory=list)
    used: list[_Used] = field(default_factory=list)
    ended: list[tuple[Moment, str]] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)


class Approvals:
    """What is told of approvals. `checked` counts, once finished, the requests and the uses that were looked at."""

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self._people = People()
        self._found: dict[str, _Approval] = {}
        self._faults: list[Finding] = []
        self._numbers: Counter[str] = Counter()

    def add(self, leaf: Leaf, private: Leaf | None = None) -> None:
        """Take a leaf, which passed `events.check_leaf`, with its private part if that is disclosed.

        The leaves of one writer must come in their order; those that say nothing of approvals may be left out.
        """
        event = leaf["event"]
        if event not in _LOOKED_AT:  # first: most are not
            return
        if event == _SESSION:
            identity = leaf.get("identity")
            if isinstance(identity, Mapping) and "grant" in identity:
                self._run(leaf, str(identity["grant"]), None)
        elif event in _OPERATIONS:
            decision = leaf.get("decision")
            if isinstance(decision, Mapping) and "approval" in decision:
                self._run(leaf, str(decision["approval"]), private)
        elif event in PEOPLE:
            self._people.add(self._moment(leaf), leaf)
        else:
            self._take(str(event), leaf)

    def finish(self, until: datetime | None = None) -> Iterator[Finding]:
        """Yield what is wrong. Requests with an entry from `until` on are passed over: not all may be there."""
        self._people.settle()
        yield from self._faults
        for name, found in self._found.items():
            if until is not None and found.newest >= until - UNCERTAIN:
                self.checked["approvals under way"] += 1
                continue
            if found.asked is not None:
                self.checked["approvals"] += 1
                yield from _Check(found.asked, found, self._people).run()
            elif not found.is_there:
                subjects = {ran.operation: None for ran in found.ran} or {name: None}
                for subject in subjects:
                    yield Finding("approval_missing", subject, f"names the approval {name}, which nobody asked for")

    def _moment(self, leaf: Leaf) -> Moment:
        writer = str(leaf["writer"])
        self._numbers[writer] += 1
        return Moment(parse_time(str(leaf["time"])), writer, self._numbers[writer])

    def _of(self, name: str, moment: Moment) -> _Approval:
        found = self._found.setdefault(name, _Approval(moment.at))
        found.newest = max(found.newest, moment.at)
        return found

    def _run(self, leaf: Leaf, name: str, private: Leaf | None) -> None:
        if name == AT_BIND and leaf.get("via") == "parse":
            return
        moment = self._moment(leaf)
        self._of(name, moment).ran.append(read_ran(moment, leaf, name, private))

    def _take(self, event: str, leaf: Leaf) -> None:
        name, moment = str(leaf["request"]), self._moment(leaf)
        found = self._of(name, moment)
        try:
            match event:
                case "approval.requested":
                    if found.is_there:
                        raise ApprovalFault("approval_reuse", "two requests have one id")
                    found.is_there = True
                    found.asked = read_asked(moment, leaf)
                case "approval.voted":
                    found.votes.append(read_cast(moment, leaf))
                case "approval.granted":
                    found.granted.append((moment, str(leaf["until"])))
                case "approval.used":
                    voters = leaf["voters"]
                    named = tuple(read_subject(one) for one in voters) if isinstance(voters, list) else ()
                    use = _Used(moment, str(leaf["operation"]), str(leaf["digest"]), leaf["uses"], named)
                    found.used.append(use)
                case _:
                    found.ended.append((moment, str(leaf["result"])))
        except EvidenceFault as fault:
            self._faults.append(Finding(fault.finding, name, fault.message))


class _Check:
    """One request beside all that refers to it."""

    def __init__(self, asked: Asked, found: _Approval, people: People) -> None:
        self._asked = asked
        self._found = found
        self._people = people
        self._good: list[Cast] = []

    def run(self) -> Iterator[Finding]:
        """Yield what is wrong."""
        asked, found = self._asked, self._found
        yield from check_digest(asked)
        for cast in found.votes:
            wrong = list(check_cast(asked, cast, self._people))
            if cast.ballot.choice is Choice.REVIEW and all(cast.moment.precedes(end) for end, _ in found.ended):
                words = f"{cast.ballot.person.subject} reviewed it before it was over"
                wrong.append(Finding("approval_time", asked.id, words))
            yield from wrong
            if not wrong:
                self._good.append(cast)
        ran: dict[str, Ran] = {}
        for one in found.ran:
            if one.event in {_INTENT, _SESSION}:
                ran.setdefault(one.first, one)
            if one.event == _SESSION:
                yield from check_entered(asked, one)
            elif one.event != "operation.refused":
                yield from check_ran(asked, one)
            if one.moment.precedes(asked.moment):
                yield Finding("approval_time", one.operation, f"came before {asked.id} was asked for")
        uses = {used.operation: used for used in reversed(found.used)}
        for first, one in ran.items():
            used = uses.get(first)
            if used is None or not used.moment.precedes(one.moment):
                yield Finding("approval_missing", one.operation, f"ran, and no use of {asked.id} stands before it")
            else:
                yield from self._check_use(used, one)
        yield from self._check_uses([uses[first] for first in ran if first in uses], len(ran))

    def _check_uses(self, uses: list[_Used], ran: int) -> Iterator[Finding]:
        """Not more than were consented to: what was counted and never ran is no use. A role has sessions at will."""
        asked = self._asked
        most = _MOST if asked.kind in ROLES else asked.uses
        told = [used.uses for used in uses]
        is_counted = all(isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= most for one in told)
        if ran > most or not is_counted or len({str(one) for one in told}) < len(told):
            words = f"{ran} operations ran by it where {most:,} may, or it is counted otherwise"
            yield Finding("approval_reuse", asked.id, words)

    def _check_use(self, used: _Used, ran: Ran) -> Iterator[Finding]:
        asked, found, at = self._asked, self._found, used.moment
        if used.digest != asked.digest:
            yield Finding("approval_binding", used.operation, f"used {asked.id} for another digest")
        yield from self._check_times(used)
        for moment, result in found.ended:
            if moment.precedes(at):
                yield Finding("approval_ended", used.operation, f"used {asked.id}, which was {result} before")
        for cast in found.votes:
            if cast.denies and cast.moment.precedes(at):
                who = cast.ballot.person.subject
                yield Finding("approval_ended", used.operation, f"used {asked.id}, which {who} had denied")
        where = ran.leaf.get("where")
        gate = where.get("gateway") if isinstance(where, Mapping) else None
        for cast in self._good:
            if cast.ballot.gate != gate:
                words = f"the vote of {cast.ballot.person.subject} was given to another gate"
                yield Finding("approval_vote", asked.id, words)
        yield from self._check_quorum(used)

    def _check_times(self, used: _Used) -> Iterator[Finding]:
        asked, at = self._asked, used.moment
        granted = [until for moment, until in self._found.granted if not at.precedes(moment)]
        if not granted:
            yield Finding("approval_missing", used.operation, f"used {asked.id}, which was not granted before")
            return
        lasts = timedelta(seconds=asked.use_s)
        ends = {cast.ballot.at + lasts for cast in self._found.votes if cast.consents}
        try:
            until = parse_time(granted[-1])
        except EntryFault:
            until = None
        if asked.kind == Kind.BREAK_GLASS:
            is_so = until is not None and abs(until - lasts - asked.moment.at) <= UNCERTAIN
        else:
            is_so = until in ends
        if until is None or not is_so:
            yield Finding("approval_time", asked.id, "was granted for another time than its votes give")
        elif at.at >= until + UNCERTAIN:
            yield Finding("approval_time", used.operation, f"used {asked.id} when its time was over")

    def _check_quorum(self, used: _Used) -> Iterator[Finding]:
        """Enough distinct people, who could consent when they voted and still when it was used."""
        asked, people, at = self._asked, self._people, used.moment
        if asked.kind == Kind.BREAK_GLASS:
            return
        refused: list[Finding] = []
        counted: set[Subject] = set()
        for cast in self._good:
            who = cast.ballot.person
            if not cast.consents:
                continue
            if at.precedes(cast.moment):
                yield Finding("approval_time", used.operation, f"used {asked.id} before {who.subject} voted")
                continue
            why = people.why_not(who, asked.groups, asked.askers(), asked.moment, at)
            if not why and cast.method != SESSION and not people.find_key(cast.key, who, at):
                why = "had not that key any more"
            if why:
                refused.append(Finding("approval_approver", used.operation, f"{who.subject} consented, and then {why}"))
            else:
                counted.add(who)
        for group, needed in asked.approvers:
            humans = {people.human(who) for who in counted if people.is_in(who, group, asked.moment, at)}
            if len(humans) < needed:
                words = f"used {asked.id} with {len(humans)} of the {needed} people of `{group}` that are needed"
                yield Finding("approval_quorum", used.operation, words)
                yield from refused
        voted = {cast.ballot.person for cast in self._found.votes if cast.consents}
        for who in used.voters:
            if who not in voted:
                words = f"counts {who.subject} for {asked.id}, whose consent is not there"
                yield Finding("approval_quorum", used.operation, words)

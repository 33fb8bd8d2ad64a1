# SPDX-License-Identifier: Apache-2.0
"""The waiting room on a real store, with a clock of its own and a wire in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.asked import ANA, BOT, CY, EARLIER, HOLD, NOW, PEOPLE, PRINCIPAL, ROBIN, crowd, vote

from gatebook.approval import request as rules
from gatebook.config.approval import ApprovalSettings
from gatebook.model.approval import Choice, Hold, HoldMode, Request, Requirement, State
from gatebook.model.credential import SigningKey
from gatebook.model.decision import Decision, Refused, Result, Verdict
from gatebook.model.ids import EvaluationId, PolicyId, RoleName, SessionId, TargetName
from gatebook.model.operation import CacheScope
from gatebook.model.target import Account, Address, Role, Target, TlsMode
from gatebook.serve import approvals
from gatebook.serve.approvals import BEHIND_S, Approvals, Asked
from gatebook.session.binding import Matter
from gatebook.session.gate import Consent, NoConsent, Session, Waits
from gatebook.store.base import StoreFault
from gatebook.store.sqlite import SqliteStore, open_store

ROLE = Role(RoleName("writer"), Account("app", None), ("agents",))
TARGET = Target(TargetName("shop"), "postgres", Address("127.0.0.1", 5432), TlsMode.DISABLE, b"", "db", (ROLE,))
RETURN = replace(HOLD, mode=HoldMode.RETURN)
MATTER = Matter({"a": 1}, {"text": b"UPDATE"}, {"text": "UPDATE"})


@dataclass
class Room:
    """A waiting room with its store, book, wire and clocks."""

    path: Path
    settings: ApprovalSettings = field(default_factory=lambda: ApprovalSettings(preview=False))
    moment: datetime = NOW
    mono: float = 1000.0
    book: list[dict[str, Any]] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    full: bool = False
    tickets: int = 0

    def __post_init__(self) -> None:
        self.store: SqliteStore = open_store(self.path)
        if not self.store.list_people():
            for one in PEOPLE:
                self.store.add_person(one)
            self.store.add_signing_key(SigningKey(vote().key, "ssh-ed25519", "ssh-ed25519 AAAA", ANA, EARLIER))
        self.room = self.open_room()

    def open_room(self, console: str = "") -> Approvals:
        return Approvals(
            lambda: open_store(self.path), self, self.append, gate="gate", settings=self.settings, console=console
        )

    def resume(self, ticket: int) -> bool:
        self.resumed.append(ticket)
        return True

    def append(self, leaf: bytes) -> None:
        if self.full:
            raise OSError("disk full")
        self.book.append(json.loads(leaf))

    def events(self) -> list[str]:
        return [str(leaf["event"]).removeprefix("approval.") for leaf in self.book]

    def pass_time(self, seconds: float, *, mono: float | None = None) -> None:
        self.moment += timedelta(seconds=seconds)
        self.mono += seconds if mono is None else mono

    def asked(
        self,
        operation: int = 1,
        *,
        session: str = "s_1",
        hold: Hold = HOLD,
        matter: Matter = MATTER,
        in_transaction: bool = False,
        who: object = BOT,
    ) -> Asked:
        self.tickets += 1
        principal = replace(PRINCIPAL, subject=who)  # type: ignore[arg-type]  # a subject
        decision = Decision(Result.HOLD, (PolicyId("p"),), "sha256:all", hold=hold)
        verdict = Verdict(EvaluationId("e"), (), (decision,), None, CacheScope.NONE, 1.0, held=hold)
        inside = Session(SessionId(session), principal, TARGET, ROLE, "db", tls=True)
        return Asked(self.tickets, inside, operation, in_transaction, verdict, matter)

    async def ask(self, operation: int = 1, **more: Any) -> Consent | NoConsent | Waits:  # noqa: ANN401  of `asked`
        return await self.room._answer(self.asked(operation, **more))

    async def wait(self, operation: int = 1, **more: Any) -> tuple[Asked, Waits, float]:  # noqa: ANN401  as above
        """Ask and be told to wait."""
        asked = self.asked(operation, **more)
        answer = await self.room._answer(asked)
        assert isinstance(answer, Waits)
        return asked, answer, self.room._wait(asked, answer)

    async def again(self, asked: Asked, **more: object) -> Consent | NoConsent | Waits:
        """The carrier asks again about what waited, under another ticket."""
        self.tickets += 1
        return await self.room._answer(replace(asked, ticket=self.tickets, **more))  # type: ignore[arg-type]  # names of fields

    def change(self, request: str, change: Callable[[Request], Request]) -> Request:
        return self.store.change_request(request, change)

    def approve(self, request: str, who: object = ANA, choice: Choice = Choice.APPROVE) -> Request:
        cast = replace(vote(choice=choice), person=who, at=self.moment)  # type: ignore[arg-type]  # a subject
        return self.change(request, lambda found: rules.cast(found, cast, crowd()))

    def request(self, name: str) -> Request:
        found = self.store.find_request(name)
        assert found is not None
        return found

    async def look(self) -> None:
        await self.room._look()


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    made = Room(tmp_path / "gatebook.db")
    monkeypatch.setattr(approvals, "now", lambda: made.moment)
    monkeypatch.setattr("gatebook.serve.approvals.time.monotonic", lambda: made.mono)
    yield made
    made.room.close()
    made.store.close()


def code(answer: Consent | NoConsent | Waits) -> str:
    assert isinstance(answer, NoConsent)
    return answer.refused.code


def words(refused: Refused) -> str:
    return refused.message


@pytest.mark.asyncio
async def test_who_waits_is_told_whom_for_and_goes_on_once_they_consent(room: Room) -> None:
    asked, waits, longest = await room.wait()
    assert words(waits.notice) == f"this waits for approval by 1 of `dba`: request {waits.request}"
    assert waits.notice.hint == f"who may: gatebook approvals approve {waits.request}"
    assert (longest, len(room.room._waiters)) == (300 + BEHIND_S, 1)
    await room.look()
    assert room.resumed == []
    room.approve(waits.request)
    await room.look()
    assert (room.resumed, len(room.room._waiters)) == ([asked.ticket], 0)
    assert await room.again(asked) == Consent(waits.request, waits.salt)
    assert room.request(waits.request).state is State.USED
    assert room.events() == ["requested", "used"]
    assert room.book[1]["operation"] == "s_1.1"
    assert room.book[1]["voters"] == [{"iss": "gatebook:gate", "sub": "ana"}]


@pytest.mark.asyncio
async def test_the_console_is_named_where_there_is_one(room: Room) -> None:
    room.room.close()
    room.room = room.open_room("https://gate.example")
    _, waits, _ = await room.wait()
    link = f"https://gate.example/approvals/{waits.request}"
    assert waits.notice.hint == f"see {link}"
    assert dict(waits.notice.facts)["link"] == link


@pytest.mark.asyncio
async def test_a_denial_is_told_with_its_reason(room: Room) -> None:
    asked, waits, _ = await room.wait()
    room.approve(waits.request, choice=Choice.DENY)
    await room.look()
    answer = await room.again(asked)
    assert code(answer) == "approval.denied"
    assert isinstance(answer, NoConsent)
    assert words(answer.refused) == f"approval {waits.request} was denied: my words"


@pytest.mark.parametrize(
    ("end", "refused"),
    [
        (lambda one: rules.cancel(one, NOW, "no need"), "approval.cancelled"),
        (lambda one: rules.expire(one, NOW), "approval.expired"),
        (lambda one: rules.withdraw(rules.cast(one, vote(), crowd()), ANA, crowd(), NOW, "x"), "approval.withdrawn"),
        (lambda one: rules.annul(rules.cast(one, vote(), crowd()), NOW, "x"), "approval.void"),
    ],
)
@pytest.mark.asyncio
async def test_every_end_has_its_refusal(room: Room, end: Callable[[Request], Request], refused: str) -> None:
    await room.look()
    asked, waits, _ = await room.wait()
    room.change(waits.request, end)
    await room.look()
    assert room.resumed == [asked.ticket]
    assert code(await room.again(asked)) == refused


@pytest.mark.asyncio
async def test_ap_03_the_same_operation_again_is_counted_once_and_another_asks_anew(room: Room) -> None:
    asked, waits, _ = await room.wait()
    room.approve(waits.request)
    for _ in range(3):
        assert await room.again(asked) == Consent(waits.request, waits.salt)
    assert room.events() == ["requested", "used"]
    other = await room.ask(2)
    assert isinstance(other, Waits)
    assert other.request != waits.request


@pytest.mark.asyncio
async def test_ap_03_one_of_two_sessions_has_what_was_granted(room: Room) -> None:
    first = await room.ask(hold=RETURN)
    assert code(first) == "approval.pending"
    assert isinstance(first, NoConsent)
    room.approve(first.request)
    answers = await asyncio.gather(*(room.ask(session=f"s_{n}", hold=RETURN) for n in range(2, 6)))
    assert sorted(type(answer).__name__ for answer in answers) == ["Consent", *["NoConsent"] * 3]
    assert room.events().count("used") == 1


@pytest.mark.asyncio
async def test_ap_03_two_sessions_do_not_wait_on_one_request(room: Room) -> None:
    _, waits, _ = await room.wait()
    await room.room._do(lambda: room.room._free(waits.request))
    (first, one, _), (second, two, _) = await asyncio.gather(room.wait(session="s_2"), room.wait(session="s_3"))
    assert one.request != two.request
    await room.look()
    room.approve(one.request)
    room.approve(two.request)
    await room.look()
    assert sorted(room.resumed) == [first.ticket, second.ticket]
    assert {type(await room.again(asked)) for asked in (first, second)} == {Consent}


@pytest.mark.asyncio
async def test_ap_12_three_uses_are_three(room: Room) -> None:
    hold = replace(RETURN, uses=3)
    first = await room.ask(hold=hold)
    assert isinstance(first, NoConsent)
    room.approve(first.request)
    answers = await asyncio.gather(*(room.ask(session=f"s_{n}", hold=hold) for n in range(10)))
    assert [type(answer) for answer in answers].count(Consent) == 3
    assert [leaf["uses"] for leaf in room.book if leaf["event"] == "approval.used"] == [1, 2, 3]


@pytest.mark.asyncio
async def test_ap_02_somebody_else_does_not_find_what_was_granted(room: Room) -> None:
    first = await room.ask(hold=RETURN)
    assert isinstance(first, NoConsent)
    room.approve(first.request)
    assert code(await room.ask(hold=RETURN, who=CY)) == "approval.pending"
    assert code(await room.ask(hold=RETURN, matter=replace(MATTER, public={"a": 2}))) == "approval.pending"


@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.asyncio
async def test_ap_05_what_has_changed_since_it_was_asked_is_void(room: Room, *, granted: bool) -> None:
    asked, waits, _ = await room.wait()
    if granted:
        room.approve(waits.request)
    answer = await room.again(asked, matter=replace(MATTER, public={"a": 2}))
    assert code(answer) == "approval.void"
    ended = room.request(waits.request)
    assert ended.state is (State.VOID if granted else State.CANCELLED)
    assert room.events()[-1] == "ended"
    again = await room.again(asked)
    assert code(again) == ("approval.void" if granted else "approval.cancelled")


@pytest.mark.asyncio
async def test_ap_08_who_left_the_group_before_the_use_is_not_counted(room: Room) -> None:
    asked, waits, _ = await room.wait()
    room.approve(waits.request)
    room.store.set_groups(ANA, [], NOW)
    answer = await room.again(asked)
    assert code(answer) == "approval.void"
    assert isinstance(answer, NoConsent)
    assert words(answer.refused) == "who approved may not approve any more"
    assert room.request(waits.request).state is State.VOID


@pytest.mark.asyncio
async def test_ap_08_consent_by_a_key_that_was_removed_is_not_counted(room: Room) -> None:
    asked, waits, _ = await room.wait()
    room.approve(waits.request)
    room.store.remove_signing_key(vote().key, NOW)
    assert code(await room.again(asked)) == "approval.void"


@pytest.mark.asyncio
async def test_ap_10_a_request_is_late_by_the_wall_clock(room: Room) -> None:
    asked, waits, _ = await room.wait()
    await room.look()
    room.pass_time(300, mono=0)
    await room.look()
    assert room.request(waits.request).state is State.EXPIRED
    await room.look()
    assert room.resumed == [asked.ticket]
    assert code(await room.again(asked)) == "approval.expired"


@pytest.mark.asyncio
async def test_ap_10_a_clock_set_back_gives_nobody_more_time(room: Room) -> None:
    _, waits, _ = await room.wait()
    await room.look()
    room.pass_time(-3600, mono=299)
    await room.look()
    assert room.request(waits.request).state is State.PENDING
    room.pass_time(0, mono=1)
    await room.look()
    assert room.request(waits.request).state is State.EXPIRED
    assert room.events() == ["requested", "ended"]


@pytest.mark.asyncio
async def test_ap_10_a_change_does_not_start_the_time_anew(room: Room) -> None:
    _, waits, _ = await room.wait()
    await room.look()
    room.pass_time(-3600, mono=200)
    room.change(waits.request, lambda found: replace(found, reason="please"))
    await room.look()
    room.pass_time(0, mono=100)
    await room.look()
    assert room.request(waits.request).state is State.EXPIRED


@pytest.mark.asyncio
async def test_ap_10_a_clock_set_forward_ends_what_was_granted(room: Room) -> None:
    first = await room.ask(hold=RETURN)
    assert isinstance(first, NoConsent)
    room.approve(first.request)
    room.pass_time(300, mono=0)
    assert code(await room.ask(hold=RETURN)) == "approval.expired"
    assert room.request(first.request).state is State.EXPIRED
    assert room.book[-1]["result"] == "expired"


@pytest.mark.asyncio
async def test_what_the_store_could_not_take_is_tried_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    _, waits, _ = await room.wait()
    await room.look()
    room.pass_time(300)
    room.full = True
    with pytest.raises(OSError, match="disk full"):
        await room.look()
    assert room.request(waits.request).state is State.PENDING
    room.full = False
    await room.look()
    assert room.request(waits.request).state is State.EXPIRED


@pytest.mark.asyncio
async def test_pg_41_in_a_transaction_the_wait_is_shorter_and_its_end_is_a_no(room: Room) -> None:
    asked, waits, longest = await room.wait(in_transaction=True)
    assert longest == 60 + BEHIND_S
    room.pass_time(60)
    await room.look()
    assert room.resumed == [asked.ticket]
    answer = await room.again(asked)
    assert code(answer) == "approval.pending"
    assert isinstance(answer, NoConsent)
    assert answer.refused.hint == "send the same again once it is granted"
    assert room.request(waits.request).state is State.PENDING


@pytest.mark.asyncio
async def test_a_wait_is_no_longer_than_a_policy_says(room: Room) -> None:
    _, _, longest = await room.wait(hold=replace(HOLD, wait=timedelta(seconds=7)))
    assert longest == 7 + BEHIND_S


@pytest.mark.asyncio
async def test_people_have_no_longer_than_a_policy_says(room: Room) -> None:
    _, waits, _ = await room.wait(hold=replace(HOLD, decide=timedelta(seconds=7)))
    assert room.request(waits.request).decide_by == NOW + timedelta(seconds=7)
    _, longer, _ = await room.wait(2, hold=replace(HOLD, decide=timedelta(hours=7)))
    assert room.request(longer.request).decide_by == NOW + timedelta(seconds=300)


@pytest.mark.asyncio
async def test_who_came_too_early_finds_their_request_when_they_come_again(room: Room) -> None:
    asked, waits, _ = await room.wait()
    room.pass_time(299)
    room.room._waiters[asked.ticket].until = room.mono
    await room.look()
    assert code(await room.again(asked)) == "approval.pending"
    room.approve(waits.request)
    assert await room.ask(session="s_2") == Consent(waits.request, waits.salt)
    assert "requested" not in room.events()[1:]


@pytest.mark.asyncio
async def test_a_grant_while_the_wait_ends_is_not_lost(room: Room) -> None:
    asked, waits, _ = await room.wait(in_transaction=True)
    room.pass_time(60)
    await room.look()
    room.approve(waits.request)
    assert await room.again(asked) == Consent(waits.request, waits.salt)
    assert room.room._overdue == set()


@pytest.mark.asyncio
async def test_whose_client_gave_up_is_cancelled_once(room: Room) -> None:
    asked, waits, _ = await room.wait()
    assert room.room.forget(asked.ticket)
    assert not room.room.forget(asked.ticket)
    await room.room._do(lambda: None)
    assert room.request(waits.request).state is State.CANCELLED
    assert room.book[-1]["reason"] == "the client gave up"
    assert room.events() == ["requested", "ended"]


@pytest.mark.asyncio
async def test_ap_11_a_flood_is_refused_and_not_kept(room: Room) -> None:
    for number in range(10):
        await room.ask(number)
    answer = await room.ask(10)
    assert code(answer) == "approval.flood"
    assert len(room.store.list_requests(State, 100)) == 10
    assert room.events() == ["requested"] * 10
    assert isinstance(await room.ask(1, who=ROBIN), Waits), "somebody else asks all the same"


@pytest.mark.asyncio
async def test_ap_11_settings_taken_up_hold_from_then_on(room: Room) -> None:
    room.room.settings = ApprovalSettings(pending=1, preview=False)
    await room.ask(1)
    assert code(await room.ask(2)) == "approval.flood"


@pytest.mark.asyncio
async def test_what_people_cannot_be_shown_is_not_put_to_them(room: Room) -> None:
    answer = await room.ask(matter=replace(MATTER, unfit="it is too long to be read by a person"))
    assert code(answer) == "approval.unfit"
    long = replace(MATTER, public={"shapes": ["x" * 70_000]})
    assert code(await room.ask(matter=long)) == "approval.unfit"
    assert (room.store.list_requests(State, 9), room.book) == ((), [])


@pytest.mark.asyncio
async def test_what_cannot_be_entered_is_neither_asked_nor_used(room: Room) -> None:
    room.full = True
    with pytest.raises(OSError, match="disk full"):
        await room.ask()
    assert room.store.list_requests(State, 9) == ()
    room.full = False
    asked, waits, _ = await room.wait()
    room.approve(waits.request)
    room.full = True
    with pytest.raises(OSError, match="disk full"):
        await room.again(asked)
    assert room.request(waits.request).state is State.GRANTED


@pytest.mark.asyncio
async def test_requests_of_a_run_that_was_lost_can_be_claimed_and_others_not(room: Room) -> None:
    _, waits, _ = await room.wait()
    _, other, _ = await room.wait(2, matter=replace(MATTER, public={"a": 2}))
    room.change(other.request, lambda found: replace(found, gate="another"))
    room.room.close()
    room.room = room.open_room()
    await room.room._do(room.room._release_lost)
    asked, again, _ = await room.wait(session="s_2")
    assert again.request == waits.request
    assert room.request(waits.request).session == "s_2"
    assert room.request(other.request).session == "s_1"
    room.approve(again.request)
    await room.look()
    assert room.resumed == [asked.ticket]
    assert await room.again(asked) == Consent(waits.request, waits.salt)


@pytest.mark.asyncio
async def test_follows_on_though_the_store_fails_for_a_moment(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look, release = room.room._look, room.room._release_lost

    def fail_once() -> None:
        if not looks:
            looks.append(0)
            raise StoreFault("the store cannot be written")
        release()

    async def note() -> None:
        looks.append(1)
        await look()
        if len(looks) > 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(approvals, "POLL_S", 0)
    monkeypatch.setattr(room.room, "_release_lost", fail_once)
    monkeypatch.setattr(room.room, "_look", note)
    with pytest.raises(asyncio.CancelledError):
        await room.room.run(lambda _: None)
    assert looks == [0, 1, 1]


def test_two_people_are_named_with_their_groups(room: Room) -> None:
    hold = Hold((Requirement("dba", 2), Requirement("ops", 1)))
    answer = asyncio.run(room.ask(hold=hold))
    assert isinstance(answer, Waits)
    assert words(answer.notice).startswith("this waits for approval by 2 of `dba` and 1 of `ops`: request apr_")

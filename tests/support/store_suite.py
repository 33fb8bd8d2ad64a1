# SPDX-License-Identifier: Apache-2.0
"""The shared suite: what every store must do, whatever keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatebook.approval.request import NotNow
from gatebook.model.approval import Asking, Choice, Kind, Request, State
from gatebook.model.credential import KeyRecord, Membership, Person, SigningKey
from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject
from gatebook.store.base import Store, StoreFault
from support import asked
from support.asked import REQUEST

NOW = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALICE = Person(Subject("gatebook:gate", "alice"), admin=True, created_at=NOW)
BOB = Person(Subject("gatebook:gate", "bob"), admin=False, created_at=NOW)


def key(number: int, owner: Subject = ALICE.subject) -> KeyRecord:
    """Return a record that differs from every other by its number."""
    return KeyRecord(
        id=KeyId(f"{number:012x}"),
        sha256=number.to_bytes(32, "big"),
        agent=Subject("gatebook:gate", f"agent-{number}"),
        owner=owner,
        groups=("etl", "shop-agents"),
        created_at=NOW + timedelta(seconds=number),
        expires_at=NOW + timedelta(days=1),
    )


def signing_key(number: int, person: Subject = ALICE.subject) -> SigningKey:
    """Return a key to sign with that differs from every other by its number."""
    added_at = NOW + timedelta(seconds=number)
    return SigningKey(f"SHA256:{number}", "ssh-ed25519", f"ssh-ed25519 AAAA{number}", person, added_at)


def no_check(_: object) -> None:
    """Let everything be added."""


def request(number: int, **more: object) -> Request:
    """Return a request that differs from every other by its number."""
    made_at = REQUEST.made_at + timedelta(seconds=number)
    return replace(REQUEST, id=f"apr_{number}", made_at=made_at, **more)  # type: ignore[arg-type]  # names of fields


class StoreSuite:
    """Inherit and give the fixture `open_again`: each call opens the same store anew."""

    @pytest.fixture
    def store(self, open_again: Callable[[], Store]) -> Store:
        opened = open_again()
        opened.add_person(ALICE)
        return opened

    def test_returns_a_key_as_it_was_kept(self, store: Store) -> None:
        store.add_key(key(1))
        assert store.find_key(key(1).sha256) == key(1)

    def test_finds_nothing_under_an_unknown_hash(self, store: Store) -> None:
        assert store.find_key(b"\x00" * 32) is None

    def test_shows_a_change_to_another_process(self, store: Store, open_again: Callable[[], Store]) -> None:
        other = open_again()
        before = other.generation()
        store.add_key(key(1))
        assert other.generation() > before
        assert other.find_key(key(1).sha256) == key(1)

    def test_lists_keys_oldest_first(self, store: Store) -> None:
        store.add_key(key(2))
        store.add_key(key(1))
        assert store.list_keys() == (key(1), key(2))

    def test_keeps_the_first_moment_of_revocation(self, store: Store) -> None:
        store.add_key(key(1))
        assert store.revoke_key(key(1).id, NOW).revoked_at == NOW
        assert store.revoke_key(key(1).id, LATER).revoked_at == NOW

    def test_revokes_one_key_only(self, store: Store) -> None:
        store.add_key(key(1))
        store.add_key(key(2))
        store.revoke_key(key(1).id, NOW)
        assert [found.revoked_at for found in store.list_keys()] == [NOW, None]

    def test_refuses_to_revoke_an_unknown_key(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="no key `ffff`"):
            store.revoke_key(KeyId("ffff"), NOW)

    def test_refuses_the_same_key_twice_and_stays_usable(self, store: Store) -> None:
        store.add_key(key(1))
        with pytest.raises(StoreFault, match="is there already"):
            store.add_key(key(1))
        store.add_key(key(2))
        assert len(store.list_keys()) == 2

    def test_refuses_a_key_without_a_known_owner(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="no person `bob` to own a key"):
            store.add_key(key(1, BOB.subject))
        assert store.list_keys() == ()

    def test_refuses_a_key_for_a_disabled_owner(self, store: Store) -> None:
        store.disable_person(ALICE.subject, NOW)
        with pytest.raises(StoreFault, match="no person `alice` to own a key"):
            store.add_key(key(1))

    def test_lists_people_by_subject(self, store: Store) -> None:
        store.add_person(BOB)
        assert store.list_people() == (ALICE, BOB)

    def test_refuses_the_same_person_twice(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="person `alice` is there already"):
            store.add_person(ALICE)

    def test_does_not_take_one_issuer_for_another(self, store: Store) -> None:
        assert store.find_person(Subject("https://elsewhere", "alice")) is None

    def test_disables_a_person_for_good(self, store: Store) -> None:
        store.disable_person(ALICE.subject, NOW)
        assert store.disable_person(ALICE.subject, LATER).disabled_at == NOW
        found = store.find_person(ALICE.subject)
        assert found is not None
        assert found.disabled_at == NOW

    def test_refuses_to_disable_an_unknown_person(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="no person `bob`"):
            store.disable_person(BOB.subject, NOW)

    def test_counts_each_change_and_no_reading(self, store: Store) -> None:
        store.add_key(key(1))
        before = store.generation()
        store.list_keys()
        store.find_person(ALICE.subject)
        assert store.generation() == before
        store.revoke_key(key(1).id, NOW)
        assert store.generation() > before

    # ── groups ──────────────────────────────────────────────────────────────────────────────────

    def test_keeps_groups_since_when_and_other_names_of_a_person(self, store: Store) -> None:
        groups = (Membership("dba", NOW), Membership("ops", LATER))
        person = replace(BOB, human="gatebook:gate|alice", groups=groups)
        store.add_person(person)
        assert store.find_person(BOB.subject) == person
        assert store.list_people() == (ALICE, person)

    def test_who_stays_in_a_group_is_in_it_since_they_came(self, store: Store) -> None:
        store.set_groups(ALICE.subject, ["dba", "ops", "dba"], NOW)
        changed = store.set_groups(ALICE.subject, ["qa", "dba"], LATER)
        assert changed.groups == (Membership("dba", NOW), Membership("qa", LATER))
        assert store.set_groups(ALICE.subject, [], LATER).groups == ()
        assert store.set_groups(ALICE.subject, ["dba"], LATER).groups == (Membership("dba", LATER),)

    def test_refuses_groups_of_an_unknown_person(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="no person `bob`"):
            store.set_groups(BOB.subject, ["dba"], NOW)

    # ── keys to sign with ───────────────────────────────────────────────────────────────────────

    def test_returns_keys_to_sign_with_oldest_first(self, store: Store) -> None:
        store.add_signing_key(signing_key(2))
        store.add_signing_key(signing_key(1))
        assert store.list_signing_keys() == (signing_key(1), signing_key(2))

    def test_a_key_to_sign_with_is_one_persons_for_ever(self, store: Store) -> None:
        store.add_person(BOB)
        store.add_signing_key(signing_key(1))
        assert store.remove_signing_key("SHA256:1", NOW).removed_at == NOW
        assert store.remove_signing_key("SHA256:1", LATER).removed_at == NOW
        for person in (ALICE, BOB):
            with pytest.raises(StoreFault, match="the key is, or was, somebody's already"):
                store.add_signing_key(signing_key(1, person.subject))
        assert [key.removed_at for key in store.list_signing_keys()] == [NOW]

    def test_refuses_a_key_to_sign_with_of_nobody_who_is_there(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="no person `bob` to have a key"):
            store.add_signing_key(signing_key(1, BOB.subject))
        store.disable_person(ALICE.subject, NOW)
        with pytest.raises(StoreFault, match="no person `alice` to have a key"):
            store.add_signing_key(signing_key(1))
        with pytest.raises(StoreFault, match="no key `SHA256:1`"):
            store.remove_signing_key("SHA256:1", NOW)

    # ── requests ────────────────────────────────────────────────────────────────────────────────

    def test_returns_a_request_as_it_was_kept(self, store: Store, open_again: Callable[[], Store]) -> None:
        full = replace(
            request(1),
            use_by=LATER,
            used=2,
            used_by="s_1.2",
            ended_at=LATER,
            why="é",
            votes=(replace(asked.vote(choice=Choice.DENY), signature=bytes(range(256))), asked.vote(asked.BO)),
            hold=replace(asked.HOLD, decide=timedelta(minutes=5), wait=timedelta(seconds=90)),
        )
        store.add_request(full, no_check)
        assert open_again().find_request("apr_1") == full
        assert store.find_request("apr_2") is None

    def test_refuses_the_same_request_twice(self, store: Store) -> None:
        store.add_request(request(1), no_check)
        with pytest.raises(StoreFault, match="request `apr_1` is there already"):
            store.add_request(request(1), no_check)

    def test_a_check_sees_what_its_asker_has_open_or_made_within_the_hour(self, store: Store) -> None:
        hour = timedelta(hours=1)
        glass = request(5, state=State.EXPIRED, kind=Kind.BREAK_GLASS)
        for one in (
            glass,
            replace(glass, id="apr_6", state=State.REVIEWED),
            replace(glass, id="apr_7", kind=Kind.ROLE),
            request(0, state=State.DENIED),
            request(1, state=State.DENIED),
            request(2, state=State.GRANTED),
            request(3),
            replace(request(4), principal=replace(asked.PRINCIPAL, subject=asked.ANA)),
        ):
            store.add_request(one, no_check)
        seen: list[Asking] = []
        store.add_request(replace(request(9), made_at=REQUEST.made_at + hour), seen.append)
        assert seen == [Asking(open=2, recent=6, unreviewed=1)]

    def test_ap_11_what_a_check_refuses_is_not_kept(self, store: Store) -> None:
        def check(asking: Asking) -> None:
            assert asking == Asking()
            raise NotNow("too many")

        before = store.generation()
        with pytest.raises(NotNow, match="too many"):
            store.add_request(request(1), check)
        assert store.find_request("apr_1") is None
        assert store.generation() == before

    def test_finds_the_newest_for_an_operation_of_a_session(self, store: Store) -> None:
        store.add_request(request(1), no_check)
        store.add_request(request(2, state=State.DENIED), no_check)
        store.add_request(request(3, operation=4), no_check)
        found = store.find_held("s_1", 3)
        assert found is not None
        assert found.id == "apr_2"
        assert store.find_held("s_2", 3) is None

    def test_finds_what_may_be_claimed_by_who_asked_and_nobody_else(self, store: Store) -> None:
        free = {"session": "", "operation": 0}
        store.add_request(request(1), no_check)
        assert store.find_claimable(asked.BOT, REQUEST.matter) is None, "somebody waits on it"
        store.add_request(request(2, **free), no_check)
        store.add_request(request(3, state=State.GRANTED, **free), no_check)
        store.add_request(request(4, state=State.USED, **free), no_check)
        found = store.find_claimable(asked.BOT, REQUEST.matter)
        assert found is not None
        assert found.id == "apr_3"
        assert store.find_claimable(asked.ANA, REQUEST.matter) is None
        assert store.find_claimable(asked.BOT, "sha256:other") is None

    def test_changes_a_request_or_nothing(self, store: Store, open_again: Callable[[], Store]) -> None:
        def refuse(_: Request) -> Request:
            raise NotNow("no")

        store.add_request(request(1), no_check)
        before = store.generation()
        with pytest.raises(NotNow):
            store.change_request("apr_1", refuse)
        assert store.generation() == before
        changed = store.change_request("apr_1", lambda found: replace(found, state=State.GRANTED, session=""))
        assert open_again().find_request("apr_1") == changed
        found = store.find_claimable(asked.BOT, REQUEST.matter)
        assert found is not None
        assert found.state is State.GRANTED
        with pytest.raises(StoreFault, match="no request `apr_2`"):
            store.change_request("apr_2", lambda found: found)

    def test_lists_by_state_newest_first_up_to_a_number(self, store: Store) -> None:
        for number, state in enumerate((State.PENDING, State.DENIED, State.GRANTED, State.PENDING)):
            store.add_request(request(number, state=state), no_check)
        assert [one.id for one in store.list_requests(State, 10)] == ["apr_3", "apr_2", "apr_1", "apr_0"]
        assert [one.id for one in store.list_requests([State.PENDING], 10)] == ["apr_3", "apr_0"]
        assert [one.id for one in store.list_requests(State, 2)] == ["apr_3", "apr_2"]
        assert store.list_requests([], 2) == ()

    def test_tells_what_changed_since_a_number_to_another_process(
        self, store: Store, open_again: Callable[[], Store]
    ) -> None:
        other = open_again()
        store.add_request(request(1), no_check)
        store.add_request(request(2, state=State.DENIED), no_check)
        seen, found = other.list_changed(0)
        assert [one.id for one in found] == ["apr_1"], "at first all that are open"
        assert other.list_changed(seen) == (seen, ())
        store.change_request("apr_1", lambda one: replace(one, state=State.GRANTED))
        store.change_request("apr_2", lambda one: one)
        seen, found = other.list_changed(seen)
        assert [(one.id, one.state) for one in found] == [("apr_1", State.GRANTED)]
        store.add_person(BOB)
        assert other.list_changed(seen)[1] == ()

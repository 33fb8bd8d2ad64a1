# SPDX-License-Identifier: Apache-2.0
"""Failed logins over time, with a clock that is a number."""

from __future__ import annotations

import pytest

from gatebook.serve import logins
from gatebook.serve.logins import Counted, Logins, name_of, source_of

HERE, THERE = "192.0.2.1", "198.51.100.7"


def fail(book: Logins, times: int, *, ip: str = HERE, user: str = "bot", at: float = 0.0, check: str = "known") -> int:
    """Fail some times at one moment; how many of them were told one by one."""
    return sum(book.fail(ip, user, check, at) for _ in range(times))


def test_the_first_failures_slow_nobody() -> None:
    book = Logins()
    fail(book, 4)
    assert book.arrive(HERE, "bot", 0.0) == 0.0


def test_a_name_that_keeps_failing_is_slowed_ever_more_and_then_turned_away() -> None:
    book = Logins()
    fail(book, 5)
    assert book.arrive(HERE, "bot", 0.0) == 0.25
    fail(book, 1, at=0.25)
    assert book.arrive(HERE, "bot", 0.25) == 0.5
    fail(book, 4, at=1.0)
    assert book.arrive(HERE, "bot", 1.0) is None
    assert book.arrive(HERE, "bot", 6.0) == 3.0
    assert book.arrive(HERE, "bot", 61.0) == 0.0


def test_attempts_side_by_side_wait_for_each_other() -> None:
    book = Logins()
    fail(book, 7)
    assert [book.arrive(HERE, "bot", 0.0) for _ in range(4)] == [1.0, 2.0, 3.0, None]


def test_id_06_a_name_is_counted_whatever_its_case_or_form() -> None:
    book = Logins()
    for user in ("bot", "BOT", "Bot", "\uff42ot", "boT"):
        book.fail(HERE, user, "known", 0.0)
    assert book.arrive(HERE, "bOt", 0.0) == 0.25
    assert name_of("STRASSE") == name_of("stra\u00dfe")


def test_id_06_failures_of_one_source_lock_no_name_for_another() -> None:
    book = Logins()
    fail(book, 1000)
    assert book.arrive(HERE, "bot", 0.0) is None
    assert book.arrive(THERE, "bot", 0.0) == 1.0  # slowed, not turned away
    book.succeed(THERE, "bot", 1.0)
    assert book.arrive(THERE, "bot", 1.0) == 0.0  # and not even slowed once it has been here


def test_a_source_that_tries_many_names_is_slowed_as_a_whole() -> None:
    book = Logins()
    for number in range(20):
        book.fail(HERE, f"bot-{number}", "known", 0.0)
    assert [book.arrive(HERE, f"new-{number}", 0.0) for number in range(7)] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, None]
    assert book.arrive(THERE, "new-1", 0.0) == 0.0


def test_a_name_that_has_logged_in_from_a_source_is_not_slowed_by_others_there() -> None:
    book = Logins()
    book.succeed(HERE, "good", 0.0)
    for number in range(100):
        book.fail(HERE, f"bot-{number}", "known", 0.0)
    assert book.arrive(HERE, "good", 0.0) == 0.0


def test_success_forgets_the_failures_of_the_name() -> None:
    book = Logins()
    fail(book, 8)
    book.succeed(HERE, "bot", 0.0)
    assert book.arrive(HERE, "bot", 0.0) == 0.0


def test_attempts_that_were_turned_away_unheard_slow_nobody_further() -> None:
    book = Logins()
    fail(book, 5)
    for _ in range(100):
        book.fail(HERE, "bot", "throttled", 0.0, heard=False)
    assert book.arrive(HERE, "bot", 0.0) == 0.25
    assert book.arrive(HERE, "another", 0.0) == 0.0


def test_only_so_many_attempts_of_a_source_wait_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "WAITING", 2)
    book = Logins()
    fail(book, 5)
    assert book.arrive(HERE, "bot", 0.0) == 0.25
    assert book.arrive(HERE, "bot", 0.0) == 0.5
    assert book.arrive(HERE, "bot", 0.0) is None
    book.waited(HERE)
    assert book.arrive(HERE, "bot", 0.0) == 0.75


def test_nobody_waits_longer_than_a_login_may_take() -> None:
    book = Logins(longest_wait_s=0.3)
    fail(book, 5)
    assert book.arrive(HERE, "bot", 0.0) == 0.25
    assert book.arrive(HERE, "bot", 0.0) is None


def test_twenty_failures_a_minute_are_told_and_the_rest_of_each_ten_seconds_counted() -> None:
    book = Logins()
    assert fail(book, 20) == 20
    assert fail(book, 7, at=1.0) == 0
    assert fail(book, 3, at=2.0, check="form") == 0
    assert book.take_counted(10.9) == []
    assert book.take_counted(11.0) == [Counted(HERE, 10, (("form", 3), ("known", 7)), 10)]
    assert book.take_counted(30.0) == []
    assert fail(book, 1, at=30.0) == 0
    assert fail(book, 1, at=91.0) == 1


def test_failures_from_nobody_knows_where_are_one_count_for_ten_seconds() -> None:
    book = Logins()
    book.fail_elsewhere("tls", 70, 1.0)
    book.fail_elsewhere("certificate", 5, 2.0)
    book.fail_elsewhere("tls", 2, 3.0)
    assert book.take_counted(10.9) == []
    assert book.take_counted(11.0) == [Counted("others", 77, (("certificate", 5), ("tls", 72)), 10)]
    assert book.take_counted(30.0) == []


def test_what_is_counted_when_the_gate_ends_is_told() -> None:
    book = Logins()
    fail(book, 21)
    assert book.take_counted(0.0, ending=True) == [Counted(HERE, 1, (("known", 1),), 1)]


def test_another_source_is_told_from_its_first_failure() -> None:
    book = Logins()
    fail(book, 100)
    assert fail(book, 1, ip=THERE) == 1


def test_memory_is_bounded_and_a_forgotten_count_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "SOURCES", 2)
    monkeypatch.setattr(logins, "NAMES", 3)
    book = Logins()
    fail(book, 25)
    for number in range(10):
        book.fail(f"198.51.100.{number}", f"user-{number}", "known", 1.0)
        book.succeed(f"198.51.100.{number}", f"user-{number}", 1.0)
    assert len(book._sources.items()) == 2
    assert len(book._everywhere.items()) == len(book._welcome.items()) == 3
    assert book.take_counted(1.0) == [Counted("others", 5, (("known", 5),), 1)]


def test_different_checks_in_a_count_are_bounded() -> None:
    book = Logins()
    fail(book, 20)
    for number in range(100):
        book.fail(HERE, "bot", f"check-{number}", 0.0)
    (counted,) = book.take_counted(10.0)
    assert counted.failures == 100
    assert len(counted.checks) == 33
    assert ("others", 68) in counted.checks


@pytest.mark.parametrize(
    ("ip", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_source_is_an_address_or_the_network_of_one_customer(ip: str, source: str) -> None:
    assert source_of(ip) == source

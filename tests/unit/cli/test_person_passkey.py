# SPDX-License-Identifier: Apache-2.0
"""`gatebook person passkey`: a link that serves once, entered, and kept as a hash alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from support.installation import Installation

from gatebook.store.console import open_console


def test_prints_a_link_for_a_quarter_of_an_hour_and_enters_it(gate: Installation) -> None:
    told = gate.run("person", "passkey", "alice", "--json").json
    address, _, code = told["link"].partition("#")
    assert address == "http://localhost:5480/enrol"
    assert len(code) == 43
    entry = gate.entries()[-1]
    assert (entry["event"], entry["person"]) == ("person.enrolment", {"iss": "gatebook:gate", "sub": "alice"})
    assert code not in str(entry)
    store, now = open_console(gate.settings.console_path), datetime.now(UTC)
    leave = store.find_enrolment(code, now)
    assert leave is not None
    assert timedelta(minutes=14) < leave.ends_at - now <= timedelta(minutes=15)
    store.close()
    assert code.encode() not in gate.settings.console_path.read_bytes()


def test_a_new_link_voids_the_one_before(gate: Installation) -> None:
    first, second = (gate.run("person", "passkey", "alice").out.strip().partition("#")[2] for _ in range(2))
    store = open_console(gate.settings.console_path)
    assert store.find_enrolment(first, datetime.now(UTC)) is None
    assert store.find_enrolment(second, datetime.now(UTC)) is not None
    store.close()


def test_who_is_not_known_or_disabled_gets_none(gate: Installation) -> None:
    gate.run("person", "add", "bob")
    gate.run("person", "disable", "bob")
    before = len(gate.entries())
    for name in ("bob", "carol"):
        told = gate.run("person", "passkey", name)
        assert told.status == 1
        assert f"no person `{name}`" in told.err
    assert len(gate.entries()) == before

# SPDX-License-Identifier: Apache-2.0
"""Who may consent, with real signatures: never who asks, by any account, nor a machine, nor who came or left."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from support.approvers import Approvers, approvers
from support.held import asked, connect, grant, held, make_tables, policies_of, refusal, total
from support.people import make_key
from throwaway_gate import OWNER
from throwaway_postgres import Postgres

RAISE = "UPDATE returns SET price = price + 1"
TWO = "UPDATE two SET price = price + 1"


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    with held(tmp_path_factory.mktemp("ap_people") / "gate", server, "ap_people") as desk:
        yield desk


@pytest.fixture
def agent(desk: Approvers) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    make_tables(desk.place)
    with connect(desk) as connection:
        yield connection


Agent = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def newcomer(desk: Approvers, tmp_path: Path) -> Approvers:
    """The desk with the key of a person who is nobody yet."""
    keys = dict(desk.keys) | {"newcomer": make_key(tmp_path / "keys", "newcomer")}
    return Approvers(desk.place, keys)


def test_ap_01_the_owner_of_an_agent_does_not_consent_for_it(newcomer: Approvers, agent: Agent) -> None:
    gate = newcomer.place.gate
    gate.run("person", "groups", OWNER, "--add", "dba")
    gate.run("person", "key", "add", OWNER, str(newcomer.keys["newcomer"].public))
    request = asked(agent, RAISE)
    said = newcomer.vote(request, OWNER, key="newcomer")
    assert "who asks, or for whom it is asked, cannot consent" in said
    assert "cannot consent" in newcomer.vote(request, OWNER, "--reason", "x", verb="deny", key="newcomer")
    assert newcomer.state(request) == "pending"


def test_ap_01_nor_does_another_account_of_the_owner(newcomer: Approvers, agent: Agent) -> None:
    gate = newcomer.place.gate
    gate.run("person", "add", "robin-at-home", "--same-as", OWNER, "--group", "dba")
    gate.run("person", "key", "add", "robin-at-home", str(newcomer.keys["newcomer"].public))
    request = asked(agent, RAISE.replace("+ 1", "+ 2"))
    said = newcomer.vote(request, "robin-at-home", key="newcomer")
    assert "who asks, or for whom it is asked, cannot consent" in said


def test_ap_01_two_accounts_of_one_approver_are_one(newcomer: Approvers, agent: Agent) -> None:
    gate = newcomer.place.gate
    gate.run("person", "add", "ana-at-home", "--same-as", "ana", "--group", "dba")
    gate.run("person", "key", "add", "ana-at-home", str(newcomer.keys["newcomer"].public))
    request = asked(agent, TWO)
    grant(newcomer, request)
    assert "this person has voted already" in newcomer.vote(request, "ana-at-home", key="newcomer")
    assert newcomer.state(request) == "pending"
    grant(newcomer, request, "bo")
    agent.execute(TWO.encode())


def test_ap_01_who_came_into_the_group_after_it_was_asked_waits_for_the_next(newcomer: Approvers, agent: Agent) -> None:
    gate = newcomer.place.gate
    request = asked(agent, RAISE.replace("+ 1", "+ 3"))
    gate.run("person", "add", "dora", "--group", "dba")
    gate.run("person", "key", "add", "dora", str(newcomer.keys["newcomer"].public))
    assert "a member only since it was asked" in newcomer.vote(request, "dora", key="newcomer")
    gate.run("person", "groups", "cy", "--add", "dba")
    assert "a member only since it was asked" in newcomer.vote(request, "cy")
    gate.run("person", "groups", "cy", "--remove", "dba")
    assert "not in a group that is asked" in newcomer.vote(request, "cy")
    assert newcomer.state(request) == "pending"


def test_ap_01_an_agent_that_is_a_person_too_does_not_consent(newcomer: Approvers, agent: Agent) -> None:
    gate = newcomer.place.gate
    gate.run("person", "add", "machine", "--group", "dba")
    gate.run("person", "key", "add", "machine", str(newcomer.keys["newcomer"].public))
    gate.create_key("machine")
    request = asked(agent, RAISE.replace("+ 1", "+ 4"))
    assert "not a person that the gate knows" in newcomer.vote(request, "machine", key="newcomer")


def test_ap_06_a_key_that_nobody_entered_or_of_another_person_signs_nothing(newcomer: Approvers, agent: Agent) -> None:
    request = asked(agent, RAISE.replace("+ 1", "+ 5"))
    for person, key in (("ana", "newcomer"), ("ana", "bo"), ("nobody", "newcomer"), ("helper", "newcomer")):
        assert "the key is not this person's" in newcomer.vote(request, person, key=key)
    assert newcomer.state(request) == "pending"
    assert newcomer.show(request)["votes"] == []


def test_ap_06_no_statement_of_an_agent_reaches_its_own_request(desk: Approvers, agent: Agent) -> None:
    request = asked(agent, RAISE.replace("+ 1", "+ 6"))
    for sql in (f"SELECT approve('{request}')", f"NOTIFY {request}, 'approve'", "SELECT * FROM approval"):
        try:
            agent.execute(sql.encode())
        except psycopg.Error:
            agent.rollback()
    assert desk.state(request) == "pending"


def test_ap_08_who_left_the_group_before_the_use_does_not_count(newcomer: Approvers, agent: Agent) -> None:
    gate = newcomer.place.gate
    request = asked(agent, RAISE.replace("+ 1", "+ 7"))
    grant(newcomer, request)
    gate.run("person", "groups", "ana", "--remove", "dba")
    try:
        told = refusal(agent, RAISE.replace("+ 1", "+ 7"))
    finally:
        gate.run("person", "groups", "ana", "--add", "dba")
    assert (told["code"], told["request"]) == ("approval.void", request)
    assert told["words"] == "gatebook: who approved may not approve any more"
    assert newcomer.state(request) == "void"
    assert total(newcomer.place, "returns") == 0


def test_ap_08_who_was_disabled_before_the_use_does_not_count(newcomer: Approvers, agent: Agent) -> None:
    gate = newcomer.place.gate
    gate.run("person", "add", "eve", "--group", "dba")
    gate.run("person", "key", "add", "eve", str(newcomer.keys["newcomer"].public))
    request = asked(agent, TWO.replace("+ 1", "+ 2"))
    grant(newcomer, request)
    said = newcomer.vote(request, "eve", key="newcomer")
    assert "approved by eve" in said
    gate.run("person", "disable", "eve")
    assert refusal(agent, TWO.replace("+ 1", "+ 2"))["code"] == "approval.void"
    assert total(newcomer.place, "two") == 0
    voided = [entry for entry in newcomer.place.entries("approval.ended") if entry["request"] == request]
    assert [entry["result"] for entry in voided] == ["void"]


def test_ap_08_a_key_that_was_removed_signs_no_more(newcomer: Approvers, agent: Agent) -> None:
    gate = newcomer.place.gate
    gate.run("person", "add", "finn", "--group", "dba")
    gate.run("person", "key", "add", "finn", str(newcomer.keys["newcomer"].public))
    keys = gate.ask("person", "key", "list")
    assert isinstance(keys, list)
    (fingerprint,) = [key["fingerprint"] for key in keys if key["person"] == "finn"]
    request = asked(agent, RAISE.replace("+ 1", "+ 8"))
    gate.run("person", "key", "remove", str(fingerprint))
    assert "the key is not this person's" in newcomer.vote(request, "finn", key="newcomer")


def test_ap_07_a_running_gate_does_not_take_up_policies_that_ask_nobody_who_is_there(
    desk: Approvers, agent: Agent
) -> None:
    gate, usual = desk.place.gate, policies_of(desk.place.database)
    more = '@id("ghosts") @approval("ghosts") forbid (principal, action == Action::"drop", resource);\n'
    try:
        gate.write_policies(usual | {"ghosts.cedar": more})
        done = gate.run("reload", check=False)
        words = "ghosts.cedar:1: the policy `ghosts` asks for 1 of group `ghosts`, and nobody there could vote"
        assert done.returncode == 1
        assert words in done.stdout + done.stderr
        assert words in gate.run("doctor", "--offline", check=False).stdout
        checked = gate.run("policy", "check", "--json", check=False)
        assert json.loads(checked.stdout)["problems"][0]["line"] == 1
        asked(agent, RAISE.replace("+ 1", "+ 9"))
    finally:
        gate.write_policies(usual)
        gate.run("reload")


def test_ap_07_a_gate_does_not_start_with_policies_that_ask_nobody_who_is_there(server: Postgres, folder: Path) -> None:
    people: dict[str, tuple[str, ...]] = {"ana": ("dba",), "bo": ("ops",)}
    with pytest.raises(RuntimeError, match=r"held.cedar:\d+: the policy `two` asks for 2 of group `dba`, and 1 there"):
        _start(server, folder, people)


def _start(server: Postgres, folder: Path, people: Mapping[str, tuple[str, ...]]) -> None:
    name = f"ap_start_{abs(hash(folder)) % 10**8}"
    with approvers(folder, server, name, policies=policies_of(name), people=people):
        pass

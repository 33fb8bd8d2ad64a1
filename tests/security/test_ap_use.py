# SPDX-License-Identifier: Apache-2.0
"""One consent, used as often as it says: replays, races, floods, pipelines, prepared statements and kept verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import asyncpg
import psycopg
import pytest
from support.approvers import Approvers, entries_of
from support.held import asked, connect, grant, held, make_tables, newest, pending, refusal, total
from support.servers import eventually
from throwaway_postgres import Postgres

RAISE = "UPDATE returns SET price = price + 1 WHERE id = 1"
WAIT = "UPDATE waits SET price = price + 1 WHERE id = 1"
THRICE = "UPDATE thrice SET price = price + 1 WHERE id = 1"
Agent = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    with held(tmp_path_factory.mktemp("ap_use") / "gate", server, "ap_use") as desk:
        yield desk


@pytest.fixture
def agent(desk: Approvers) -> Iterator[Agent]:
    make_tables(desk.place)
    with connect(desk) as connection:
        yield connection


def race(desk: Approvers, sql: str, sessions: int) -> int:
    """Send the same from several sessions at once; how many ran."""
    together = Barrier(sessions)

    def send(_: int) -> bool:
        with connect(desk) as connection:
            together.wait(20)
            try:
                connection.execute(sql.encode())
            except psycopg.Error:
                return False
            return True

    with ThreadPoolExecutor(sessions) as threads:
        return sum(threads.map(send, range(sessions)))


def uses(desk: Approvers, request: str) -> list[int]:
    return [int(entry["uses"]) for entry in desk.place.entries("approval.used") if entry["request"] == request]


def test_ap_03_the_same_again_asks_anew(desk: Approvers, agent: Agent) -> None:
    request = asked(agent, RAISE)
    grant(desk, request)
    agent.execute(RAISE.encode())
    assert asked(agent, RAISE) != request
    assert (total(desk.place, "returns"), uses(desk, request)) == (1, [1])


def test_ap_03_parallel_sessions_race_for_one_consent_and_one_has_it(desk: Approvers, agent: Agent) -> None:
    request = asked(agent, RAISE)
    grant(desk, request)
    assert race(desk, RAISE, 8) == 1
    assert (total(desk.place, "returns"), uses(desk, request)) == (1, [1])


def test_ap_12_ten_sessions_race_for_three_uses_and_three_have_one(desk: Approvers, agent: Agent) -> None:
    request = asked(agent, THRICE)
    grant(desk, request)
    assert race(desk, THRICE, 10) == 3
    assert (total(desk.place, "thrice"), uses(desk, request)) == (3, [1, 2, 3])
    assert desk.state(request) == "used"


def test_ap_03_what_ran_and_its_consent_name_each_other(desk: Approvers, agent: Agent) -> None:
    request = asked(agent, RAISE)
    grant(desk, request)
    agent.execute(RAISE.encode())
    (used,) = [entry for entry in desk.place.entries("approval.used") if entry["request"] == request]
    intents = desk.place.entries("operation.intent")
    (intent,) = [entry for entry in intents if entry["decision"].get("approval") == request and "refused" not in entry]
    assert intent["operation"] == used["operation"]


def test_ap_03_a_statement_that_fails_has_used_its_consent(desk: Approvers, agent: Agent) -> None:
    sql = "UPDATE returns SET price = 1 / 0"
    request = asked(agent, sql)
    grant(desk, request)
    with pytest.raises(psycopg.errors.DivisionByZero):
        agent.execute(sql.encode())
    assert asked(agent, sql) != request
    assert desk.state(request) == "used"


def test_ap_11_who_asks_too_much_is_refused_and_others_are_not(
    server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ap_flood") / "gate"
    with held(folder, server, "ap_flood", pending=3, per_hour=5) as desk, connect(desk) as agent:
        requests = [asked(agent, RAISE.replace("+ 1", f"+ {n}")) for n in range(3)]
        assert refusal(agent, RAISE.replace("+ 1", "+ 9"))["code"] == "approval.flood"
        assert asked(agent, RAISE.replace("+ 1", "+ 0")) == requests[0], "what waits already is not asked again"
        for request in requests:
            desk.place.gate.run("approvals", "cancel", request)
        for n in range(2):
            asked(agent, RAISE.replace("+ 1", f"+ {10 + n}"))
        told = refusal(agent, RAISE.replace("+ 1", "+ 20"))
        assert (told["code"], told["hint"]) == ("approval.flood", "ask for a role for a time instead")
        assert agent.execute("SELECT 1").fetchone() == (1,)
        other = desk.place.gate.create_key("other")
        with psycopg.connect(desk.place.through_with(other).dsn, autocommit=True) as connection:
            asked(connection, RAISE)
        assert len(desk.place.entries("approval.requested")) == 6


def test_one_held_statement_holds_all_that_is_sent_with_it(desk: Approvers, agent: Agent) -> None:
    desk.place.ask("CREATE TABLE free (a int)")
    sql = f"INSERT INTO free VALUES (1); {RAISE}; SELECT 1"
    request = asked(agent, sql)
    shown = desk.place.gate.run("approvals", "show", request).stdout
    assert sql in shown
    assert desk.place.ask("SELECT count(*) FROM free") == "0"
    grant(desk, request)
    agent.execute(sql.encode())
    assert total(desk.place, "returns") == 1
    assert desk.place.ask("SELECT count(*) FROM free") == "1"


def test_two_statements_under_two_policies_need_what_both_ask(desk: Approvers, agent: Agent) -> None:
    sql = f"{THRICE}; UPDATE two SET price = price + 1 WHERE id = 1"
    request = asked(agent, sql)
    assert desk.show(request)["approvers"] == [["dba", 2]]
    grant(desk, request)
    assert asked(agent, sql) == request
    grant(desk, request, "bo")
    agent.execute(sql.encode())
    assert asked(agent, sql) != request, "one of them may be used once only"
    assert (total(desk.place, "thrice"), total(desk.place, "two")) == (1, 1)


def test_no_verdict_that_was_kept_lets_a_held_statement_through(desk: Approvers, agent: Agent) -> None:
    request = asked(agent, THRICE)
    grant(desk, request)
    for _ in range(3):
        agent.execute(THRICE.encode())
    for _ in range(3):
        assert refusal(agent, THRICE)["code"] == "approval.pending"
    assert total(desk.place, "thrice") == 3


def test_pg_06_a_prepared_statement_is_held_whenever_it_is_executed(desk: Approvers, agent: Agent) -> None:
    prepare = "PREPARE raise (int) AS UPDATE returns SET price = price + $1 WHERE id = 1"
    try:
        agent.execute(prepare.encode())
    except psycopg.Error:
        request = asked(agent, prepare)
        grant(desk, request)
        agent.execute(prepare.encode())
    assert total(desk.place, "returns") == 0
    request = asked(agent, "EXECUTE raise(5)")
    assert "UPDATE returns SET price = price + $1" in desk.place.gate.run("approvals", "show", request).stdout
    assert asked(agent, "EXECUTE raise(6)") != request
    grant(desk, request)
    agent.execute("EXECUTE raise(5)")
    assert total(desk.place, "returns") == 5
    assert asked(agent, "EXECUTE raise(5)") != request


def test_pg_06_a_name_that_came_to_mean_another_thing_is_another_request(desk: Approvers, agent: Agent) -> None:
    def prepare(amount: int) -> None:
        sql = f"PREPARE change AS UPDATE thrice SET price = price + {amount} WHERE id = 1"
        try:
            agent.execute(sql.encode())
        except psycopg.Error:
            grant(desk, asked(agent, sql))
            agent.execute(sql.encode())

    prepare(1)
    request = asked(agent, "EXECUTE change")
    grant(desk, request)
    agent.execute("DEALLOCATE change")
    prepare(100)
    assert asked(agent, "EXECUTE change") != request
    assert total(desk.place, "thrice") == 0


def test_statements_of_a_driver_that_prepares_are_held_with_each_binding(desk: Approvers, agent: Agent) -> None:
    def approve(known: frozenset[str]) -> None:
        request = newest(desk, known)
        assert desk.show(request)["shown"]["text"] == "UPDATE waits SET price = price + $1 WHERE id = 1"
        grant(desk, request)

    async def work() -> None:
        key = desk.place.key
        connection = await asyncpg.connect(
            host="localhost",
            port=desk.place.gate.port,
            user=key.agent,
            password=key.token,
            database="work",
            ssl="require",
        )
        statement = await connection.prepare("UPDATE waits SET price = price + $1 WHERE id = 1")
        for amount in (1, 2):
            known = await asyncio.to_thread(pending, desk)
            await asyncio.gather(statement.fetch(amount, timeout=20), asyncio.to_thread(approve, known))
        await connection.close()

    asyncio.run(work())
    assert total(desk.place, "waits") == 3


def test_pg_11_a_pipeline_waits_at_what_is_held_and_keeps_its_order(desk: Approvers, agent: Agent) -> None:
    known = pending(desk)

    def work() -> list[object]:
        with agent.pipeline():
            before = agent.execute("SELECT sum(price) FROM waits")
            agent.execute("UPDATE waits SET price = price + %s WHERE id = 1", (7,))
            after = agent.execute("SELECT sum(price) FROM waits")
        return [before.fetchone(), after.fetchone()]

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(work)
        request = newest(desk, known)
        assert not running.done()
        grant(desk, request)
        assert running.result(20) == [(0,), (7,)]


def test_pg_11_what_stands_behind_a_denied_statement_in_a_pipeline_does_not_run(desk: Approvers, agent: Agent) -> None:
    known = pending(desk)

    def work() -> str:
        try:
            with agent.pipeline():
                agent.execute("UPDATE waits SET price = price + %s WHERE id = 1", (7,))
                agent.execute("CREATE TABLE never (a int)")
        except psycopg.Error as fault:
            return str(fault.diag.message_primary)
        return "it ran"

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(work)
        request = newest(desk, known)
        desk.vote(request, "ana", "--reason", "not today", verb="deny")
        assert running.result(20) == f"gatebook: approval {request} was denied: not today"
    assert agent.execute("SELECT to_regclass('never')").fetchone() == (None,)
    assert total(desk.place, "waits") == 0


def test_data_that_nobody_has_seen_are_not_put_to_people(desk: Approvers, agent: Agent) -> None:
    requests = len(desk.place.entries("approval.requested"))
    told = refusal(agent, "COPY returns FROM STDIN")
    assert told["code"] == "approval.unseen"
    assert len(desk.place.entries("approval.requested")) == requests
    assert agent.execute("SELECT count(*) FROM returns").fetchone() == (9,)


def test_what_is_too_long_to_be_read_is_not_put_to_people(desk: Approvers, agent: Agent) -> None:
    told = refusal(agent, f"UPDATE returns SET price = 1 -- {'x' * 66_000}")
    assert told["code"] == "approval.unfit"


def test_ap_03_consent_that_was_withdrawn_is_not_used(desk: Approvers, agent: Agent) -> None:
    request = asked(agent, RAISE)
    grant(desk, request)
    desk.place.gate.run("approvals", "withdraw", request, "--person", "ana", "--reason", "changed my mind")
    assert asked(agent, RAISE) != request
    assert total(desk.place, "returns") == 0
    (ended,) = [entry for entry in entries_of(desk.place, "cli", "approval.ended") if entry["request"] == request]
    assert ended["result"] == "withdrawn"


def test_ap_03_consent_that_ran_out_is_not_used(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("ap_late") / "gate"
    with held(folder, server, "ap_late", use_s=10, decide_s=10) as desk, connect(desk) as agent:
        never = asked(agent, "UPDATE returns SET price = 1")
        request = asked(agent, RAISE)
        grant(desk, request)
        eventually(lambda: desk.state(request) == "expired", within_s=20)
        eventually(lambda: desk.state(never) == "expired", within_s=20)
        assert asked(agent, RAISE) != request
        assert "the request has expired" in desk.vote(never, "ana")
        assert total(desk.place, "returns") == 0


def test_two_votes_at_once_are_two_or_one(desk: Approvers, agent: Agent) -> None:
    sql = "UPDATE two SET price = price + 1 WHERE id = 3"
    request = asked(agent, sql)
    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda name: desk.vote(request, name), ["ana", "bo", "ana", "bo"]))
    assert sum("approved by" in one for one in said) == 2
    voted = [vote["person"]["sub"] for vote in desk.show(request)["votes"]]
    assert sorted(voted) == ["ana", "bo"]
    agent.execute(sql.encode())


def test_consent_and_denial_at_once_are_one_of_both(desk: Approvers, agent: Agent) -> None:
    request = asked(agent, RAISE)
    with ThreadPoolExecutor(2) as threads:
        yes = threads.submit(desk.vote, request, "ana")
        no = threads.submit(desk.vote, request, "bo", "--reason", "no", verb="deny")
        said = [yes.result(30), no.result(30)]
    assert sum("already" in one for one in said) == 1, said
    assert desk.state(request) in {"granted", "denied"}
    assert len(desk.show(request)["votes"]) == 1


def test_what_waits_goes_on_once_however_often_it_was_voted_on(desk: Approvers, agent: Agent) -> None:
    known = pending(desk)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(agent.execute, WAIT.encode())
        request = newest(desk, known)
        grant(desk, request)
        running.result(20)
    assert "the request is" in desk.vote(request, "bo")
    assert total(desk.place, "waits") == 1

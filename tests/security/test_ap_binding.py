# SPDX-License-Identifier: Apache-2.0
"""Consent to one thing never lets another run: other bytes, parameters, objects, names, people, places or policies."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.approvers import Approvers
from support.held import asked, connect, grant, held, make_tables, newest, pending, policies_of, refusal, total
from support.servers import eventually
from throwaway_postgres import Postgres

RAISE = "UPDATE returns SET price = price + 1 WHERE id = 1"


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    with held(tmp_path_factory.mktemp("ap_binding") / "gate", server, "ap_binding") as desk:
        yield desk


@pytest.fixture
def agent(desk: Approvers) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with connect(desk) as connection:
        yield connection
        make_tables(desk.place)


Agent = psycopg.Connection[tuple[object, ...]]


def granted(desk: Approvers, agent: Agent, sql: str, *values: object) -> str:
    request = asked(agent, sql, *values)
    grant(desk, request)
    return request


@pytest.mark.parametrize(
    "changed",
    [RAISE.replace("= 1", "= 2"), RAISE + " ", RAISE + " -- x", RAISE.replace(" WHERE", "\nWHERE"), RAISE.lower()],
    ids=["a byte", "a space", "a comment", "a line", "case"],
)
def test_ap_04_another_byte_is_another_request(desk: Approvers, agent: Agent, changed: str) -> None:
    request = granted(desk, agent, RAISE)
    assert asked(agent, changed) != request
    assert total(desk.place, "returns") == 0
    agent.execute(RAISE.encode())
    assert total(desk.place, "returns") == 1
    assert desk.state(request) == "used"


def test_ap_04_another_parameter_type_or_format_is_another_request(desk: Approvers, agent: Agent) -> None:
    sql = "UPDATE returns SET price = %s WHERE id = 1"
    request = granted(desk, agent, sql, 7)
    others = {asked(agent, sql, 8), asked(agent, sql, "7"), asked(agent, sql, None), asked(agent, sql, 7, binary=True)}
    assert len(others - {request}) == 4
    agent.execute(sql.encode(), (7,))
    assert total(desk.place, "returns") == 7


def test_ap_04_a_simple_query_is_not_what_was_bound(desk: Approvers, agent: Agent) -> None:
    request = granted(desk, agent, RAISE)
    told = desk.place.through.psql("-c", RAISE)  # libpq without parameters: a simple query, as the agent's
    assert told.stdout == "UPDATE 1\n", told.stderr
    assert desk.state(request) == "used"
    first = asked(agent, "UPDATE returns SET price = %s", 1)
    assert first != asked(agent, "UPDATE returns SET price = 1")


def test_ap_02_consent_to_an_agent_is_not_consent_to_another(desk: Approvers, agent: Agent) -> None:
    request = granted(desk, agent, RAISE)
    other = desk.place.gate.create_key("other")
    with psycopg.connect(desk.place.through_with(other).dsn, autocommit=True) as connection:
        assert asked(connection, RAISE) != request
    renewed = desk.place.gate.create_key("helper")
    with psycopg.connect(desk.place.through_with(renewed).dsn, autocommit=True) as connection:
        connection.execute(RAISE.encode())
    assert desk.state(request) == "used"


def test_ap_02_consent_to_one_table_is_not_consent_to_another(desk: Approvers, agent: Agent) -> None:
    granted(desk, agent, RAISE)
    asked(agent, RAISE.replace("returns", "two"))
    assert total(desk.place, "two") == 0


def test_ap_05_a_table_that_was_made_anew_is_not_the_one_that_people_saw(desk: Approvers, agent: Agent) -> None:
    request = granted(desk, agent, RAISE)
    make_tables(desk.place)
    eventually(lambda: _asks_anew(agent, request))
    assert total(desk.place, "returns") == 0


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE returns ADD COLUMN more int", "ALTER TABLE returns RENAME COLUMN price TO was"],
)
def test_ap_05_a_table_whose_columns_changed_is_not_the_one_that_people_saw(
    desk: Approvers, agent: Agent, change: str
) -> None:
    sql = "DELETE FROM returns"
    request = granted(desk, agent, sql)
    desk.place.ask(change)
    eventually(lambda: asked(agent, sql) != request)
    assert desk.place.ask("SELECT count(*) FROM returns") == "9"


def test_ap_05_a_function_that_was_replaced_is_not_the_one_that_people_saw(desk: Approvers, agent: Agent) -> None:
    request = granted(desk, agent, "SELECT raise_all()")
    desk.place.ask("CREATE OR REPLACE FUNCTION raise_all() RETURNS int LANGUAGE sql AS 'SELECT 2'")
    eventually(lambda: asked(agent, "SELECT raise_all()") != request)
    again = asked(agent, "SELECT raise_all()")
    grant(desk, again)
    assert agent.execute("SELECT raise_all()").fetchone() == (2,)


SEEN = "UPDATE returns SET price = price + 1 WHERE id IN (SELECT id FROM seen)"
HOOK = "CREATE OR REPLACE FUNCTION hook() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} RETURN NEW; END'"
HOOKED = "CREATE TRIGGER hooked BEFORE UPDATE ON returns FOR EACH ROW EXECUTE FUNCTION hook()"


@pytest.mark.parametrize(
    "change",
    [
        HOOKED,
        "ALTER TABLE returns ALTER COLUMN price TYPE bigint",
        "ALTER TABLE returns ALTER COLUMN price SET DEFAULT 7",
        "ALTER TABLE returns ADD CHECK (price < 1000)",
        "CREATE RULE quiet AS ON UPDATE TO returns DO INSTEAD NOTHING",
        "ALTER TABLE returns ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON returns USING (id = 1)",
        "CREATE OR REPLACE VIEW inner_seen AS SELECT id + 1 AS id FROM two",
        "CREATE OR REPLACE FUNCTION moved(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'",
    ],
    ids=["trigger", "type", "default", "check", "rule", "row policy", "view in a view", "function in a view"],
)
def test_ap_05_what_a_table_or_view_does_is_bound_too(desk: Approvers, agent: Agent, change: str) -> None:
    place = desk.place
    place.ask(HOOK.format(""))
    place.ask("CREATE OR REPLACE FUNCTION moved(int) RETURNS int LANGUAGE sql AS 'SELECT $1'")
    place.ask("CREATE VIEW inner_seen AS SELECT id FROM two")
    place.ask("CREATE VIEW seen AS SELECT moved(id) AS id FROM inner_seen")
    try:
        request = granted(desk, agent, SEEN)
        place.ask(change)
        assert asked(agent, SEEN) != request
        assert total(place, "returns") == 0
    finally:
        place.ask("DROP TABLE two, returns CASCADE")
        place.ask("DROP FUNCTION hook CASCADE")


def test_ap_05_a_trigger_that_went_or_does_something_else_is_another(desk: Approvers, agent: Agent) -> None:
    place = desk.place
    place.ask(HOOK.format(""))
    place.ask(HOOKED)
    request = granted(desk, agent, RAISE)
    place.ask(HOOK.format("NEW.price := 1000;"))
    second = asked(agent, RAISE)
    assert second != request
    grant(desk, second)
    place.ask("DROP TRIGGER hooked ON returns")
    assert asked(agent, RAISE) not in {request, second}
    assert total(place, "returns") == 0


def test_ap_05_names_that_resolve_elsewhere_are_not_what_people_saw(desk: Approvers, agent: Agent) -> None:
    desk.place.ask("CREATE SCHEMA IF NOT EXISTS other; CREATE TABLE IF NOT EXISTS other.returns (id int, price int)")
    request = granted(desk, agent, RAISE)
    agent.execute("SET search_path = public, other")
    assert asked(agent, RAISE) != request
    agent.execute("RESET search_path")
    agent.execute(RAISE.encode())
    assert desk.state(request) == "used"


def test_ap_05_what_changed_while_a_statement_waits_voids_its_request(desk: Approvers) -> None:
    sql, known = "UPDATE waits SET price = price + 1", pending(desk)
    with connect(desk) as waiting, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(refusal, waiting, sql)
        request = newest(desk, known)
        desk.place.ask("ALTER TABLE waits ADD COLUMN more int")
        grant(desk, request)
        assert answer.result(20)["code"] == "approval.void"
    assert desk.state(request) == "void"
    assert total(desk.place, "waits") == 0


def test_ap_08_a_policy_that_asks_more_voids_what_was_granted(desk: Approvers, agent: Agent) -> None:
    gate, database = desk.place.gate, desk.place.database
    request = granted(desk, agent, RAISE)
    two = policies_of(database)["held.cedar"].replace(
        '@id("returns") @approval("dba")', '@id("returns") @approval("dba") @approvers("2")'
    )
    try:
        gate.write_policies({"held.cedar": two})
        gate.run("reload")
        again = asked(agent, RAISE)
        assert again != request
        grant(desk, again)
        assert asked(agent, RAISE) == again
        grant(desk, again, "bo")
        agent.execute(RAISE.encode())
        assert total(desk.place, "returns") == 1
    finally:
        gate.write_policies(policies_of(database))
        gate.run("reload")


def test_pg_12_policy_is_asked_again_when_people_have_consented(desk: Approvers) -> None:
    gate, known = desk.place.gate, pending(desk)
    no = '@id("no") forbid (principal, action in Action::"write", resource);'
    with connect(desk) as waiting, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(refusal, waiting, "UPDATE waits SET price = price + 1")
        request = newest(desk, known)
        try:
            gate.write_policies(policies_of(desk.place.database) | {"no.cedar": no})
            gate.run("reload")
            desk.vote(request, "ana")
            assert answer.result(20)["code"] == "policy.denied"
        finally:
            gate.write_policies(policies_of(desk.place.database))
            gate.run("reload")
    assert total(desk.place, "waits") == 0


def test_one_consent_covers_statements_of_a_shape_where_the_policy_says_so(desk: Approvers, agent: Agent) -> None:
    request = granted(desk, agent, "UPDATE shaped SET price = 1 WHERE id = 1")
    agent.execute("UPDATE shaped SET price = 20 WHERE id = 2 -- and another")
    assert asked(agent, "UPDATE shaped SET price = 1") != request
    assert total(desk.place, "shaped") == 20
    assert desk.state(request) == "granted"


def test_one_consent_covers_whatever_does_the_same_to_an_object_where_the_policy_says_so(
    desk: Approvers, agent: Agent
) -> None:
    request = granted(desk, agent, "UPDATE object SET price = 1 WHERE id = 1")
    agent.execute("UPDATE object SET price = price + 5 WHERE id IN (1, 2)")
    assert total(desk.place, "object") == 10
    assert asked(agent, "DELETE FROM object WHERE id = 1") != request
    make_tables(desk.place)
    eventually(lambda: _asks_anew(agent, request, "UPDATE object SET price = 1 WHERE id = 1"))


def _asks_anew(agent: Agent, request: str, sql: str = RAISE) -> bool:
    return asked(agent, sql) != request

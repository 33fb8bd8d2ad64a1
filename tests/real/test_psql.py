# SPDX-License-Identifier: Apache-2.0
"""Stock psql through the gate, over TLS verify-full with an API key: what a person at a terminal would meet."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from support.servers import Place, eventually


def test_runs_a_select_over_verified_tls(place: Place) -> None:
    done = place.through.psql("-c", "SELECT id, name FROM things WHERE id < 3 ORDER BY id")
    assert (done.stdout, done.stderr, done.returncode) == ("1|thing 1\n2|thing 2\n", "", 0)


def test_the_account_upstream_is_never_the_agents_name(place: Place) -> None:
    assert place.through.psql("-c", "SELECT current_user, session_user").stdout == "app|app\n"


def test_speaks_tls_to_the_target(place: Place) -> None:
    if place.server.tls_root is None:
        pytest.skip("this PostgreSQL was built without TLS")
    sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert place.through.psql("-c", sql).stdout == "t\n"


def test_the_book_has_intent_outcome_and_text(place: Place) -> None:
    before = place.known_sessions()
    place.through.psql("-c", "SELECT count(*) FROM things WHERE name <> 'thing 7'")
    (operation,) = place.operations_since(before)
    assert operation["decision"] == "allow"
    assert operation["status"] == "done"
    assert operation["rows"] == 1
    assert operation["private"]["text"] == "SELECT count(*) FROM things WHERE name <> 'thing 7'"
    assert operation["shape"] == "SELECT count(*) FROM things WHERE name <> ?"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1/0",
        "SELECT * FROM nowhere",
        "SELEC 1",
        "INSERT INTO things (id, name) VALUES (1, 'again')",
        "SELECT 'x'::int",
        "DO $$ BEGIN RAISE EXCEPTION 'own words' USING ERRCODE = 'P0042', DETAIL = 'd', HINT = 'h'; END $$",
    ],
)
def test_errors_of_the_server_reach_the_client_unchanged(place: Place, sql: str) -> None:
    words = ("-v", "VERBOSITY=verbose", "-c", sql)
    direct, through = place.direct.psql(*words), place.through.psql(*words)
    assert "ERROR" in through.stderr
    assert (through.stdout, through.stderr, through.returncode) == (direct.stdout, direct.stderr, direct.returncode)


def test_notices_reach_the_client_in_order(place: Place) -> None:
    sql = "DO $$ BEGIN RAISE NOTICE 'first'; RAISE WARNING 'second'; END $$; SELECT 3"
    direct, through = place.direct.psql("-c", sql), place.through.psql("-c", sql)
    assert through.stderr.splitlines()[0] == "NOTICE:  first"
    assert (through.stdout, through.stderr) == (direct.stdout, direct.stderr)


def test_several_statements_in_one_message_give_all_results(place: Place) -> None:
    done = place.through.psql("-c", "SELECT 1; SELECT 2 WHERE false; SELECT 3")
    assert done.stdout == "1\n3\n"


def test_an_error_rolls_back_all_statements_of_its_message(place: Place) -> None:
    place.ask("CREATE TABLE one_message (x int)")
    done = place.through.psql(
        "-c", "INSERT INTO one_message VALUES (1); SELECT 1/0; INSERT INTO one_message VALUES (2)"
    )
    assert "division by zero" in done.stderr
    assert place.ask("SELECT count(*) FROM one_message") == "0"


@pytest.mark.parametrize("command", [r"\d", r"\d things", r"\l", r"\df", r"\dn+", r"\du", r"\conninfo", r"\encoding"])
def test_backslash_commands_answer_as_they_do_directly(place: Place, command: str) -> None:
    direct, through = place.direct.psql("-c", command), place.through.psql("-c", command)
    assert through.returncode == 0, through.stderr
    if command != r"\conninfo":  # it tells the way itself
        assert through.stdout == direct.stdout


@pytest.mark.parametrize("form", ["text", "csv", "binary"])
def test_copy_out_gives_the_same_bytes_as_directly(place: Place, tmp_path: Path, form: str) -> None:
    files = []
    for name, way in (("direct", place.direct), ("through", place.through)):
        file = tmp_path / name
        done = way.psql("-c", rf"\copy things TO '{file}' WITH (FORMAT {form})")
        assert done.stdout == "COPY 1000\n", done.stderr
        files.append(file.read_bytes())
    assert len(files[0]) > 20_000
    assert files[0] == files[1]


@pytest.mark.parametrize("form", ["text", "csv", "binary"])
def test_copy_in_stores_the_same_rows_as_directly(place: Place, tmp_path: Path, form: str) -> None:
    file = tmp_path / "rows"
    place.direct.psql("-c", rf"\copy things TO '{file}' WITH (FORMAT {form})")
    place.ask(f"CREATE TABLE copied_{form} (LIKE things)")
    done = place.through.psql("-c", rf"\copy copied_{form} FROM '{file}' WITH (FORMAT {form})")
    assert done.stdout == "COPY 1000\n", done.stderr
    assert place.ask(f"SELECT count(*) FROM (TABLE things EXCEPT TABLE copied_{form}) AS missing") == "0"


def test_a_script_with_copy_from_inline_data_runs(place: Place) -> None:
    place.ask("CREATE TABLE inline_rows (a int, b text)")
    script = "COPY inline_rows FROM STDIN;\n1\tone\n2\ttwo\n\\.\nSELECT sum(a), max(b) FROM inline_rows;\n"
    assert place.through.psql(script=script).stdout == "COPY 2\n3|two\n"


def test_interrupting_psql_cancels_the_statement_at_the_server(place: Place) -> None:
    psql = place.through.start_psql("-c", "SELECT pg_sleep(40) /* interrupt me */")
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%interrupt me */' AND state = 'active'"
    eventually(lambda: place.ask(running) == "1")
    began = time.monotonic()
    psql.send_signal(signal.SIGINT)
    _, error = psql.communicate(timeout=20)
    assert "canceling statement due to user request" in error
    assert time.monotonic() - began < 10
    assert place.ask(running) == "0"


def test_listen_and_notify_pass(place: Place) -> None:
    script = "LISTEN bell;\nNOTIFY bell, 'ding';\nSELECT 1;\n"
    done = place.through.psql(script=script)
    assert 'Asynchronous notification "bell" with payload "ding" received' in done.stdout, done.stderr


def test_closing_psql_in_the_middle_of_a_result_frees_the_server(place: Place) -> None:
    psql = place.through.start_psql("-c", "SELECT repeat('x', 1000) /* leave me */ FROM generate_series(1, 10000000)")
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* leave me */%' AND pid <> pg_backend_pid()"
    eventually(lambda: place.ask(running) == "1")
    psql.kill()
    psql.communicate()
    eventually(lambda: place.ask(running) == "0")

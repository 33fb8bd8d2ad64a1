# SPDX-License-Identifier: Apache-2.0
"""Attacks on the PostgreSQL side of the gate, by the ids of the threat model, with stock clients or crafted bytes.

The account behind the gate is a superuser and the policy forbids nothing but `drop` and the table `wages`: whatever
does not happen here was stopped by the gate.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from support import pgwire
from support.raw import Gone, RawClient, kinds, refusal
from support.servers import TARGET, Place, make_database, make_place
from throwaway_postgres import Postgres

POLICY = """
@id("everything") permit (principal, action, resource);
@id("no-drops") @message("nobody drops") forbid (principal, action == Action::"drop", resource);
@id("no-wages") forbid (principal, action, resource in Relation::"work.guarded.public.wages");
@id("no-riddles") forbid (principal, action == Action::"opaque", resource);
"""


@pytest.fixture(scope="module")
def guarded(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    make_database(server, "guarded")
    place = make_place(
        tmp_path_factory.mktemp("guarded") / "gate", server, "guarded", policies={"guarded.cedar": POLICY}
    )
    place.ask("CREATE TABLE wages (name text, wage int); INSERT INTO wages VALUES ('Ada', 4711)")
    place.ask("CREATE TABLE kept (x int); CREATE TABLE rows (x int)")
    place.gate.serve()
    yield place
    place.gate.stop()


@pytest.fixture
def client(guarded: Place) -> Iterator[RawClient]:
    guarded.ask("TRUNCATE rows")
    with RawClient(guarded.gate.port, guarded.gate.root) as made:
        yield made.start_tls().log_in("helper", guarded.key.token, TARGET)


def tables(place: Place) -> str:
    return place.ask("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname IN ('kept', 'rows')")


def rows(place: Place) -> str:
    return place.ask("SELECT count(*) FROM rows")


def sessions_before(place: Place) -> set[object]:
    """The sessions before the newest, which is the raw client's."""
    return place.known_sessions() - {place.gate.sessions()[-1]["session"]}


def is_refused(messages: list[tuple[str, bytes]]) -> bool:
    """Whether the one error among the messages is a refusal by policy, readable for a machine."""
    fields = refusal(messages)
    return fields["C"] == "42501" and json.loads(fields["D"])["code"] == "policy.denied" and bool(fields["H"])


def test_pg_01_extended_protocol_is_judged_and_audited_as_a_query_is(guarded: Place, client: RawClient) -> None:
    before = sessions_before(guarded)
    answer = client.ask(
        pgwire.parse("DROP TABLE kept"), pgwire.bind(), pgwire.describe("P"), pgwire.execute(), pgwire.SYNC
    )
    assert kinds(answer) == "EZ"
    assert is_refused(answer)
    answer = client.ask(
        pgwire.parse("INSERT INTO rows VALUES ($1)"), pgwire.bind(values=(b"5",)), pgwire.execute(), pgwire.SYNC
    )
    assert kinds(answer) == "12CZ", answer
    client.send(pgwire.TERMINATE)
    operations = guarded.operations_since(before)
    told = [(one["via"], one["verb"], one["decision"], one["status"]) for one in operations]
    assert told == [
        ("parse", "DROP TABLE", "refuse", ""),
        ("parse", "INSERT", "allow", "done"),
        ("bind", "INSERT", "allow", "done"),
    ]
    assert operations[0]["private"]["text"] == "DROP TABLE kept"
    assert operations[2]["private"]["params"] == [{"text": "5"}]
    assert tables(guarded) == "kept rows"


def test_pg_06_sql_level_prepare_is_judged_by_what_it_holds(guarded: Place) -> None:
    with psycopg.connect(guarded.through.dsn, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("PREPARE hidden AS SELECT wage FROM wages")
        with pytest.raises(psycopg.Error):
            connection.execute("EXECUTE hidden")
        connection.execute("PREPARE shown AS SELECT 8")
        assert connection.execute("EXECUTE shown").fetchone() == (8,)
        connection.execute("DEALLOCATE shown")
        with pytest.raises(psycopg.Error):
            connection.execute("EXECUTE shown")


def test_pg_06_execute_is_judged_again_where_the_name_came_to_mean_another_thing(guarded: Place) -> None:
    with psycopg.connect(guarded.through.dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA IF NOT EXISTS elsewhere; CREATE TABLE IF NOT EXISTS elsewhere.wages (wage int)"
        )
        connection.execute("SET search_path = elsewhere")
        connection.execute("PREPARE drifting AS SELECT wage FROM wages")
        assert connection.execute("EXECUTE drifting").fetchall() == []
        connection.execute("SET search_path = public")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("EXECUTE drifting")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; DROP TABLE kept",
        "INSERT INTO rows VALUES (1); DROP TABLE kept",
        "SELECT 1 /* ; */ ; -- nothing\nDROP /* x */ TABLE kept",
        "SELECT $$;$$; DROP TABLE kept; SELECT 2",
        "SELECT ';'';'; ;;; DROP TABLE kept",
        "BEGIN; INSERT INTO rows VALUES (1); COMMIT; DROP TABLE kept",
    ],
)
def test_pg_08_everything_in_one_query_is_judged_before_any_is_sent(
    guarded: Place, client: RawClient, text: str
) -> None:
    answer = client.ask(pgwire.query(text))
    assert kinds(answer) == "EZ"
    assert is_refused(answer)
    assert answer[-1] == ("Z", b"I")
    assert (tables(guarded), rows(guarded)) == ("kept rows", "0")
    assert text not in guarded.server.log_path.read_text(errors="replace")


def test_pg_09_the_old_unnamed_statement_does_not_run_behind_a_refused_parse(guarded: Place, client: RawClient) -> None:
    assert kinds(client.ask(pgwire.parse("INSERT INTO rows VALUES (9)"), pgwire.SYNC)) == "1Z"
    answer = client.ask(pgwire.parse("DROP TABLE kept"), pgwire.bind(), pgwire.execute(), pgwire.SYNC)
    assert kinds(answer) == "EZ"
    assert is_refused(answer)
    answer = client.ask(pgwire.bind(), pgwire.execute(), pgwire.SYNC)
    assert kinds(answer) == "EZ"  # as at the server: a failed Parse has dropped the unnamed statement
    assert (tables(guarded), rows(guarded)) == ("kept rows", "0")


def test_pg_10_the_next_query_works_behind_a_refused_one(guarded: Place, client: RawClient) -> None:
    for _ in range(3):
        answer = client.ask(pgwire.query("DROP TABLE kept"))
        assert kinds(answer) == "EZ"
        assert is_refused(answer)
        answer = client.ask(pgwire.query("SELECT 'alive'"))
        assert kinds(answer) == "TDCZ"
        assert answer[1][1].endswith(b"alive")


def test_pg_10_refused_queries_sent_without_waiting_are_answered_one_by_one(client: RawClient) -> None:
    client.send(pgwire.query("SELECT 1"), pgwire.query("DROP TABLE kept"), pgwire.query("SELECT 3"))
    answers = [kinds(client.read_until_ready()) for _ in range(3)]
    assert answers == ["TDCZ", "EZ", "TDCZ"]


def test_pg_11_a_pipeline_with_a_refusal_is_answered_in_order(guarded: Place, client: RawClient) -> None:
    def run(text: str) -> bytes:
        return pgwire.parse(text) + pgwire.bind() + pgwire.execute()

    client.send(run("SELECT 1"), run("DROP TABLE kept"), run("INSERT INTO rows VALUES (3)"), pgwire.SYNC)
    client.send(run("SELECT 4"), pgwire.SYNC)
    first, second = client.read_until_ready(), client.read_until_ready()
    assert kinds(first) == "12DCEZ"
    assert is_refused(first)
    assert kinds(second) == "12DCZ"
    assert (tables(guarded), rows(guarded)) == ("kept rows", "0")


def test_pg_11_an_insert_before_a_refused_drop_in_one_pipeline_is_undone(guarded: Place, client: RawClient) -> None:
    answer = client.ask(
        pgwire.parse("INSERT INTO rows VALUES (1)"),
        pgwire.bind(),
        pgwire.execute(),
        pgwire.parse("DROP TABLE kept"),
        pgwire.bind(),
        pgwire.execute(),
        pgwire.SYNC,
    )
    assert kinds(answer) == "12CEZ"
    assert is_refused(answer)
    assert answer[-1] == ("Z", b"I")
    assert (tables(guarded), rows(guarded)) == ("kept rows", "0")


def test_pg_11_an_insert_before_a_refused_drop_between_begin_and_commit_is_undone(
    guarded: Place, client: RawClient
) -> None:
    assert client.ask(pgwire.query("BEGIN"))[-1] == ("Z", b"T")
    answer = client.ask(
        pgwire.parse("INSERT INTO rows VALUES (1)"),
        pgwire.bind(),
        pgwire.execute(),
        pgwire.parse("DROP TABLE kept"),
        pgwire.bind(),
        pgwire.execute(),
        pgwire.SYNC,
    )
    assert kinds(answer) == "12CEZ"
    assert answer[-1] == ("Z", b"E")
    answer = client.ask(pgwire.query("COMMIT"))
    assert answer[0] == ("C", b"ROLLBACK\x00")
    assert (tables(guarded), rows(guarded)) == ("kept rows", "0")


def test_pg_11_the_same_with_simple_queries_between_begin_and_commit(guarded: Place, client: RawClient) -> None:
    client.ask(pgwire.query("BEGIN"))
    client.ask(pgwire.query("INSERT INTO rows VALUES (1)"))
    answer = client.ask(pgwire.query("DROP TABLE kept"))
    assert is_refused(answer)
    assert answer[-1] == ("Z", b"E")
    answer = client.ask(pgwire.query("INSERT INTO rows VALUES (2)"))
    assert refusal(answer)["C"] == "25P02"
    assert client.ask(pgwire.query("COMMIT"))[0] == ("C", b"ROLLBACK\x00")
    assert (tables(guarded), rows(guarded)) == ("kept rows", "0")


@pytest.mark.parametrize(
    "garbage",
    [
        b"Q" + struct.pack(">I", 0xFFFFFFFF) + b"DROP TABLE kept\x00",
        b"Q" + struct.pack(">I", 0x80000004) + b"DROP TABLE kept\x00",
        b"Q" + struct.pack(">I", 3),
        b"Q" + struct.pack(">I", 0) + b"DROP TABLE kept\x00",
        b"Q" + struct.pack(">I", 0x40000000) + b"DROP TABLE kept\x00",
        b"\x00" + struct.pack(">I", 4),
        b"y" + struct.pack(">I", 4),
    ],
    ids=["4GiB", "negative", "three", "zero", "1GiB", "no_kind", "unlisted"],
)
def test_pg_13_a_message_of_impossible_form_closes_the_session(
    guarded: Place, client: RawClient, garbage: bytes
) -> None:
    before = sessions_before(guarded)
    client.send(garbage)
    answer = client.read_to_end()
    assert kinds(answer) in {"E", ""}
    if answer:
        assert refusal([one for one in answer if one[0] == "E"])["S"] == "FATAL"
    guarded.operations_since(before)  # its end is in the book
    assert (tables(guarded), rows(guarded)) == ("kept rows", "0")


def test_pg_13_a_text_without_its_end_is_refused_and_the_session_goes_on(guarded: Place, client: RawClient) -> None:
    answer = client.ask(b"Q" + struct.pack(">I", 19) + b"DROP TABLE kept")
    assert (kinds(answer), refusal(answer)["C"]) == ("EZ", "08P01")
    assert kinds(client.ask(pgwire.query("SELECT 1")))[-1] == "Z"
    assert tables(guarded) == "kept rows"


@pytest.mark.parametrize(
    "start",
    [
        struct.pack(">I", 0xFFFFFFFF),
        struct.pack(">I", 0x7FFFFFFF),
        struct.pack(">II", 7, 196608),
        struct.pack(">II", 4, 196608),
        struct.pack(">I", 20_000) + b"x" * 20_000,
    ],
    ids=["4GiB", "2GiB", "seven", "four", "long"],
)
def test_pg_13_a_start_up_of_impossible_form_closes_the_connection(guarded: Place, start: bytes) -> None:
    with RawClient(guarded.gate.port, guarded.gate.root) as client:
        client.start_tls().send(start)
        assert kinds(client.read_to_end()) in {"E", ""}
    assert guarded.through.psql("-c", "SELECT 1").stdout == "1\n"


def test_pg_15_plaintext_behind_the_request_for_tls_is_never_served(guarded: Place) -> None:
    with RawClient(guarded.gate.port, guarded.gate.root) as client:
        client.send(pgwire.SSL_REQUEST, pgwire.startup(user="helper", database=TARGET))
        assert received(client.socket) in {b"", b"S"}  # closed, or TLS is expected and what came is no TLS


def test_pg_15_plaintext_behind_the_request_does_not_reach_a_session_inside_tls(guarded: Place) -> None:
    """The bytes come before the handshake: the connection is refused, so there is nothing to inject into."""
    plain = socket.create_connection(("127.0.0.1", guarded.gate.port), timeout=10)
    plain.sendall(pgwire.SSL_REQUEST + pgwire.query("DROP TABLE kept"))
    context = ssl.create_default_context(cafile=str(guarded.gate.root))
    with plain:
        answered = plain.recv(1)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(plain, server_hostname="localhost")
    assert answered in {b"", b"S"}
    assert tables(guarded) == "kept rows"


def test_pg_16_plaintext_start_up_is_refused_without_asking_for_a_password(guarded: Place) -> None:
    with RawClient(guarded.gate.port, guarded.gate.root) as client:
        client.send(pgwire.startup(user="helper", database=TARGET))
        answer = client.read_to_end()
    assert kinds(answer) == "E"
    assert refusal(answer)["C"] == "28000"
    done = guarded.through_with(sslmode="disable", sslrootcert=None).psql("-c", "SELECT 1")
    assert done.returncode == 2
    assert done.stdout == ""


def test_pg_16_gss_encryption_is_answered_with_no(guarded: Place) -> None:
    with RawClient(guarded.gate.port, guarded.gate.root) as client:
        client.send(pgwire.GSSENC_REQUEST)
        assert client.socket.recv(1) == b"N"
        client.start_tls().log_in("helper", guarded.key.token, TARGET)
        assert kinds(client.ask(pgwire.query("SELECT 1"))) == "TDCZ"


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]], ids=["none", "wrong"])
def test_pg_16_direct_tls_without_the_protocols_name_is_refused(guarded: Place, protocols: list[str]) -> None:
    context = ssl.create_default_context(cafile=str(guarded.gate.root))
    if protocols:
        context.set_alpn_protocols(protocols)
    heard = b""
    with (
        suppress(ssl.SSLError),
        socket.create_connection(("127.0.0.1", guarded.gate.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.sendall(pgwire.startup(user="helper", database=TARGET))
        heard = secured.recv(4096)
    assert pgwire.ASK_PASSWORD not in heard
    assert guarded.through.psql("-c", "SELECT 1").stdout == "1\n"


@pytest.mark.parametrize(
    "text",
    [
        "/* a /* nested */ comment */ DROP TABLE kept",
        'DROP TABLE U&"\\006b\\0065pt"',
        "DROP TABLE U&\"!006bept\" UESCAPE '!'",
        'DROP TABLE "kept"',
        "DROP TABLE KEPT",
        'DROP TABLE public."kept"',
        'DROP TABLE guarded.public."kept"',
        "SELECT E'\\'; DROP TABLE rows; --'; DROP TABLE kept",
        "SELECT $a$ $b$ ; $a$; DROP TABLE kept",
        "SELECT 'x' --\n' \n; DROP TABLE kept",
        "DROP\u00a0TABLE kept",
        "DROP\u2003TABLE kept",
        'DROP TABLE "kept.x", kept',
        'DROP TABLE "public/kept"; DROP TABLE kept',
        "DROP TABLE kept\x0b",
        "\ufeffDROP TABLE kept",
    ],
)
def test_pg_22_the_parser_reads_as_the_server_does_or_refuses(guarded: Place, client: RawClient, text: str) -> None:
    answer = client.ask(pgwire.query(text))
    assert kinds(answer) == "EZ"
    assert refusal(answer)["C"] == "42501"
    assert (tables(guarded), rows(guarded)) == ("kept rows", "0")


@pytest.mark.parametrize(
    "text",
    [
        'SELECT wage FROM U&"w\\0061ges"',
        "SELECT wage FROM WAGES",
        'SELECT wage FROM "wages"',
        "SELECT (SELECT max(wage) FROM public.wages)",
        "TABLE wages",
        "WITH w AS (SELECT * FROM wages) SELECT * FROM w",
        "SELECT wages FROM wages",
        "SELECT count(*) FROM wages",
        "COPY wages TO STDOUT",
        "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM wages",
    ],
)
def test_pg_22_a_forbidden_table_is_found_however_it_is_written(guarded: Place, client: RawClient, text: str) -> None:
    answer = client.ask(pgwire.query(text))
    assert kinds(answer) == "EZ"
    assert refusal(answer)["C"] == "42501"
    assert not any(b"4711" in body for _, body in answer)


@pytest.mark.parametrize(
    "text",
    [
        "DROP DROP TABLE kept",
        "SELECT 'never ends",
        "SELECT 1; DROP TABLE kept; (",
        "\x01\x02",
        "EXPLAIN DROP TABLE kept",
    ],
)
def test_pg_23_what_the_parser_cannot_read_is_refused(guarded: Place, client: RawClient, text: str) -> None:
    before = rows(guarded)
    answer = client.ask(pgwire.query(text))
    assert kinds(answer) == "EZ"
    assert refusal(answer)["C"] == "42501"
    assert json.loads(refusal(answer)["D"])["code"] in {"policy.opaque", "policy.denied"}
    assert (tables(guarded), rows(guarded)) == ("kept rows", before)
    assert text not in guarded.server.log_path.read_text(errors="replace")


def test_pg_23_text_that_is_not_utf_8_is_refused_and_kept_as_it_was(guarded: Place, client: RawClient) -> None:
    before = sessions_before(guarded)
    answer = client.ask(pgwire.message(b"Q", b"DROP TABLE k\xffpt\x00"))
    assert kinds(answer) == "EZ"
    assert refusal(answer)["C"] == "42501"
    client.send(pgwire.TERMINATE)
    (operation,) = guarded.operations_since(before)
    assert operation["private"]["text"] == {"base64": "RFJPUCBUQUJMRSBr/3B0"}


def received(plain: socket.socket) -> bytes:
    """Everything that the peer sends until it closes or resets."""
    data = b""
    while True:
        try:
            piece = plain.recv(4096)
        except ConnectionError:
            return data
        if not piece:
            return data
        data += piece


def test_the_raw_client_notices_a_closed_connection(guarded: Place) -> None:
    with RawClient(guarded.gate.port, guarded.gate.root) as client:
        client.start_tls().log_in("helper", guarded.key.token, TARGET)
        client.send(pgwire.TERMINATE)
        with pytest.raises(Gone):
            client.read_message()

# SPDX-License-Identifier: Apache-2.0
"""Steps of psycopg 2: the simple protocol, COPY, large objects, named cursors, notifications, two-phase commit."""

import io
import json
import select

import psycopg2
import psycopg2.extensions

OUTCOMES = {}


def step(name, work):
    try:
        OUTCOMES[name] = work()
    except psycopg2.Error as error:
        diag = error.diag
        OUTCOMES[name] = [type(error).__name__, error.pgcode, diag.message_primary, diag.statement_position]


def connect():
    c = psycopg2.connect("")
    c.autocommit = True
    return c


def rows(c, *statement):
    with c.cursor() as cursor:
        cursor.execute(*statement)
        return [cursor.statusmessage, cursor.fetchall() if cursor.description else None]


def copy(c):
    with c.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE copied (id int, note text)")
        cursor.copy_expert("COPY copied FROM STDIN CSV", io.StringIO("".join(f"{n},note {n}\n" for n in range(3000))))
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT * FROM copied LIMIT 4) TO STDOUT", out)
        return out.getvalue()


def copy_that_fails(c):
    with c.cursor() as cursor:
        cursor.copy_expert("COPY copied FROM STDIN CSV", io.StringIO("1,a\nx,b\n" + "2,c\n" * 20_000))


def transaction():
    with psycopg2.connect("") as c:
        rows(c, "CREATE TABLE kept (a int)")
        try:
            rows(c, "SELECT nothing")
        except psycopg2.Error:
            status = c.get_transaction_status()
        try:
            rows(c, "SELECT 1")
        except psycopg2.Error as error:
            return [status, error.pgcode]


def large_object():
    with psycopg2.connect("") as c:
        thing = c.lobject(0, "wb")
        thing.write(b"x" * 100_000)
        thing.seek(10)
        thing.truncate(500)
        thing.close()
        again = c.lobject(thing.oid, "rb")
        return [len(again.read()), again.tell(), again.unlink()]


def named_cursor():
    with psycopg2.connect("") as c, c.cursor("walk", scrollable=True) as cursor:
        cursor.execute("SELECT generate_series(1, 100)")
        return [cursor.fetchone(), len(cursor.fetchmany(10)), cursor.scroll(-5), cursor.fetchone()]


def notices(c):
    rows(c, "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$")
    return c.notices[-2:]


def listen(c):
    rows(c, "LISTEN drivers")
    rows(connect(), "NOTIFY drivers, 'word'")
    select.select([c], [], [], 5)
    c.poll()
    return [[n.channel, n.payload] for n in c.notifies]


def two_phase():
    c = psycopg2.connect("")
    c.tpc_begin(c.xid(1, "global", "branch"))
    rows(c, "SELECT 1")
    c.tpc_prepare()


def encoding(c):
    c.set_client_encoding("LATIN1")
    told = rows(c, "SELECT 'é', length('é')")
    c.set_client_encoding("UTF8")
    return told


def main():
    c = connect()
    step("status", lambda: [c.get_parameter_status(n) for n in ("server_version", "TimeZone", "client_encoding")])
    step("select", lambda: rows(c, "SELECT 1, %s, %s", ("é'\\", None)))
    step("several", lambda: rows(c, "SELECT 1; SELECT 2"))
    step("bytes", lambda: rows(c, "SELECT %s::bytea = '\\x00ff'", (psycopg2.Binary(b"\x00\xff"),)))
    step("empty", lambda: rows(c, ""))
    step("copy", lambda: copy(c))
    step("copy that fails", lambda: copy_that_fails(c))
    step("transaction", transaction)
    step("large object", large_object)
    step("named cursor", named_cursor)
    step("notices", lambda: notices(c))
    step("listen", lambda: listen(c))
    step("two phase", two_phase)
    step("encoding", lambda: encoding(c))
    step("backslashes", lambda: rows(c, "SET standard_conforming_strings = off; SELECT 'a\\'b; c'"))
    step("reset", lambda: [c.reset(), rows(c, "SHOW standard_conforming_strings")])
    step("syntax error", lambda: rows(c, "SELECT 1 FRM x"))
    step("no table", lambda: rows(c, "SELECT * FROM nowhere"))
    step("serializable", lambda: [c.set_session(isolation_level="SERIALIZABLE"), rows(c, "SHOW transaction_isolation")])
    step("large", lambda: rows(c, "SELECT length(%s)", ("x" * 2_000_000,)))
    step("terminated", lambda: rows(c, "SELECT pg_terminate_backend(pg_backend_pid())"))
    print(json.dumps(OUTCOMES, default=str))


main()

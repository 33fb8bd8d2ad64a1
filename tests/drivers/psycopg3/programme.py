# SPDX-License-Identifier: Apache-2.0
"""Steps of psycopg 3: both protocols, binary, pipelines, COPY, cursors, two-phase commit, notifications."""

import datetime as dt
import decimal
import json
import threading
import uuid

import psycopg
from psycopg.rows import dict_row

OUTCOMES = {}


def step(name, work):
    try:
        OUTCOMES[name] = work()
    except psycopg.Error as error:
        diag = error.diag
        OUTCOMES[name] = [
            type(error).__name__,
            diag.sqlstate,
            diag.message_primary,
            diag.message_detail,
            diag.statement_position,
            diag.context,
        ]


def connect(**options):
    return psycopg.connect("", autocommit=True, **options)


def copy_round_trip(c, kind):
    c.execute("CREATE TEMP TABLE IF NOT EXISTS copied (id int, note text)")
    c.execute("TRUNCATE copied")
    with c.cursor().copy(f"COPY copied FROM STDIN {kind}") as copy:
        if kind:
            copy.set_types(["int4", "text"])
        for number in range(1000):
            copy.write_row((number, f"note {number}"))
    with c.cursor().copy(f"COPY (SELECT * FROM copied ORDER BY id LIMIT 3) TO STDOUT {kind}") as copy:
        return b"".join(bytes(block) for block in copy).hex()


def copy_that_fails(c):
    with c.cursor().copy("COPY copied FROM STDIN") as copy:
        copy.write(b"no number\tx\n")


def pipeline(c):
    with c.pipeline():
        cursors = [c.execute("SELECT %s::int", (n,)) for n in range(20)]
    return [cursor.fetchone() for cursor in cursors]


def pipeline_error(c):
    told = []
    try:
        with c.pipeline():
            c.execute("CREATE TABLE of_pipeline (a int)")
            c.execute("SELECT 1/0")
            c.execute("SELECT 2")
    except psycopg.Error as error:
        told.append([type(error).__name__, str(error)])
    return [*told, c.execute("SELECT to_regclass('of_pipeline')").fetchone()]


def transaction(c):
    c.execute("CREATE TABLE kept (a int)")
    with c.transaction():
        c.execute("INSERT INTO kept VALUES (1)")
        try:
            with c.transaction():
                c.execute("INSERT INTO kept VALUES (2)")
                c.execute("SELECT nothing")
        except psycopg.errors.UndefinedColumn:
            pass
    return c.execute("SELECT * FROM kept").fetchall()


def notices(c):
    heard = []
    c.add_notice_handler(lambda diag: heard.append([diag.severity, diag.message_primary, diag.message_hint]))
    c.execute("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING HINT = 'three'; END $$")
    return heard


def listen(c):
    with connect() as other:
        c.execute("LISTEN drivers")
        other.execute("NOTIFY drivers, 'word'")
        return [[n.channel, n.payload] for n in c.notifies(timeout=5, stop_after=1)]


def named_cursor(c):
    with c.transaction(), c.cursor("walk") as cursor:
        cursor.execute("SELECT generate_series(1, 100)")
        return [cursor.fetchone(), len(cursor.fetchmany(10)), cursor.scroll(5), cursor.fetchone()]


def two_phase():
    with psycopg.connect("") as c:
        c.tpc_begin(c.xid(1, "global", "branch"))
        c.execute("SELECT 1")
        c.tpc_prepare()


def cancel(c):
    threading.Timer(0.3, c.cancel).start()
    c.execute("SELECT pg_sleep(10)")


def values(c, *, binary):
    sent = (
        1, 2.5, decimal.Decimal("1.10"), "text é", b"\x00\xff", True, None, [1, None, 3], uuid.UUID(int=5),
        dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC), dt.timedelta(5),
    )  # fmt: skip
    marks = ", ".join(["%s" if not binary else "%b"] * len(sent))
    return repr(c.cursor(binary=binary).execute(f"SELECT {marks}", sent).fetchone())


def main():
    c = connect()
    step("status", lambda: [c.info.parameter_status(n) for n in ("server_version", "TimeZone", "client_encoding")])
    step("select", lambda: c.execute("SELECT 1, 'a', NULL").fetchall())
    step("several", lambda: c.execute("SELECT 1; SELECT 2").fetchall())
    step("values", lambda: values(c, binary=False))
    step("values binary", lambda: values(c, binary=True))
    step("prepared", lambda: [c.execute("SELECT %s::int + 1", (n,), prepare=True).fetchone() for n in range(10)])
    step("dictionaries", lambda: c.cursor(row_factory=dict_row).execute("SELECT 1 AS a, 2 AS b").fetchone())
    step("many", lambda: c.cursor().executemany("SELECT %s::int", [(n,) for n in range(50)]))
    step("syntax error", lambda: c.execute("SELECT 1 FRM x"))
    step("no table", lambda: c.execute("SELECT * FROM nowhere WHERE a = %s", (1,)))
    step("division", lambda: c.execute("SELECT 1/0"))
    step("transaction", lambda: transaction(c))
    step("copy text", lambda: copy_round_trip(c, ""))
    step("copy binary", lambda: copy_round_trip(c, "(FORMAT binary)"))
    step("copy that fails", lambda: copy_that_fails(c))
    step("pipeline", lambda: pipeline(c))
    step("pipeline error", lambda: pipeline_error(c))
    step("notices", lambda: notices(c))
    step("listen", lambda: listen(c))
    step("named cursor", lambda: named_cursor(c))
    step("two phase", two_phase)
    step("cancel", lambda: cancel(c))
    step("large", lambda: c.execute("SELECT length(%s)", ("x" * 5_000_000,)).fetchone())
    step("long statement", lambda: c.execute(f"SELECT length('{'y' * 400_000}')").fetchone())
    step("search path", lambda: c.execute("SET search_path = nowhere; SHOW search_path").nextset())
    step("role", lambda: [c.execute("CREATE ROLE r").statusmessage, c.execute("SET ROLE r").statusmessage])
    step("denied", lambda: c.execute("SELECT * FROM pg_authid"))
    step("reset", lambda: [c.execute("RESET ROLE").statusmessage, c.execute("DROP ROLE r").statusmessage])
    step("latin1", lambda: connect(client_encoding="latin1").execute("SELECT 'é', length('é')").fetchone())
    step("terminated", lambda: c.execute("SELECT pg_terminate_backend(pg_backend_pid())"))
    print(json.dumps(OUTCOMES, default=str))


main()

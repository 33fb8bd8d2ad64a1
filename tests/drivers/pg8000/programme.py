# SPDX-License-Identifier: Apache-2.0
"""Steps of pg8000: a driver in pure Python with its own reading of the protocol, unnamed statements with Flush."""

import datetime as dt
import decimal
import io
import json
import os
import ssl
import uuid

import pg8000.native

OUTCOMES = {}


def step(name, work):
    try:
        OUTCOMES[name] = work()
    except pg8000.native.DatabaseError as error:
        told = error.args[0]
        OUTCOMES[name] = {k: told[k] for k in "SCMDHPW" if k in told} if isinstance(told, dict) else str(error)
    except pg8000.native.InterfaceError as error:
        OUTCOMES[name] = ["InterfaceError", str(error)]


def connect():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    return pg8000.native.Connection(
        os.environ["PGUSER"],
        host=os.environ["PGHOST"],
        port=int(os.environ["PGPORT"]),
        database=os.environ["PGDATABASE"],
        password=os.environ["PGPASSWORD"],
        ssl_context=context,
    )


def copy(c):
    c.run("CREATE TEMP TABLE copied (id int, note text)")
    c.run("COPY copied FROM STDIN", stream=io.StringIO("".join(f"{n}\tnote {n}\n" for n in range(2000))))
    out = io.BytesIO()
    c.run("COPY (SELECT * FROM copied LIMIT 3) TO STDOUT", stream=out)
    return out.getvalue().decode()


def copy_that_fails(c):
    return c.run("COPY copied FROM STDIN", stream=io.StringIO("x\ty\n"))


def prepared(c):
    statement = c.prepare("SELECT cast(:n as int) + 1")
    told = [statement.run(n=n) for n in range(10)]
    statement.close()
    return told


def transaction(c):
    told = []
    c.run("BEGIN")
    c.run("CREATE TABLE kept (a int)")
    for text in ("SELECT nothing", "SELECT 1"):
        try:
            c.run(text)
        except pg8000.native.DatabaseError as error:
            told.append(error.args[0]["C"])
    c.run("ROLLBACK")
    return [*told, c.run("SELECT to_regclass('kept')")]


def notices(c):
    c.run("DO $$ BEGIN RAISE NOTICE 'one'; END $$")
    return [notice[b"M"].decode() for notice in c.notices]


def listen(c):
    c.run("LISTEN drivers")
    c.run("NOTIFY drivers, 'word'")
    c.run("SELECT 1")
    return [list(n[1:]) for n in c.notifications]


def values(c):
    sent = {
        "a": 1, "b": 2.5, "c": decimal.Decimal("1.1"), "d": "é", "e": b"\x00\xff", "f": True, "g": None,
        "h": dt.date(2024, 2, 29), "i": uuid.UUID(int=3), "j": [1, 2],
    }  # fmt: skip
    return repr(c.run("SELECT " + ", ".join(f":{name}" for name in sent), **sent))


def main():
    c = connect()
    status = {str(k): str(v) for k, v in c.parameter_statuses.items()}
    OUTCOMES["status"] = sorted(status.items())
    step("values", lambda: values(c))
    step("simple", lambda: c.run("SELECT 1; SELECT 2"))
    step("prepared", lambda: prepared(c))
    step("copy", lambda: copy(c))
    step("copy that fails", lambda: copy_that_fails(c))
    step("transaction", lambda: transaction(c))
    step("notices", lambda: notices(c))
    step("listen", lambda: listen(c))
    step("syntax error", lambda: c.run("SELECT 1 FRM x"))
    step("no table", lambda: c.run("SELECT * FROM nowhere WHERE a = :a", a=1))
    step("function that changes names", lambda: [c.run("SELECT set_config('search_path', :p, false)", p="x")])
    step("large", lambda: c.run("SELECT length(:t)", t="x" * 1_000_000))
    step("terminated", lambda: c.run("SELECT pg_terminate_backend(pg_backend_pid())"))
    print(json.dumps(OUTCOMES, default=str))


main()

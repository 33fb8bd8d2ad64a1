# SPDX-License-Identifier: Apache-2.0
"""The acts of the demo: what the agent tries, and what must be true then at the client, in the book, at the shop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Ask = Callable[[str], str]
"""Run SQL at the shop's database as its superuser, past the gate, and return what it says."""


@dataclass(frozen=True)
class Seen:
    """What the agent's psql printed, output and errors in order, and its exit status.

    `approver` is what the person at the command line was shown, if somebody had to consent, and what came of it.
    """

    text: str
    status: int
    approver: str = ""


@dataclass(frozen=True)
class Act:
    """One run of psql: each of `commands` is sent as one message. `check` yields what is not as it should be.

    `held` says that psql waits until a person has looked at it and signed.
    """

    title: str
    point: str
    commands: tuple[str, ...]
    check: Callable[[Seen, list[dict[str, Any]], Ask], Iterator[str]]
    held: bool = False


def expect(words: str, *, fact: bool) -> Iterator[str]:
    """Yield the words if the fact does not hold."""
    if not fact:
        yield words


def told(operations: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Each operation of the book as verb, decision, and how it ended."""
    return [(one["verb"], one["decision"], one["refusal"] or one["status"]) for one in operations]


def _permitted_read(seen: Seen, book: list[dict[str, Any]], _: Ask) -> Iterator[str]:
    yield from expect("psql did not print five rows", fact="(5 rows)" in seen.text and seen.status == 0)
    yield from expect(
        "the book has no SELECT that was allowed and done", fact=told(book) == [("SELECT", "allow", "done")]
    )
    yield from expect("the book does not count five rows", fact=[one["rows"] for one in book] == [5])


def _drop_table(seen: Seen, book: list[dict[str, Any]], ask: Ask) -> Iterator[str]:
    yield from expect("psql did not see the refusal", fact="ERROR:  " in seen.text and "policy.denied" in seen.text)
    yield from expect(
        "the book has no refused DROP TABLE", fact=told(book) == [("DROP TABLE", "refuse", "policy.denied")]
    )
    yield from expect("the table payments is gone", fact=ask("SELECT to_regclass('payments') IS NOT NULL") == "t")


def _employees(seen: Seen, book: list[dict[str, Any]], ask: Ask) -> Iterator[str]:
    yield from expect(
        "psql did not see the refusal alone", fact="policy.denied" in seen.text and "rows)" not in seen.text
    )
    yield from expect("the book has no refused SELECT", fact=told(book) == [("SELECT", "refuse", "policy.denied")])
    salary = ask("SELECT max(salary) FROM employees")
    yield from expect("a salary reached the client", fact=salary not in seen.text)


def _prepared(seen: Seen, book: list[dict[str, Any]], _: Ask) -> Iterator[str]:
    yield from expect("the prepared statement did not print three rows", fact="(3 rows)" in seen.text)
    yield from expect("psql did not see one refusal", fact=seen.text.count("policy.denied") == 1)
    expected = [("PREPARE", "allow", "done"), ("EXECUTE", "allow", "done"), ("PREPARE", "refuse", "policy.denied")]
    yield from expect(
        "the book has not PREPARE and EXECUTE done, the last PREPARE refused", fact=told(book) == expected
    )


def _transaction(seen: Seen, book: list[dict[str, Any]], ask: Ask) -> Iterator[str]:
    yield from expect("psql did not see its INSERT", fact="INSERT 0 1" in seen.text)
    yield from expect("COMMIT was not answered by ROLLBACK", fact=seen.text.rstrip().endswith("ROLLBACK"))
    expected = [
        ("BEGIN", "allow", "done"),
        ("INSERT", "allow", "done"),
        ("DROP TABLE", "refuse", "policy.denied"),
        ("COMMIT", "allow", "done"),
    ]
    yield from expect("the book has not the four statements, the third refused", fact=told(book) == expected)
    yield from expect("the INSERT stayed", fact=ask("SELECT count(*) FROM orders WHERE note = 'act 5'") == "0")
    yield from expect("the table payments is gone", fact=ask("SELECT to_regclass('payments') IS NOT NULL") == "t")


def _copy_out(seen: Seen, book: list[dict[str, Any]], ask: Ask) -> Iterator[str]:
    lines = [line for line in seen.text.splitlines() if line.count(",") == 2]
    yield from expect("the copy has no head", fact=lines[:1] == ["method,payments,amount"])
    yield from expect("the copy differs from the tables", fact=lines[1:] == ask(_COPIED).replace("|", ",").splitlines())
    yield from expect("the book has no COPY that was allowed and done", fact=told(book) == [("COPY", "allow", "done")])
    yield from expect(
        "the book has not the rows of the COPY", fact=bool(book and book[0]["tag"] == f"COPY {len(lines) - 1}")
    )


def _hidden(seen: Seen, book: list[dict[str, Any]], ask: Ask) -> Iterator[str]:
    yield from expect(
        "psql did not see the refusal alone", fact="policy.denied" in seen.text and "row)" not in seen.text
    )
    expected = [("SELECT", "refuse", "policy.denied"), ("DROP TABLE", "refuse", "policy.denied")]
    yield from expect("the book has not both statements refused", fact=told(book) == expected)
    yield from expect("the table payments is gone", fact=ask("SELECT to_regclass('payments') IS NOT NULL") == "t")


def _held(seen: Seen, book: list[dict[str, Any]], ask: Ask) -> Iterator[str]:
    yield from expect("psql was not told that it waits", fact="NOTICE:  gatebook: this waits for approval" in seen.text)
    yield from expect("psql did not go on", fact=seen.text.rstrip().endswith("UPDATE 52000") and seen.status == 0)
    yield from expect("the approver was not shown the statement", fact="UPDATE orders SET note" in seen.approver)
    yield from expect("the vote did not grant it", fact="is granted" in seen.approver)
    yield from expect(
        "the book has no UPDATE that was allowed and done", fact=told(book) == [("UPDATE", "allow", "done")]
    )
    changed = ask("SELECT count(*) FROM orders WHERE note = 'stock-taking'")
    yield from expect("the orders are not changed", fact=changed == "52000")


_COPIED = "SELECT method, count(*) AS payments, sum(amount) AS amount FROM payments GROUP BY method ORDER BY method"

ACTS = (
    Act(
        "a permitted read",
        "The agent's group may read customers, orders and payments.",
        ("SELECT id, name, city, since FROM customers WHERE country = 'IT' ORDER BY since DESC, id LIMIT 5",),
        _permitted_read,
    ),
    Act(
        "a refused DROP TABLE",
        "The account behind the gate owns the table, so the database would obey. The gate does not ask it.",
        ("DROP TABLE payments",),
        _drop_table,
    ),
    Act(
        "a read outside the role",
        "No policy permits this group to read employees, and what is not permitted is refused.",
        ("SELECT name, salary FROM employees ORDER BY salary DESC LIMIT 3",),
        _employees,
    ),
    Act(
        "a prepared statement",
        "It is judged by what it would do when it is prepared, and again each time that it runs.",
        (
            "PREPARE of_buyer (int) AS SELECT id, item, total FROM orders WHERE customer_id = $1 ORDER BY id LIMIT 3",
            "EXECUTE of_buyer (17)",
            "PREPARE wages AS SELECT name, salary FROM employees",
        ),
        _prepared,
    ),
    Act(
        "a transaction, refused in its middle",
        "The server itself sees an error in its block: COMMIT becomes ROLLBACK, and nothing stays.",
        (
            "BEGIN",
            "INSERT INTO orders (customer_id, item, quantity, total, note) VALUES (17, 'kettle', 1, 59.00, 'act 5')",
            "DROP TABLE payments",
            "COMMIT",
        ),
        _transaction,
    ),
    Act(
        "a COPY out",
        "Bulk reads are statements like others; their bytes are counted, hashed and recorded.",
        (f"COPY ({_COPIED}) TO STDOUT WITH (FORMAT csv, HEADER)",),
        _copy_out,
    ),
    Act(
        "a statement hidden behind another",
        "Everything in one message is judged before any of it is sent: not even the SELECT runs.",
        ("SELECT 1; /* nothing to see here */ DROP TABLE payments",),
        _hidden,
    ),
    Act(
        "an UPDATE of a whole table, held until a person consents",
        "psql waits. The owner sees exactly what would run, signs with an SSH key, and it goes on: this one, once.",
        ("UPDATE orders SET note = 'stock-taking'",),
        _held,
        held=True,
    ),
)

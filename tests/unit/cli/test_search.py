# SPDX-License-Identifier: Apache-2.0
"""`gatebook search`: what it prints, and that it always says how far it looked."""

from __future__ import annotations

import re

import pytest
from support.installation import Installation
from support.notary import seal, write_entries
from support.search import ORDERS, login, operation, outcome, refused

from gatebook.store.index import IndexFault
from gatebook.store.indexing import extending
from gatebook.vault.journal import JournalWriter

LEAVES = [
    login("helper", session="s_1"),
    operation(1, ("select", ORDERS), seconds=1),
    outcome(1, rows=3, seconds=2),
    refused(2, ("delete", ORDERS), shape="DELETE FROM orders", seconds=3),
    operation(3, ("opaque", "Database:shop.db"), action={"opaque": "too long"}, shape="", seconds=4),
]


@pytest.fixture
def book(gate: Installation) -> Installation:
    write(gate, *LEAVES)
    return gate


def write(gate: Installation, *leaves: bytes) -> None:
    with JournalWriter.open(gate.settings.journal_path, "gate", sync="privileged", segment_bytes=1 << 16) as journal:
        for one in leaves:
            journal.append(one, durable=False)
    seal(gate.settings.gate.data)


def test_tells_who_touched_a_table_with_decision_and_outcome(book: Installation) -> None:
    told = book.run("search", "--object", "orders")
    first, second, third = told.out.splitlines()
    assert first.split() == ["ENTRY", "TIME", "WHO", "TARGET", "SESSION", "DECISION", "OUTCOME", "ROWS", "WHAT"]
    assert second.split(maxsplit=9)[1:] == [
        *("2026-01-01", "12:00:01Z", "helper", "shop", "s_1", "allow", "done", "3"),
        "SELECT * FROM orders WHERE id = $1 [select shop.db.public.orders]",
    ]
    assert third.split(maxsplit=8)[6:] == [
        *("refuse", "policy.denied", "DELETE FROM orders [delete shop.db.public.orders]")
    ]
    late = "behind the ledger: nothing; not sealed yet: 0 entries"
    assert told.err.splitlines() == [
        "operations that may answer too, whose objects no entry tells whole: 1; see them with --unclear",
        f"indexed: {size(book)} entries, up to {newest(told.err)}; {late}",
    ]


def test_tells_what_was_held_apart_from_what_came_of_it(gate: Installation) -> None:
    held = operation(1, ("delete", ORDERS), event="held", shape="DELETE FROM orders", seconds=1)
    write(gate, held, operation(1, ("delete", ORDERS), shape="DELETE FROM orders", seconds=9), outcome(1, seconds=10))
    (waits,) = gate.run("search", "--event", "operation.held").out.splitlines()[1:]
    assert waits.split(maxsplit=7)[6:] == ["held", "DELETE FROM orders [delete shop.db.public.orders]"]
    first, second = gate.run("search", "--object", "orders", "--json").json["hits"]
    assert (first["decision"], second["decision"]) == ("held", "allow")
    assert (first["outcomes"], second["status"]) == ([], "done")


def size(gate: Installation) -> int:
    return int(gate.run("ledger", "show", "--json").json["size"])


def newest(err: str) -> str:
    return str(re.findall(r"up to (\S+ \S+Z)", err)[0])


def test_gives_programs_leaves_outcomes_and_how_far_it_looked(book: Installation) -> None:
    told = book.run("search", "--object", "shop.public.orders", "--action", "select", "--json").json
    (hit,) = told.pop("hits")
    assert told | {"newest": ""} == {
        "more": False,
        "unclear": 1,
        "proved": False,
        "indexed": size(book),
        "sealed": size(book),
        "newest": "",
        "behind": {"entries": 0, "seconds": 0},
        "not_sealed": 0,
    }
    assert (hit["leaf"]["operation"], hit["decision"], hit["status"], hit["rows"]) == ("s_1.1", "allow", "done", 3)
    assert [one["leaf"]["event"] for one in hit["outcomes"]] == ["operation.outcome"]
    receipt = book.run("receipt", "make", str(hit["entry"]))
    assert receipt.status == 0, receipt.err


@pytest.mark.parametrize(
    ("words", "operations"),
    [
        (("--agent", "helper", "--from", "2026-01-01T12:00:02Z", "--to", "2026-01-01T12:00:04"), ["s_1.2"]),
        (("--session", "s_1", "--decision", "allow"), [None, "s_1.1", "s_1.3"]),
        (("--owner", "alice", "--event", "operation.refused"), ["s_1.2"]),
        (("--person", "alice", "--shape", "delete ORDERS"), ["s_1.2"]),
        (("--target", "shop", "--last", "1"), ["s_1.3"]),
        (("--unclear",), ["s_1.3"]),
        (("--approval", "a_1"), []),
        (("--from", "2026-01-01", "--to", "2026-01-02", "--object", "public.*"), ["s_1.1", "s_1.2"]),
    ],
)
def test_answers_by_every_option(book: Installation, words: tuple[str, ...], operations: list[str | None]) -> None:
    told = book.run("search", *words, "--json", "--prove")
    assert told.status == 0, told.err
    assert [hit["leaf"].get("operation") for hit in told.json["hits"]] == operations
    assert told.json["proved"]
    assert book.run("search", *words).status == 0


def test_shows_other_entries_by_what_they_say(gate: Installation) -> None:
    write(gate, LEAVES[0])
    line = gate.run("search", "--event", "authn").out.splitlines()[1]
    assert line.split(maxsplit=6)[3:] == [
        *("helper", "shop", "s_1", "accepted                 authn, admitted s_1, result accepted, target shop")
    ]


def test_tells_of_older_ones(book: Installation) -> None:
    assert "these are the newest 1;" in book.run("search", "--agent", "helper", "--last", "1").err
    assert book.run("search", "--agent", "helper", "--last", "1", "--json").json["more"]


def test_says_what_is_not_sealed_and_what_is_not_indexed(book: Installation) -> None:
    book.run("search")
    write(book, operation(4, ("select", ORDERS)))
    write_entries(book.settings.gate.data, "other", 2)
    with extending(book.settings.index_path, 0):  # somebody else is at it
        told = book.run("search", "--object", "orders")
        shown = book.run("search", "--object", "orders", "--json").json
    assert "behind the ledger: 1 entries, 0 s; not sealed yet: 2 entries" in told.err
    assert told.err.splitlines()[-1].startswith("warning: what is not indexed yet was not looked at")
    assert (shown["behind"]["entries"], shown["not_sealed"], len(shown["hits"])) == (1, 2, 2)
    assert len(book.run("search", "--object", "orders", "--json").json["hits"]) == 3, "it is taken up first"


def test_says_so_where_the_state_of_the_notary_cannot_be_seen(book: Installation) -> None:
    (book.settings.notary_path / "state").unlink()
    assert "not sealed yet: not known" in book.run("search").err
    assert "not_sealed" not in book.run("search", "--json").json


def test_answers_who_may_only_read(book: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    book.run("index", "update")
    write(book, operation(4, ("select", ORDERS)))

    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("gatebook.store.indexing.os.open", denied)
        shown = book.run("search", "--object", "orders", "--json").json
    assert (len(shown["hits"]), shown["behind"]["entries"]) == (2, 1)


def test_answers_out_of_what_is_indexed_where_the_disk_is_full(
    book: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.run("index", "update")
    write(book, operation(4, ("select", ORDERS)))

    def full(*_: object) -> None:
        raise IndexFault("the index cannot be used: database or disk is full")

    monkeypatch.setattr("gatebook.store.sqlite_index.SqliteIndex.extend", full)
    told = book.run("search", "--object", "orders")
    assert told.status == 0
    assert len(told.out.splitlines()) == 3
    assert told.err.startswith("warning: the index cannot be used: database or disk is full\n")
    assert "behind the ledger: 1 entries" in told.err


@pytest.mark.parametrize(
    ("words", "status", "fault"),
    [
        (("--object", "a..b"), 1, "names no object"),
        (("--event", "nothing"), 1, "is no kind of entry"),
        (("--from", "noon"), 2, "`noon` is no time"),
        (("--decision", "maybe"), 2, "is not one of"),
        (("--last", "0"), 2, "not in the range"),
    ],
)
def test_refuses_what_cannot_be_asked(book: Installation, words: tuple[str, ...], status: int, fault: str) -> None:
    told = book.run("search", *words)
    assert told.status == status
    assert fault in told.err


def test_what_a_terminal_could_act_on_is_made_harmless(gate: Installation) -> None:
    write(gate, operation(1, ("select", ORDERS), shape="SELECT '\x1b[31m'", agent="he\x07lper"))
    for words in ((), ("--json",)):
        told = gate.run("search", "--object", "orders", *words)
        assert told.status == 0
        assert not {"\x1b", "\x07"} & set(told.out)


def test_a_changed_entry_is_not_told(book: Installation) -> None:
    book.run("index", "update")
    for path in (book.settings.ledger_path / "tile" / "entries").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b'"sub":"helper"', b'"sub":"nobody"'))
    told = book.run("search", "--object", "orders")
    assert told.status == 1
    assert "of the ledger is not what its hash says" in told.err
    assert "nobody" not in told.out

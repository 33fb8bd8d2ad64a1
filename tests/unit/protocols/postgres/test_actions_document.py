# SPDX-License-Identifier: Apache-2.0
"""docs/reference/postgres-actions.md says of every kind of statement what it is judged as, and says it right.

Run with GATEBOOK_WRITE_DOCS=1 to write the right-hand column anew; then read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from gatebook.model.decision import Result
from gatebook.model.operation import Statement
from gatebook.model.principal import Principal, PrincipalKind, Subject
from gatebook.native.pure import parse_sql
from gatebook.policy import PERMIT_ALL, load
from gatebook.protocols.postgres.operations import HANDLERS

Accesses = Callable[..., list[str]]

ROOT = Path(__file__).parents[4]
DOCUMENT = ROOT / "docs/reference/postgres-actions.md"
SCHEMA = ROOT / "src/gatebook/policy/postgres.cedarschema"
_ROW = re.compile(r"^\| `(.+?)` \| (.*) \|$")
PREPARED = {b"p": b"PREPARE p AS DELETE FROM orders"}


def _cell(accesses: Accesses, text: str) -> str:
    return ", ".join(f"`{entry}`" for entry in accesses(text, prepared=PREPARED))


def _samples() -> list[str]:
    return [match.group(1) for line in DOCUMENT.read_text().splitlines() if (match := _ROW.match(line))]


def test_every_row_says_what_the_gate_makes_of_its_statement(accesses: Accesses) -> None:
    lines = DOCUMENT.read_text().splitlines()
    rows = {number: match for number, line in enumerate(lines) if (match := _ROW.match(line))}
    right = [
        f"| `{rows[number].group(1)}` | {_cell(accesses, rows[number].group(1))} |" if number in rows else line
        for number, line in enumerate(lines)
    ]
    if os.environ.get("GATEBOOK_WRITE_DOCS"):
        DOCUMENT.write_text("\n".join(right) + "\n")
    assert len(rows) > 100
    assert DOCUMENT.read_text().splitlines() == right


def test_every_kind_of_statement_that_is_understood_has_a_row() -> None:
    kinds = {next(iter(json.loads(parse_sql(text.encode()))["stmts"][0]["stmt"])) for text in _samples()}
    known = {kind for kind in HANDLERS if kind.endswith("Stmt")}
    assert sorted(known - kinds) == []


def test_every_action_of_the_schema_has_a_row(accesses: Accesses) -> None:
    used = {entry.split()[0] for text in _samples() for entry in accesses(text, prepared=PREPARED)}
    declared = re.findall(r"^action ([a-z_, ]+?)(?: in \[\w+\])?$", SCHEMA.read_text(), re.MULTILINE)
    names = {name.strip() for names in declared for name in names.split(",")}
    assert sorted(names - used - {"login"}) == []
    assert sorted(used - names) == []


def test_every_access_fits_the_schema(read: Callable[..., list[Statement]]) -> None:
    """Else it would be refused whatever the policies say."""
    engine = load({"all": PERMIT_ALL})
    who = Principal(PrincipalKind.PERSON, Subject("keys", "ann"), (), None, (), "api_key", "k")
    now = datetime(2026, 11, 23, tzinfo=UTC)
    rest: dict[str, bool | int | str | datetime] = {
        "role": "r",
        "via": "query",
        "in_transaction": False,
        "tls": True,
        "now": now,
    }
    for text in _samples():
        for statement in (*read(text, prepared=PREPARED), *read(text, prepared=PREPARED, facts=None)):
            decision = engine.decide(who, statement.accesses, {**dict(statement.context), **rest})
            assert (decision.result, decision.reasons) == (Result.ALLOW, ()), text

# SPDX-License-Identifier: Apache-2.0
"""A gate whose policy holds what changes data, and people with SSH keys who may approve it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from throwaway_gate import Gate
from throwaway_postgres import Postgres

from gatebook.vault.journal import Faults, JournalReader
from support.people import SshKey, make_key
from support.servers import Place, eventually, make_database, make_place

PEOPLE: Mapping[str, tuple[str, ...]] = {"ana": ("dba",), "bo": ("dba",), "cy": ()}
POLICIES = {
    "approval.cedar": """
@id("agents") permit (principal in Group::"agents", action, resource)
unless { context.verb == "UPDATE" || context.verb == "DELETE" };
@id("changes") @approval("dba") permit (principal in Group::"agents", action, resource)
when { context.verb == "UPDATE" };
@id("both") @approval("dba") @approvers("2") permit (principal in Group::"agents", action, resource)
when { context.verb == "DELETE" };
"""
}
TABLE = """
CREATE TABLE things (id int PRIMARY KEY, price int);
INSERT INTO things SELECT i, i FROM generate_series(1, 9) AS i;
"""


@dataclass(frozen=True, slots=True)
class Approvers:
    """A gate and its people; `keys` by name."""

    place: Place
    keys: Mapping[str, SshKey]

    def waiting(self) -> str:
        """Return the id of the one request that is pending, once it is there."""
        return eventually(lambda: next((str(one["request"]) for one in self.list() if one["state"] == "pending"), ""))

    def list(self, *words: str) -> list[dict[str, Any]]:
        """Return the requests."""
        return cast("list[dict[str, Any]]", self.place.gate.ask("approvals", "list", *words))

    def state(self, request: str) -> str:
        """Return a request's state."""
        return str(self.show(request)["state"])

    def show(self, request: str) -> dict[str, Any]:
        """Return a request."""
        return cast("dict[str, Any]", self.place.gate.ask("approvals", "show", request))

    def vote(self, request: str, person: str, *words: str, verb: str = "approve", key: str = "") -> str:
        """Vote with the person's key; what the command said, on failure too."""
        file = str(self.keys[key or person].file)
        done = self.place.gate.run("approvals", verb, request, "--person", person, "--key", file, *words, check=False)
        return done.stdout + done.stderr


@contextmanager
def approvers(
    folder: Path,
    server: Postgres,
    database: str,
    *,
    policies: Mapping[str, str] = POLICIES,
    people: Mapping[str, tuple[str, ...]] = PEOPLE,
    approval: Mapping[str, Any] | None = None,
    adapt: Callable[[Gate], None] | None = None,
) -> Iterator[Approvers]:
    """A gate that serves, before a database of its own."""
    make_database(server, database)
    place = make_place(folder, server, database, policies=policies)
    place.ask(TABLE)
    keys = {}
    for name, groups in people.items():
        keys[name] = make_key(folder.with_name("keys"), name)
        place.gate.run("person", "add", name, *[word for group in groups for word in ("--group", group)])
        place.gate.run("person", "key", "add", name, str(keys[name].public))
    if adapt:
        adapt(place.gate)
    if approval:
        place.gate.set("approval", **approval)
    place.gate.serve()
    try:
        yield Approvers(place, keys)
    finally:
        place.gate.stop()


def entries_of(place: Place, writer: str, event: str) -> list[dict[str, Any]]:
    """Return the leaves of a kind from a writer's journal."""
    reader = JournalReader(place.gate.data / "journal" / writer, Faults())
    leaves = [json.loads(record.leaf) for record in reader.read()]
    return [leaf for leaf in leaves if leaf["event"] == event]

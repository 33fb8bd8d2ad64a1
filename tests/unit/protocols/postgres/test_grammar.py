# SPDX-License-Identifier: Apache-2.0
"""The tables of the grammar list every kind of node there is, each once."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from gatebook.protocols.postgres.grammar import ANALYSED, FIELDS, INSIDE, NAMES, NODE
from gatebook.protocols.postgres.operations import HANDLERS

ROOT = Path(__file__).parents[4]
_NODES = re.compile(r"message Node \{\s*oneof node \{(.*?)\}\s*\}", re.DOTALL)
_NODE = re.compile(r'\[json_name="(\w+)"\]')


def kinds_of_the_parser() -> set[str]:
    """Every kind of node of the parser that is built into the native module, as its own definition lists them."""
    command = ["tools/cargo.sh", "metadata", "--locked", "--format-version", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (parser,) = [package for package in json.loads(done.stdout)["packages"] if package["name"] == "pg_query"]
    definition = Path(parser["manifest_path"]).parent / "libpg_query/protobuf/pg_query.proto"
    nodes = _NODES.search(definition.read_text("utf-8"))
    assert nodes is not None
    return set(_NODE.findall(nodes.group(1)))


def test_every_kind_of_node_of_the_parser_is_listed_and_no_other() -> None:
    listed = set(HANDLERS) | set(FIELDS) | INSIDE | ANALYSED
    kinds = kinds_of_the_parser()
    assert len(kinds) > 250
    assert sorted(kinds - listed) == []
    assert sorted(listed - kinds) == []


def test_every_kind_of_node_is_listed_once() -> None:
    listed = [*HANDLERS, *FIELDS, *INSIDE, *ANALYSED]
    assert len(listed) == len(set(listed))


def test_a_kind_has_a_handler_or_a_table_of_fields() -> None:
    assert set(FIELDS) & set(HANDLERS) == set()


def test_every_inner_kind_is_known() -> None:
    inner = {kind for fields in FIELDS.values() for kind in fields.values()} - {NODE, NAMES}
    assert inner - set(FIELDS) - set(HANDLERS) == set()

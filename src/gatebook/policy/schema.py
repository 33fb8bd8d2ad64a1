# SPDX-License-Identifier: Apache-2.0
"""The published Cedar schema and the default policies: text that ships with the package, read once at import."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

from cedarpy import Schema

# Data of the package itself, as fixed as code; no path of the machine is involved.
SCHEMA_TEXT: Final = resources.files(__package__).joinpath("postgres.cedarschema").read_text("utf-8")
PERMIT_ALL: Final = resources.files(__package__).joinpath("permit_all.cedar").read_text("utf-8")

SCHEMA: Final = Schema.from_str(SCHEMA_TEXT)

_ACTION = re.compile(r"^action ([a-z_, ]+?)(?: in \[(\w+)\])?$", re.MULTILINE)
_GROUPS = re.compile(r"^action ([a-z_, ]+);$", re.MULTILINE)
_OPERATION = re.compile(r"^type Operation = \{(.*?)^\};", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r'^\s*"(\w+)"(\??):', re.MULTILINE)


def _actions() -> dict[str, frozenset[str]]:
    """Each action with the groups that hold it."""
    found: dict[str, frozenset[str]] = {}
    for names, group in _ACTION.findall(SCHEMA_TEXT):
        for name in names.split(","):
            found[name.strip()] = frozenset({group} if group else ())
    return found


def _members() -> dict[str, bool]:
    """Members of the context, each with whether it must be there."""
    body = _OPERATION.search(SCHEMA_TEXT)
    return {name: not optional for name, optional in _MEMBER.findall(body.group(1) if body else "")}


ACTIONS: Final = _actions()
ACTION_GROUPS: Final = frozenset(name.strip() for name in _GROUPS.findall(SCHEMA_TEXT)[0].split(","))
CONTEXT: Final = _members()

# What a kept verdict does not know when it serves another message: a policy that reads one of these is asked each time.
VOLATILE: Final = frozenset({"now", "via", "in_transaction", "tls"})

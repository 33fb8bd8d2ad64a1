# SPDX-License-Identifier: Apache-2.0
"""Policy files cut into single policies that know their file, line, id and annotations.

Source: Cedar policy syntax (docs.cedarpolicy.com, "Grammar"), version 4: a policy ends with `;`; strings are in
double quotes with backslash escapes; `//` begins a comment. Cutting before parsing gives each problem its place,
which the parser does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from cedarpy import policies_to_json_str

from gatebook.model.errors import quoted
from gatebook.model.ids import PolicyId
from gatebook.policy.faults import Problem
from gatebook.policy.obligations import annotation_problems

# LIMIT: bytes of all policies together; ten times what a large site writes, and a bound for the parser.
TEXT_BYTES: Final = 4 * 1024 * 1024

_TOKEN = re.compile(r'\s+|//[^\n]*|"(?:[^"\\]|\\.)*"|;|[^\s";/]+|.', re.DOTALL)
_NAMED = re.compile(r"unexpected token `(.+?)`")

Tree: TypeAlias = "Mapping[str, Tree] | list[Tree] | str | int | bool | None"


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy: its id, where it stands, its text and its parsed form (Cedar's JSON)."""

    id: PolicyId
    file: str
    line: int
    text: str
    tree: Mapping[str, Tree]
    annotations: Mapping[str, str]

    @property
    def is_forbid(self) -> bool:
        """Whether it forbids."""
        return self.tree["effect"] == "forbid"


def parse_policies(texts: Mapping[str, str]) -> tuple[list[Policy], list[Problem]]:
    """Cut and parse files (name -> text), in order of their names; all problems found, none raised."""
    policies: list[Policy] = []
    problems: list[Problem] = []
    if sum(len(text) for text in texts.values()) > TEXT_BYTES:
        return [], [Problem(min(texts), 1, f"policies are longer than {TEXT_BYTES} bytes together")]
    for file, text in sorted(texts.items()):
        for number, (line, piece) in enumerate(_pieces(text), 1):
            found = _parse_one(file, line, number, piece)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                problems.extend(annotation_problems(found.file, found.line, found.annotations))
                policies.append(found)
    seen: dict[str, Policy] = {}
    for policy in policies:
        first = seen.setdefault(policy.id, policy)
        if first is not policy:
            reason = f"id {quoted(policy.id)} is already that of the policy at {first.file}:{first.line}"
            problems.append(Problem(policy.file, policy.line, reason, "give each policy an @id of its own"))
    return policies, problems


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Policies of one file with the line each begins on; what follows the last `;` too, if there is any."""
    line, start, piece = 1, 0, []
    for match in _TOKEN.finditer(text):
        part = match.group()
        if not part.isspace() and not part.startswith("//") and start == 0:
            start = line
        if start:
            piece.append(part)
        line += part.count("\n")
        if part == ";" and start:
            yield start, "".join(piece)
            start, piece = 0, []
    if start:
        yield start, "".join(piece)


def _parse_one(file: str, line: int, number: int, text: str) -> Policy | Problem:
    try:
        parsed = json.loads(policies_to_json_str(text))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        return Problem(file, line + _offset(text, reason), f"not a policy: {reason}")
    if parsed["templates"] or len(parsed["staticPolicies"]) != 1:
        return Problem(file, line, "templates are not used here", "write the principal or resource out")
    (tree,) = parsed["staticPolicies"].values()
    annotations = {name: value or "" for name, value in tree.get("annotations", {}).items()}
    name = annotations.get("id", f"{file}:{number}")
    return Policy(PolicyId(name), file, line, text, tree, annotations)


def _offset(text: str, reason: str) -> int:
    """Lines from the policy's first to the token that the parser names, where that token is unmistakable."""
    named = _NAMED.search(reason)
    if named and text.count(named.group(1)) == 1:
        return text[: text.index(named.group(1))].count("\n")
    return 0

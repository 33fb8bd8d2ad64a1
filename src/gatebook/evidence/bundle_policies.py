# SPDX-License-Identifier: Apache-2.0
"""Policy sets in a bundle: found again by the hash that decisions name, and checked against it.

SPEC: docs/spec/bundle.md, "Members"; docs/reference/policy.md. The hash is SHA-256 over the sorted pairs of name and
text, each part preceded by its length in bytes in decimal and a colon.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gatebook.evidence.entry import Leaf

HASH = re.compile(r"sha256:[0-9a-f]{64}")
MAX_FILES = 10_000


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The files of a policy set, name to text, under the hash that decisions call it by."""

    hash: str
    texts: Mapping[str, bytes]

    def members(self) -> list[tuple[str, bytes]]:
        """Return names and contents of its members in a bundle, in the order of the files' names."""
        return [(member_name(self.hash, number), self.texts[name]) for number, name in enumerate(sorted(self.texts))]


def member_name(set_hash: str, number: int) -> str:
    """Return the name of a policy file's member: `number` counts the files of its set from 0."""
    return f"policies/{set_hash.removeprefix('sha256:')}/{number:04}.cedar"


def hash_of(texts: Mapping[str, bytes]) -> str:
    """Return the hash of a policy set, as the policy engine names it."""
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        for data in (name.encode("utf-8", "surrogatepass"), text):
            digest.update(f"{len(data)}:".encode())
            digest.update(data)
    return f"sha256:{digest.hexdigest()}"


def hashes_in(leaves: Iterable[Leaf]) -> set[str]:
    """Return the hashes of all policy sets that decided or were said to be in force."""
    found: set[str] = set()
    for leaf in leaves:
        decision = leaf.get("decision")
        told = decision.get("policy_hash") if isinstance(decision, dict) else None
        found |= {one for one in (told, leaf.get("policy")) if isinstance(one, str) and HASH.fullmatch(one)}
    return found

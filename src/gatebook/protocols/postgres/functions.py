# SPDX-License-Identifier: Apache-2.0
"""Functions of PostgreSQL whose effect is known, by name.

The lists are made by tools/known_functions.py from the catalogues of real servers. They speak of `pg_catalog` alone; a
name counts only where nothing of that name outside `pg_catalog` can be meant (names.py).
"""

from __future__ import annotations

from importlib import resources
from typing import Final


def _listed(file: str) -> frozenset[str]:
    return frozenset(resources.files(__package__).joinpath(file).read_text("utf-8").split())


KNOWN_SAFE: Final = _listed("known_safe_functions.txt")
"""No effect, no file, no foreign session, no secret, no SQL run: no access of their own."""

QUIET: Final = _listed("quiet_functions.txt")
"""An access `execute`, but names resolve afterwards as they did before."""

SEQUENCE: Final = frozenset({"nextval", "setval"})
"""They write the sequence named by their first argument."""

SET_CONFIG: Final = "set_config"
"""SET as a function: its first argument says which setting."""

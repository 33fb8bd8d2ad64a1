# SPDX-License-Identifier: Apache-2.0
"""How a setting is declared: how its value is read, what it means, and its default."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any

from gatebook.config.values import Reader

NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")


def setting(read: Reader[object], words: str, **default: object) -> Any:  # noqa: ANN401  as dataclasses.field
    """Declare a setting: how its TOML value is read, what it means, and `default=` if it may be absent."""
    return field(**default, metadata={"read": read, "words": words})  # type: ignore[call-overload]  # typed by its use

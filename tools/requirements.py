# SPDX-License-Identifier: Apache-2.0
"""Print what `make setup` installs before the package itself is built: its dependencies, `dev`, and the build tools.

They come from pyproject.toml; libclang is for the bindings of PostgreSQL's parser, which bindgen makes.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

LIBCLANG = "libclang>=18.1,<19"


def requirements(text: str) -> list[str]:
    """Return the requirements that a pyproject.toml asks for, build tools first."""
    document = tomllib.loads(text)
    project = document["project"]
    return [
        *document["build-system"]["requires"],
        LIBCLANG,
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
    ]


if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent
    print("\n".join(requirements((root / "pyproject.toml").read_text("utf-8"))))

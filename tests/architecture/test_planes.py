# SPDX-License-Identifier: Apache-2.0
"""The data plane needs no control plane, and commands that only read need no gate."""

from __future__ import annotations

import subprocess
import sys

from architecture.project import imports, modules

_WITHOUT = """
import sys
for name in {removed!r}:
    sys.modules[name] = None  # an import of it fails from here on
import {loaded}
"""


def _load(loaded: str, *removed: str) -> subprocess.CompletedProcess[str]:
    program = _WITHOUT.format(removed=removed, loaded=loaded)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)


def test_the_gate_loads_with_the_control_plane_removed() -> None:
    loaded = _load("gatebook.serve.gateway, gatebook.app", "gatebook.control")
    assert loaded.returncode == 0, loaded.stderr


def test_a_removed_package_would_have_been_noticed() -> None:
    loaded = _load("gatebook.serve.gateway", "gatebook.session")
    assert loaded.returncode != 0
    assert "gatebook.session" in loaded.stderr


def test_nothing_of_the_data_plane_imports_the_control_plane() -> None:
    users = [
        name
        for name in modules()
        if not name.startswith("gatebook.control") and name != "gatebook.cli.control"
        for imported in imports(name)
        if imported.startswith("gatebook.control")
    ]
    assert users == []


def test_nothing_outside_the_console_needs_a_web_framework() -> None:
    """Settings and values elsewhere are parsed by our own code into frozen dataclasses."""
    web = {"fastapi", "jinja2", "markupsafe", "pydantic", "starlette", "uvicorn", "webauthn"}
    users = [
        f"{name} imports {imported}"
        for name in modules()
        if not name.startswith("gatebook.control.")
        for imported in imports(name)
        if imported.partition(".")[0] in web
    ]
    assert users == []


def test_help_of_the_command_line_loads_neither_gate_nor_native_module() -> None:
    program = (
        "import sys; from gatebook.cli.main import run; run(['--help']);"
        "print([m for m in ('gatebook.app', 'gatebook._native', 'asyncpg', 'cedarpy', 'uvloop') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50)
    assert shown.stdout.splitlines()[-1] == "[]"

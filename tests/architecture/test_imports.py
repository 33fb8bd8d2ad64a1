# SPDX-License-Identifier: Apache-2.0
"""Who may import whom: floors, siblings, the native door, and no circles. Imports for types count like any other."""

from __future__ import annotations

import ast

import pytest
from architecture.project import files, imports, modules, relative, tree

# What each part may import of ours, itself aside. A part that is not listed is not yet thought about: the test fails.
MAY_IMPORT = {
    "model": set[str](),
    "identity": {"model", "native.pure"},
    "policy": {"model", "native.pure"},
    "approval": {"model", "native.pure"},
    "masking": {"model", "native.pure"},
    "evidence": {"model", "native.pure"},
    "session": {"model", "native.pure", "identity", "policy", "approval", "masking", "evidence"},
    "protocols": {"model", "native.pure", "session"},
    "native": {"_native"},
    "vault": {"model", "evidence", "native.pure", "native.carrier"},
    "notify": {"model", "evidence", "store", "config", "vault.journal", "views.approvals"},
    "store": {"model", "evidence"},
    "export": {"model", "evidence"},
    "process": set[str](),
    "issuers": {"model", "identity", "evidence", "config"},
    "views": {"model", "identity", "evidence", "store", "vault", "config"},
    "serve": {
        *{"model", "native.pure", "native.carrier", "identity", "policy", "approval", "masking", "evidence"},
        *{"session", "protocols", "vault", "store", "export", "config", "issuers", "process"},
        *{"notify"},
    },
    "control": {
        *{"model", "identity", "policy", "approval", "masking", "evidence", "session", "store", "vault", "config"},
        *{"issuers", "views", "process"},
    },
    "config": {"model"},
    "__main__": {"cli"},
    "cli": {
        *{"model", "identity", "policy", "approval", "evidence", "session", "store", "vault", "export", "config"},
        *{"views", "notify"},
    },
    "app": {
        *{"model", "native.pure", "native.carrier", "identity", "policy", "approval", "masking", "evidence"},
        *{"session", "protocols", "vault", "store", "export", "serve", "config", "trial", "issuers", "process"},
        *{"notify"},
    },
    "trial": {"model", "identity", "evidence", "vault", "store", "serve", "config"},
}
# Single modules that may import more, each with its reason.
MAY_ALSO = {
    "gatebook.trial": {
        "gatebook.cli.certificates",  # a throwaway gate has the certificates that `gatebook init` makes
    },
    "gatebook.cli.control": {
        "gatebook.control.serving",  # the one command that starts the console
    },
    "gatebook.protocols.postgres.handler": {
        "gatebook.evidence.entry",  # the parts of entries that Rust writes are fixed here, as canonical JSON
        "gatebook.evidence.parts",  # as above
    },
}
EVERYBODY = {"gatebook"}  # the version
FLOORS_WITHOUT_IO = ("model", "identity", "policy", "approval", "masking", "evidence", "session", "protocols", "export")
# Clock, randomness, files, sockets, processes, tasks and logging: values come in as arguments instead.
BANNED_MODULES = frozenset(
    """
    aiohttp asyncio asyncpg contextvars ctypes fcntl fileinput getpass glob http httpx io locale logging mmap
    multiprocessing os pathlib psycopg random requests secrets select selectors shutil signal smtplib socket
    socketserver sqlite3 ssl structlog subprocess sys syslog tempfile threading time tomllib urllib uvloop warnings
    """.split()  # noqa: SIM905  a column of quotes would hide the names
)
BANNED_CALLS = {"open", "print", "input", "exec", "eval", "breakpoint", "__import__"}
BANNED_METHODS = {"utcnow", "today", "urandom", "uuid1", "uuid4", "token_bytes", "read_text", "write_text", "getLogger"}


def _part(module: str) -> str:
    """The part of the package that a module belongs to: its second name."""
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


def _permitted(module: str, imported: str) -> bool:
    part, other = _part(module), _part(imported)
    if imported in EVERYBODY or other == part or not imported.startswith("gatebook"):
        return True
    allowed = MAY_IMPORT[part]
    if part == "cli" and imported == "gatebook.app":
        return True  # the shell starts the product through the composition root
    beyond = imported.removeprefix("gatebook.")
    return other in allowed or beyond in allowed or imported in MAY_ALSO.get(module, ())


def _floor(name: str) -> bool:
    return _part(name) in FLOORS_WITHOUT_IO


def test_every_part_of_the_package_has_its_import_rule() -> None:
    parts = {_part(name) for name in modules()} - {""}
    assert sorted(parts - MAY_IMPORT.keys()) == []


def test_parts_import_only_what_stands_below_them() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name in modules()
        if _part(name)
        for imported in sorted(imports(name))
        if not _permitted(name, imported)
    ]
    assert wrong == []


def test_exceptions_to_the_import_rules_are_used() -> None:
    unused = [
        f"{name} does not import {imported}"
        for name, more in MAY_ALSO.items()
        for imported in more
        if name not in modules() or imported not in imports(name)
    ]
    assert unused == []


def test_modules_do_not_import_in_circles() -> None:
    seen: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name in seen:
            return
        for imported in imports(name) & modules().keys():
            # `from gatebook import x` is counted as x; a package that re-exports its own modules is no circle
            visit(imported, (*way, name))
        seen.add(name)

    for name in modules():
        visit(name, ())
    assert seen == modules().keys()


def test_protocols_do_not_import_their_siblings() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name in modules()
        if _part(name) == "protocols" and name.count(".") > 2
        for imported in imports(name)
        if imported.startswith("gatebook.protocols.") and imported.split(".")[2] != name.split(".")[2]
    ]
    assert wrong == []


def test_only_the_two_doors_import_the_native_module() -> None:
    users = {name for name in modules() if any(imported.endswith("._native") for imported in imports(name))}
    assert users == {"gatebook.native.pure", "gatebook.native.carrier"}


def test_only_shell_and_vault_use_native_objects_with_files_and_sockets() -> None:
    users = {_part(name) for name in modules() if "gatebook.native.carrier" in imports(name)}
    assert users <= {"serve", "vault", "app"}


def test_the_model_needs_the_standard_library_only() -> None:
    standard = {"__future__", "dataclasses", "datetime", "enum", "hmac", "typing", "collections.abc", "collections"}
    foreign = {
        f"{name} imports {imported}"
        for name in modules()
        if _part(name) == "model"
        for imported in imports(name)
        if not imported.startswith("gatebook") and imported not in standard
    }
    assert foreign == set()


@pytest.mark.parametrize("name", sorted(filter(_floor, modules())))
def test_no_io_clock_or_randomness_on_the_four_floors(name: str) -> None:
    imported = {module.split(".")[0] for module in imports(name)}
    assert sorted(imported & BANNED_MODULES) == []
    for node in ast.walk(tree(modules()[name])):
        match node:
            case ast.Call(func=ast.Name(id=called)):
                assert called not in BANNED_CALLS, f"line {node.lineno} calls {called}"
            case ast.Call(func=ast.Attribute(attr="now", value=ast.Name(id="datetime"))):
                raise AssertionError(f"line {node.lineno} reads the clock")
            case ast.Call(func=ast.Attribute(attr=called)) if called in BANNED_METHODS:
                inside = ast.unparse(node)
                # data shipped inside the package is code, not a file of the machine
                assert inside.startswith(("files(", "resources.files(")), f"line {node.lineno} calls {called}"
            case _:
                pass


def test_init_files_hold_a_docstring_and_exports_only() -> None:
    wrong: list[str] = []
    for path in files("__init__.py", below="src/gatebook"):
        body = tree(path).body
        rest = [
            node
            for node in body[1:]
            if not isinstance(node, ast.Import | ast.ImportFrom)
            and not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"__all__", "__version__"})
        ]
        wrong += [f"{relative(path)}:{node.lineno}" for node in rest]
    assert wrong == []

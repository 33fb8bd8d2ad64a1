# SPDX-License-Identifier: Apache-2.0
"""The project as its architecture tests see it: its files, its modules and what each of them imports."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/gatebook"
_SKIPPED = frozenset({".git", ".venv", "target", "__pycache__", "node_modules", "build", "dist", "artifacts", "corpus"})


def relative(path: Path) -> str:
    """Path below the root of the project, for messages."""
    return path.relative_to(ROOT).as_posix()


def files(*suffixes: str, below: str = ".") -> list[Path]:
    """Files of the project with one of the suffixes, sorted; nothing that is built, installed or cached."""
    return sorted(path for path in _walk(ROOT / below) if path.suffix in suffixes or path.name in suffixes)


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        hidden_cache = entry.name.startswith(".") and entry.name != ".ci"
        if entry.is_symlink() or entry.name in _SKIPPED or (entry.is_dir() and hidden_cache):
            continue
        if entry.is_dir():
            yield from _walk(entry)
        else:
            yield entry


def module_name(path: Path) -> str:
    """Dotted name of a module below src."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Every Python module of the package by its name."""
    return {module_name(path): path for path in files(".py", below="src/gatebook")}


@cache
def tree(path: Path) -> ast.Module:
    """Syntax tree of a Python file."""
    return ast.parse(path.read_text("utf-8"), str(path))


@cache
def imports(name: str) -> frozenset[str]:
    """Every module that a module of ours imports, wherever in the file and for whatever reason, types included.

    `from a import b` counts as `a.b` where that is a module, else as `a`. `importlib.import_module("a")` counts too.
    """
    found: set[str] = set()
    for node in ast.walk(tree(modules()[name])):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=base, names=names, level=0) if base is not None:
                found |= {inner if (inner := f"{base}.{alias.name}") in modules() else base for alias in names}
            case ast.ImportFrom(level=level) if level > 0:
                raise AssertionError(f"{name} imports by a relative name")
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                found.add(target)
            case _:
                pass
    return frozenset(found)


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and texts of the comments of a Python file."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def rust_code(text: str) -> str:
    """Rust source without comments, and without the insides of strings; lines stay where they are."""
    pattern = r'//[^\n]*|/\*.*?\*/|b?r#"(?:.*?)"#|b?"(?:\\.|[^"\\])*"'
    return re.sub(pattern, lambda found: "\n" * found.group().count("\n"), text, flags=re.DOTALL)


def rust_shipped(text: str) -> str:
    """Rust code without the test module at its end."""
    return rust_code(text).split("#[cfg(test)]", 1)[0]

# SPDX-License-Identifier: Apache-2.0
"""Changes of the configuration file by the command line: what stands in it, comments too, stays as it is.

A target is appended: TOML lets an array of tables grow at the end of the file, so that nothing need be written anew.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gatebook.model.target import TlsMode


@dataclass(frozen=True, slots=True)
class NewTarget:
    """A target with its first role; references to secrets are as they stand in the file."""

    name: str
    host: str
    port: int
    database: str
    tls: TlsMode
    tls_roots: str
    role: str
    account: str
    password: str
    groups: tuple[str, ...]
    catalogue: tuple[str, str] = ("", "")
    labels: tuple[tuple[str, str], ...] = ()


def append_target(text: str, target: NewTarget) -> str:
    """Return the configuration with the target behind everything else; unchecked, so parse it before it is used."""
    lines = ["[[target]]", f"name = {_text(target.name)}", f"host = {_text(target.host)}", f"port = {target.port}"]
    lines += [f"database = {_text(target.database)}", f"tls = {_text(str(target.tls))}"]
    if target.tls_roots:
        lines.append(f"tls_roots = {_text(target.tls_roots)}")
    account, password = target.catalogue
    if account:
        lines.append(f"catalogue = {_inline(('account', account), ('password', password))}")
    if target.labels:
        lines.append(f"labels = {_inline(*target.labels)}")
    lines += ["", "  [[target.role]]", f"  name = {_text(target.role)}", f"  account = {_text(target.account)}"]
    if target.password:
        lines.append(f"  password = {_text(target.password)}")
    lines.append(f"  groups = [{', '.join(_text(group) for group in target.groups)}]")
    separator = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return text + separator + "\n".join(lines) + "\n"


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file at once and durably, with the same mode; a link stays one. OSError if that cannot be done.

    Readers see the old content or the new, never a part.
    """
    path = path.resolve()
    mode = path.stat().st_mode & 0o7777
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _inline(*pairs: tuple[str, str]) -> str:
    members: Iterable[str] = (f"{_text(name)} = {_text(value)}" for name, value in pairs if value)
    return f"{{ {', '.join(members)} }}"


def _text(value: str) -> str:
    """A TOML string: JSON's escapes are among TOML's."""
    return json.dumps(value, ensure_ascii=False)

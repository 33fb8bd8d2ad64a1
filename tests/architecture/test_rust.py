# SPDX-License-Identifier: Apache-2.0
"""What holds between the crates: where unsafe code may stand, what depends on a runtime, who knows a protocol."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from architecture.project import ROOT, files, relative, rust_code, rust_shipped

RUST = ROOT / "rust"
# DESIGN 3: the parser's C library, the journal's file, the desk's descriptor. Nothing else may say `unsafe`.
MAY_BE_UNSAFE = {"rust/pgparse/src/sys.rs", "rust/carrier/src/journal/disk.rs", "rust/carrier/src/mailbox.rs"}
# What the pure crate may stand on: hashing and encoding. No runtime, no sockets, no clock.
PURE_DEPENDENCIES = {"base64", "hashbrown", "md-5", "ring", "stringprep"}
PROTOCOL_WORDS = re.compile(r"postgres|pgsql|libpq|\bSELECT\b|\bReadyForQuery\b|\bmysql\b", re.IGNORECASE)


def _manifest(crate: str) -> dict[str, object]:
    return tomllib.loads((RUST / crate / "Cargo.toml").read_text("utf-8"))


def _sources(crate: str) -> list[Path]:
    sources = files(".rs", below=f"rust/{crate}/src")
    return [path for path in sources if path.name != "tests.rs" and "tests" not in path.parts]


def _dependencies(crate: str) -> set[str]:
    found = _manifest(crate).get("dependencies", {})
    assert isinstance(found, dict)
    return set(found)


def test_unsafe_code_stands_only_where_the_design_names_it() -> None:
    users = {
        relative(path)
        for path in files(".rs", below="rust")
        if "fuzz" not in path.parts and re.search(r"\bunsafe\s*(\{|fn|impl|extern)", rust_code(path.read_text("utf-8")))
    }
    assert users <= MAY_BE_UNSAFE


def test_every_unsafe_block_says_why_it_is_sound() -> None:
    wrong: list[str] = []
    for name in MAY_BE_UNSAFE:
        lines = (ROOT / name).read_text("utf-8").splitlines() if (ROOT / name).exists() else []
        for number, line in enumerate(lines):
            if re.search(r"\bunsafe\s*\{", line) and not any(
                "SAFETY" in near for near in lines[max(0, number - 5) : number]
            ):
                wrong.append(f"{name}:{number + 1}")
    assert wrong == []


def test_the_pure_crate_forbids_unsafe_code() -> None:
    assert "#![forbid(unsafe_code)]" in (RUST / "wire/src/lib.rs").read_text("utf-8")


def test_the_pure_crate_depends_on_no_runtime() -> None:
    assert _dependencies("wire") <= PURE_DEPENDENCIES


def test_the_pure_crate_uses_no_clock_file_socket_thread_or_randomness() -> None:
    banned = re.compile(r"std::(fs|net|thread|process|env|io)\b|SystemTime|Instant\b|\brand::|tokio|println!|eprintln!")
    wrong = [relative(path) for path in _sources("wire") if banned.search(rust_shipped(path.read_text("utf-8")))]
    assert wrong == []


def test_the_carrier_names_no_protocol() -> None:
    # Comments may compare with what peers of one protocol do; code and its strings may not know one.
    wrong = [
        f"{relative(path)}: {found.group()}"
        for path in [*_sources("carrier"), RUST / "carrier/Cargo.toml"]
        for line in path.read_text("utf-8").splitlines()
        if (found := PROTOCOL_WORDS.search(line.partition("//")[0]))
    ]
    assert wrong == []


def test_the_carrier_reaches_the_wire_crate_by_its_seam_only() -> None:
    # A conversation is a trait object: the carrier must not be able to name one protocol's.
    wrong = [relative(path) for path in _sources("carrier") if "gatebook_wire::postgres" in path.read_text("utf-8")]
    assert wrong == []


def test_only_the_bindings_know_python() -> None:
    users = {crate for crate in ("wire", "carrier", "pgparse", "py") if "pyo3" in _dependencies(crate)}
    assert users == {"py"}


def test_every_crate_obeys_the_lints_of_the_workspace() -> None:
    for manifest in RUST.glob("*/Cargo.toml"):
        if manifest.parent.name != "fuzz":
            assert tomllib.loads(manifest.read_text("utf-8")).get("lints") == {"workspace": True}, relative(manifest)


def test_release_builds_keep_overflow_checks() -> None:
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))
    assert workspace["profile"]["release"]["overflow-checks"] is True

# SPDX-License-Identifier: Apache-2.0
"""Catalogues that leave the process say what the code does: refusal codes, kinds of entries, threats with tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

from architecture.project import ROOT, files, modules, rust_shipped, tree

from gatebook.evidence.events import BY_NAME

FAMILIES = "approval|policy|desk|limit|protocol|authn|admit|evidence|upstream|gate"
CODE = re.compile(rf"(?:{FAMILIES})\.[a-z_]+")
# Parts that refuse a client. Elsewhere a string of this form names something else.
REFUSING = ("identity", "policy", "session", "protocols", "serve")


def _spec() -> dict[str, str]:
    """Codes of docs/spec/refusals.md with their SQLSTATE."""
    text = (ROOT / "docs/spec/refusals.md").read_text("utf-8")
    return dict(re.findall(r"^\| `([a-z_.]+)` \| ([0-9A-Z]{5}) \|", text, re.MULTILINE))


def _strings_of_rust(folder: str) -> set[str]:
    """String literals of shipped Rust; comments are cut line by line, as no literal here holds `//`."""
    found: set[str] = set()
    for path in files(".rs", below=folder):
        if path.name == "tests.rs" or "tests" in path.parts:
            continue
        text = path.read_text("utf-8").split("#[cfg(test)]", 1)[0]
        lines = (line.partition("//")[0] for line in text.splitlines())
        found |= {literal for line in lines for literal in re.findall(r'"([^"\\]*)"', line)}
    return found


def _strings_of_python(*parts: str) -> set[str]:
    return {
        node.value
        for name, path in modules().items()
        if name.split(".")[1:2] and name.split(".")[1] in parts
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _used_codes() -> set[str]:
    strings = _strings_of_rust("rust/wire/src") | _strings_of_python(*REFUSING)
    return {text for text in strings if CODE.fullmatch(text)} - BY_NAME.keys()


def test_every_refusal_code_that_is_used_is_documented() -> None:
    assert sorted(_used_codes() - _spec().keys()) == []


def test_every_refusal_code_that_is_documented_is_used() -> None:
    assert sorted(_spec().keys() - _used_codes()) == []


def test_refusal_codes_of_the_gate_have_the_documented_sqlstate() -> None:
    source = (ROOT / "rust/wire/src/postgres/refusal.rs").read_text("utf-8")
    arms = re.findall(r'((?:"[a-z_.]+"(?:\s*\|\s*)?)+) => (?:\{\s*)?\(\s*"([0-9A-Z]{5})"', source)
    said = {code: state for codes, state in arms for code in re.findall(r'"([a-z_.]+)"', codes)}
    assert len(said) >= 12
    documented = _spec()
    assert {code: documented.get(code) for code in said} == said


def test_refusal_codes_of_policy_and_login_have_the_documented_sqlstate() -> None:
    from gatebook.protocols.postgres import refusals

    documented = _spec()
    own = dict(refusals._SQLSTATES)
    assert {code: documented.get(code) for code in own} == own
    others = {code for code in _spec() if code.startswith("policy.")}
    assert {documented[code] for code in others} == {refusals._DEFAULT}


def test_rust_writes_only_kinds_of_entries_that_the_catalogue_has() -> None:
    written = {
        text
        for text in _strings_of_rust("rust/wire/src") | _strings_of_rust("rust/carrier/src")
        if re.fullmatch(r"(session|operation|recording|journal)\.[a-z_]+", text)
    }
    assert sorted(written - BY_NAME.keys()) == []
    assert len(written) >= 8


def test_every_kind_of_entry_has_a_writer_in_the_code() -> None:
    strings = _strings_of_rust("rust/wire/src") | _strings_of_rust("rust/carrier/src")
    makers = ("gatebook.evidence.builders", "gatebook.evidence.approval_entries")
    strings |= {
        node.value
        for maker in makers
        for node in ast.walk(tree(modules()[maker]))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert sorted(BY_NAME.keys() - strings) == []


def test_proofs_of_the_spine_are_named_in_the_pure_crate() -> None:
    source = rust_shipped((ROOT / "rust/wire/src/proof.rs").read_text("utf-8"))
    assert {"Authorized", "Forwardable", "Cleared", "Token"} <= set(re.findall(r"pub struct (\w+)", source))


def test_the_table_of_threats_is_what_the_tests_cover() -> None:
    output = subprocess.run(
        [sys.executable, "tools/threat_table.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert output.returncode == 0, output.stdout + output.stderr

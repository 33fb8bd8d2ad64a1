# SPDX-License-Identifier: Apache-2.0
"""Each proof has one maker: no other line of the project may construct it."""

from __future__ import annotations

import ast
import re

import pytest
from architecture.project import files, modules, relative, rust_shipped, tree

# Rust: the expression that makes the proof, and the one file where it may stand.
RUST_MAKERS = {
    "Token": (r"\bToken\(\(\)\)", {"rust/wire/src/proof.rs"}),
    "Authorized": (r"\b(?:Authorized|Self)\(\(\)\)", {"rust/wire/src/proof.rs"}),
    "Forwardable": (r"\bForwardable\(", {"rust/wire/src/proof.rs"}),
    "Cleared": (r"\bCleared\(", {"rust/wire/src/proof.rs"}),
    # The token is asked for by the journal's writer, and by drivers that have no disk: of playbooks, fuzzers and a
    # measurement.
    "the journal's token": (
        r"\.written\(Durability|batch\w*\.written\(",
        {
            "rust/carrier/src/journal.rs",
            "rust/py/src/conversation.rs",
            "rust/fuzz/fuzz_targets/conversation.rs",
            "rust/wire/examples/steady.rs",
        },
    ),
}
# Python: the class, and the modules that may call it.
PYTHON_MAKERS = {
    "Identified": {
        "gatebook.identity.api_key",
        "gatebook.identity.certificate",
        "gatebook.identity.passkey",
        "gatebook.identity.token",
    },
    "Admitted": {"gatebook.session.steps"},
    "Verdict": {"gatebook.session.steps"},
    "Decision": {"gatebook.policy.engine"},
}


def _calls(name: str) -> dict[str, set[str]]:
    """Modules that call a class, by the name under which they call it."""
    found: dict[str, set[str]] = {}
    for module, path in modules().items():
        patterns = {id(case.cls) for case in ast.walk(tree(path)) if isinstance(case, ast.MatchClass)}
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or id(node.func) in patterns:
                continue
            called = ast.unparse(node.func)
            if called == name or called.endswith(f".{name}"):
                found.setdefault(module, set()).add(called)
    return found


@pytest.mark.parametrize("proof", RUST_MAKERS)
def test_rust_proof_has_one_maker(proof: str) -> None:
    form, makers = RUST_MAKERS[proof]
    users = {
        relative(path)
        for path in files(".rs", below="rust")
        if "tests" not in path.parts and re.search(form, rust_shipped(path.read_text("utf-8")))
    }
    assert users <= makers


@pytest.mark.parametrize("proof", ["Token", "Authorized", "Forwardable", "Cleared", "MaskPlan"])
def test_rust_proof_cannot_be_built_from_outside(proof: str) -> None:
    source = (next(path for path in files(".rs") if relative(path) == "rust/wire/src/proof.rs")).read_text("utf-8")
    fields = re.search(rf"pub struct {proof}(?:<'a>)?\(([^)]*\)?)\)", source)
    assert fields is not None
    assert not fields.group(1).startswith("pub "), "a public field would be a second maker"


@pytest.mark.parametrize("proof", PYTHON_MAKERS)
def test_python_proof_has_one_maker(proof: str) -> None:
    # `pure.Verdict` is the native rendering of a verdict, made from one; `model.decision.Verdict` is the proof.
    users = {module for module, names in _calls(proof).items() if names != {f"pure.{proof}"}}
    assert users == PYTHON_MAKERS[proof]


def test_only_the_steps_ask_the_policy_engine() -> None:
    users = {module for module, names in _calls("decide").items() if any("engine" in name for name in names)}
    assert users == {"gatebook.session.steps"}


def test_the_native_verdict_is_rendered_in_one_place() -> None:
    users = {module for module, names in _calls("Verdict").items() if "pure.Verdict" in names}
    assert users == {"gatebook.protocols.postgres.handler"}


def test_a_refusal_is_put_into_words_of_the_protocol_in_one_place() -> None:
    users = set(_calls("Refusal"))
    assert users == {"gatebook.protocols.postgres.refusals"}

# SPDX-License-Identifier: Apache-2.0
"""Documents cannot drift: commands they name exist, links lead somewhere, the step table is the code's."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from architecture.project import ROOT, files, relative, tree

from gatebook.cli.main import gatebook

_FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_GENERATED = {"docs/reference/cli.md"}
_WANTED_TARGETS = {"setup", "fmt", "lint", "types", "test", "fuzz", "bench", "docs", "demo", "check"}


def _pages() -> list[Path]:
    return [path for path in files(".md") if relative(path) not in _GENERATED]


def _shell_lines(path: Path) -> Iterator[list[str]]:
    """Words of each command in a page's shell blocks: one line each, assignments in front left out."""
    for block in _FENCE.findall(path.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                yield words


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def _check_command(words: list[str]) -> None:
    """Walk down to the command, then look for each option that is named."""
    command: click.Command = gatebook
    context = click.Context(gatebook)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found is not None, f"no command `{rest[0]}`"
        command = found
        rest.pop(0)
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = {word.partition("=")[0] for word in rest if word.startswith("-") and not word.startswith("-----")}
    assert options <= known | {"--help", "--version"}, f"no option {sorted(options - known)}"
    if isinstance(command, click.Group):
        assert options, "a group alone does nothing"


@pytest.mark.parametrize("path", _pages(), ids=relative)
def test_commands_in_a_page_exist(path: Path) -> None:
    for words in _shell_lines(path):
        if words[0] == "make":
            named = [word for word in words[1:] if "=" not in word]
            assert set(named) <= _targets(), f"no target {named}"
        elif words[0].rpartition("/")[2] == "gatebook":
            _check_command(words[1:])


@pytest.mark.parametrize("path", _pages(), ids=relative)
def test_links_in_a_page_lead_somewhere(path: Path) -> None:
    for link in _LINK.findall(path.read_text("utf-8")):
        if re.match(r"[a-z]+://", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, link


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_readme_names_demo_and_test_as_its_commands() -> None:
    commands = [" ".join(words) for words in _shell_lines(ROOT / "README.md")]
    assert "make demo" in commands
    assert "make test" in commands
    assert any(command.startswith(".venv/bin/gatebook try postgresql://") for command in commands)


def test_ci_runs_the_test_command_of_the_readme_and_then_the_fuzzers() -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    assert 0 < script.index("make test") < script.index("make fuzz")


def test_makefile_has_the_targets_of_the_house() -> None:
    assert _targets() >= _WANTED_TARGETS


def test_step_table_of_the_readme_is_the_one_of_the_code() -> None:
    words = ast.get_docstring(tree(ROOT / "src/gatebook/session/steps.py")) or ""
    steps = re.findall(r"^(\d+)\. ([a-z ]+?) {2,}", words, re.MULTILINE)
    table = re.findall(r"^\| (\d+)\. ([a-z ]+) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(steps) == 11
    assert table == steps


def test_decisions_are_listed_accepted_and_at_most_a_page() -> None:
    pages = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    index = (ROOT / "docs/adr/README.md").read_text("utf-8")
    for number, page in enumerate(pages, 1):
        text = page.read_text("utf-8")
        assert page.name.startswith(f"{number:04}-"), "numbers without a gap"
        assert f"({page.name})" in index
        assert re.search(r"^(Accepted|Superseded by \d{4}), \d{4}-\d{2}\.$", text, re.MULTILINE)
        for part in ("**Context.**", "**Decision.**", "**Given up.**", "**How we would notice"):
            assert part in text, f"{page.name} lacks {part}"
        assert len(text.splitlines()) <= 60


def test_glossary_is_sorted_and_explains_each_word_once() -> None:
    words = re.findall(r"^\| ([a-z ]+) \|", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)[1:]
    assert words == sorted(set(words))
    assert len(words) >= 40


def test_protocol_table_of_the_readme_says_what_is_not_there() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for missing in ("MySQL, SSH, Kubernetes, HTTP, MCP", "SAML", "masking", "budgets", "time stamps"):
        row = next(line for line in text.splitlines() if line.startswith("|") and missing in line)
        assert "not yet" in row, missing


def test_every_listed_refusal_of_the_reference_is_in_the_catalogue() -> None:
    spec = set(re.findall(r"^\| `([a-z_.]+)` \|", (ROOT / "docs/spec/refusals.md").read_text("utf-8"), re.MULTILINE))
    page = (ROOT / "docs/reference/postgres.md").read_text("utf-8")
    families = {code.partition(".")[0] for code in spec}
    named = {code for code in re.findall(r"`([a-z]+\.[a-z_]+)`", page) if code.partition(".")[0] in families}
    assert sorted(named - spec) == []
    assert len(named) >= 10

# SPDX-License-Identifier: Apache-2.0
"""`gatebook policy`: whether the policies load, what they say of a statement, and whether that is as expected."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gatebook.cli.application import load_application
from gatebook.cli.common import check_approvers, config_option, json_option, load
from gatebook.cli.names import NAME
from gatebook.cli.output import print_json, print_table, say
from gatebook.evidence.entry import Leaf
from gatebook.model.errors import OperatorFault, quoted

MAX_STATEMENT = 1 << 20  # LIMIT: characters of standard input; longer statements are opaque to the gate anyway


@click.group("policy")
def command() -> None:
    """Policies: check them, ask them, test them."""


@command.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True), required=False)
@config_option
@json_option
def check(folder: Path | None, config: Path, *, as_json: bool) -> None:
    """Load the policies as the gate would, and name everything that is wrong in them.

    FOLDER, or a single file, is checked in place of the configuration's folder. Whether groups of approvers have enough
    people who could vote is looked up in the data folder.
    """
    from gatebook import policy  # noqa: PLC0415  the policy engine, only where it is asked

    settings = load(config)
    place = settings.policy.folder if folder is None else folder
    files = [place] if place.is_file() else sorted(place.glob("*.cedar"))
    if not files:
        raise OperatorFault(f"no policy in {quoted(str(place))}", "policies are files that end in `.cedar`")
    try:
        texts = {path.name: path.read_text("utf-8") for path in files}
    except (OSError, UnicodeDecodeError) as fault:
        raise OperatorFault(f"a policy cannot be read: {' '.join(str(fault).split())}", "see the file") from fault
    try:
        engine = policy.load(texts)
        is_checked = check_approvers(settings, engine.policies)
    except policy.PolicyFault as fault:
        if as_json:
            problems: list[Leaf] = [
                {"file": one.file, "line": one.line, "reason": one.reason, "hint": one.hint} for one in fault.problems
            ]
            print_json({"ok": False, "problems": problems})
        else:
            for problem in fault.problems:
                say(f"error: {problem}" + (f"\nhint: {problem.hint}" if problem.hint else ""))
        sys.exit(1)
    if as_json:
        print_json({"ok": True, "files": sorted(texts), "hash": engine.hash, "approvers_checked": is_checked})
    else:
        if not is_checked:
            say("there is no store here: whether groups of approvers have enough people was not looked at")
        say(f"{len(texts)} files load; the hash of the set is {engine.hash}")


@command.command("explain")
@click.argument("sql")
@click.option("--as", "agent", required=True, type=NAME, help="The agent who would ask.")
@click.option("--group", "groups", multiple=True, type=NAME, help="A group of the agent; may be given again.")
@click.option("--target", required=True, type=NAME, help="The target that would be asked.")
@click.option("--database", default="", help="The database, where the target has several.")
@config_option
@json_option
def explain(
    *, sql: str, agent: str, groups: tuple[str, ...], target: str, database: str, config: Path, as_json: bool
) -> None:
    """Tell for each access of SQL which policies permit or forbid it, and what is missing. SQL `-` is standard input.

    Names are looked up in the target's real catalogue; nothing of SQL is run.
    """
    if sql == "-":
        sql = sys.stdin.read(MAX_STATEMENT)
    answers = load_application().explain(
        config, agent=agent, groups=groups, target_name=target, sql=sql, database=database
    )
    if as_json:
        print_json(answers)
    else:
        rows = [
            (
                "yes" if answer["permitted"] else "no",
                str(answer["action"]),
                str(answer["object"]),
                _joined(answer["forbids"]) or _joined(answer["permits"]),
                "" if answer["permitted"] else str(answer["reason"] or answer["needed"]),
            )
            for answer in answers
        ]
        print_table(("permitted", "action", "object", "decided by", "why not"), rows)
    if not all(answer["permitted"] for answer in answers):
        sys.exit(1)


@command.command("test")
@click.argument("cases", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--policies", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Ask this folder.")
@config_option
@json_option
def test_policies(cases: Path, policies: Path | None, config: Path, *, as_json: bool) -> None:
    """Decide each case of a file of CASES as the gate would, and compare with what it expects.

    Names are looked up in the targets' real catalogues; nothing is run. Exit status 1 if a decision is another.
    With --policies another folder is asked than the configuration's: what would change?
    """
    answers = load_application().test_policies(config, cases, policies)
    if as_json:
        print_json(answers)
    else:
        rows = [
            (
                "ok" if answer["passed"] else "DIFFERS",
                str(answer["case"]),
                str(answer["expected"]),
                f"{answer['decision']} ({answer['code']})" if answer["code"] else str(answer["decision"]),
                _joined(answer["policies"]) or str(answer["reason"]),
            )
            for answer in answers
        ]
        print_table(("", "case", "expected", "decision", "decided by"), rows)
    if not all(answer["passed"] for answer in answers):
        sys.exit(1)


def _joined(ids: object) -> str:
    return ", ".join(str(one) for one in ids) if isinstance(ids, list) else ""

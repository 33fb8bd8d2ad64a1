# SPDX-License-Identifier: Apache-2.0
"""`gatebook doctor`: what is wrong or weak in an installation, and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gatebook.cli.checkup import check_installation
from gatebook.cli.common import config_option, json_option
from gatebook.cli.output import print_json, print_table
from gatebook.cli.verdicts import Check, Verdict


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Do not connect to targets, witnesses and time-stamp authorities.")
@config_option
@json_option
def command(*, offline: bool, config: Path, as_json: bool) -> None:
    """Look for what is wrong or weak in this installation.

    The exit status is 1 if something is wrong; what is only weak is told.
    """
    checks = check_installation(config, offline=offline)
    if as_json:
        print_json([{"name": check.name, "verdict": str(check.verdict), "words": check.words} for check in checks])
    else:
        print_table(("", "check", "seen"), [(str(check.verdict), check.name, check.words) for check in checks])
    if _is_wrong(checks):
        sys.exit(1)


def _is_wrong(checks: list[Check]) -> bool:
    return any(check.verdict is Verdict.WRONG for check in checks)

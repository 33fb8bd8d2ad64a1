# SPDX-License-Identifier: Apache-2.0
"""`gatebook target`: list the targets of the configuration, and test one as the gate would use it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gatebook.cli.application import load_application
from gatebook.cli.common import config_option, json_option, load
from gatebook.cli.output import print_json, print_table


@click.group("target")
def command() -> None:
    """Targets: the databases behind the gate."""


@command.command("list")
@config_option
@json_option
def list_targets(config: Path, *, as_json: bool) -> None:
    """List the targets of the configuration with their roles."""
    targets = load(config).targets
    if as_json:
        print_json(
            [
                {
                    "name": target.name,
                    "kind": target.kind,
                    "host": target.host,
                    "port": target.port,
                    "database": target.database,
                    "tls": str(target.tls),
                    "roles": [
                        {"name": role.name, "account": role.account, "groups": list(role.groups)}
                        for role in target.roles
                    ],
                }
                for target in targets
            ]
        )
        return
    rows = [
        (
            target.name,
            target.kind,
            f"{target.host}:{target.port}/{target.database}",
            str(target.tls),
            ", ".join(f"{role.name} ({', '.join(role.groups)})" for role in target.roles),
        )
        for target in targets
    ]
    print_table(("name", "kind", "address", "tls", "roles (groups)"), rows)


@command.command("test")
@click.argument("name")
@config_option
@json_option
def test_target(name: str, config: Path, *, as_json: bool) -> None:
    """Log in to a target as each role, and read its catalogue, as the gate would."""
    steps = load_application().test_target(config, name)
    if as_json:
        print_json([{"name": step.name, "passed": step.passed, "words": step.words} for step in steps])
    else:
        print_table(
            ("", "step", "seen"), [("ok" if step.passed else "FAILED", step.name, step.words) for step in steps]
        )
    if not all(step.passed for step in steps):
        sys.exit(1)

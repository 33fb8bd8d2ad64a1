# SPDX-License-Identifier: Apache-2.0
"""`gatebook target`: list the targets of the configuration, add one, and test one as the gate would use it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gatebook.cli.application import load_application
from gatebook.cli.common import config_option, json_option, load, opened_journal, operator, stamp
from gatebook.cli.output import print_json, print_table, say
from gatebook.config import parse_settings
from gatebook.config.editing import NewTarget, append_target, replace_file
from gatebook.evidence import builders
from gatebook.model.target import TlsMode


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


@command.command("add")
@click.argument("name")
@click.option("--host", required=True, help="Where it listens: name, address, or folder of a unix socket.")
@click.option("--port", type=click.IntRange(1, 65_535), default=5432, show_default=True, help="Its port.")
@click.option("--database", required=True, help="The database at the target.")
@click.option(
    "--tls",
    type=click.Choice([str(mode) for mode in TlsMode]),
    default=str(TlsMode.VERIFY_FULL),
    show_default=True,
    help="How the gate speaks to it.",
)
@click.option("--tls-roots", type=click.Path(path_type=Path, exists=True), help="Root certificates, PEM.")
@click.option("--role", required=True, help="Name of its first role.")
@click.option("--account", required=True, help="The role's account at the target.")
@click.option("--password", default="", metavar="REF", help="Where its password is: env:NAME or file:PATH.")
@click.option("--group", "groups", multiple=True, required=True, help="A group that has the role; may be given again.")
@click.option("--catalogue-account", default="", help="Account that reads the catalogue; the role's if absent.")
@click.option("--catalogue-password", default="", metavar="REF", help="Where the password of that one is.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may be given again.")
@config_option
@json_option
def add_target(  # noqa: PLR0917  what click gives
    name: str,
    host: str,
    port: int,
    database: str,
    tls: str,
    tls_roots: Path | None,
    role: str,
    account: str,
    password: str,
    groups: tuple[str, ...],
    catalogue_account: str,
    catalogue_password: str,
    labels: tuple[str, ...],
    config: Path,
    *,
    as_json: bool,
) -> None:
    """Add a target with its first role to the configuration.

    Comments and everything else stay as they are; the whole file is checked before it takes the place of the old one.
    More roles are added by hand. `gatebook target test` then tries it, `gatebook reload` puts it in force.
    """
    settings = load(config)
    target = NewTarget(
        name=name,
        host=host,
        port=port,
        database=database,
        tls=TlsMode(tls),
        tls_roots=_beside(tls_roots, settings.path.parent) if tls_roots else "",
        role=role,
        account=account,
        password=password,
        groups=groups,
        catalogue=(catalogue_account, catalogue_password),
        labels=tuple(_split(label) for label in labels),
    )
    with opened_journal(settings) as journal:  # one command at a time: the file is read under its lock
        content = append_target(config.read_text("utf-8"), target).encode()
        digest = parse_settings(content, config).digest
        journal.append(builders.target_added(stamp(), target=name, by=operator(), config=digest))
        replace_file(config, content)
    if as_json:
        print_json({"target": name, "config": digest})
    else:
        say(f"target {name} is in {config}: try it with `gatebook target test {name}`, then `gatebook reload`")


def _beside(path: Path, folder: Path) -> str:
    """A path as it stands in the configuration: relative to its folder where it is inside."""
    path = path.resolve()
    return str(path.relative_to(folder.resolve()) if path.is_relative_to(folder.resolve()) else path)


def _split(label: str) -> tuple[str, str]:
    key, separator, value = label.partition("=")
    if not key or not separator or not value:
        raise click.UsageError(f"a label is KEY=VALUE, and '{label}' is not")
    return key, value


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

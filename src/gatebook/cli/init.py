# SPDX-License-Identifier: Apache-2.0
"""`gatebook init`: everything a new gate needs, in one folder, refusing to touch what is there."""

from __future__ import annotations

import os
import secrets
from importlib import resources
from pathlib import Path

import click

from gatebook.cli.common import json_option, now, opened_journal, operator, stamp
from gatebook.cli.names import NAME
from gatebook.cli.output import print_json, say
from gatebook.config import load_settings
from gatebook.config.declaring import NAME as GATE_NAME
from gatebook.config.settings import DEFAULT_PORT
from gatebook.evidence import builders
from gatebook.identity.api_key import local_issuer
from gatebook.model.credential import Person
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.principal import Subject
from gatebook.store.sqlite import open_store

SECRET_MODE = 0o600
PUBLIC_MODE = 0o644


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option("--name", default="gatebook", show_default=True, help="Name of the gate, in evidence and identities.")
@click.option("--admin", type=NAME, help="The first admin.  [default: who runs the command]")
@click.option(
    "--host", "hosts", multiple=True, help="A name or address that clients use for this machine; may be given again."
)
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=DEFAULT_PORT, show_default=True, help="Port to listen on."
)
@json_option
def command(*, folder: Path, name: str, admin: str | None, hosts: tuple[str, ...], port: int, as_json: bool) -> None:
    """Make a configuration, keys, a certificate and the first admin.

    All of it in FOLDER, by default the current one. Nothing that is there is overwritten: if one of the files exists,
    nothing is done.
    """
    from gatebook.cli.certificates import make_certificates  # noqa: PLC0415  cryptography, only here

    if GATE_NAME.fullmatch(name) is None:
        raise OperatorFault(f"{quoted(name)} is no name of a gate", "use `a-z`, `0-9`, `-`, `_`, 63 at most")
    made = make_certificates(name, hosts, now())
    config = _template("gatebook.toml").replace("@NAME@", name).replace("@PORT@", str(port))
    config = config.replace("@HOST@", hosts[0] if hosts else "localhost")
    files = {
        "gatebook.toml": (config.encode(), PUBLIC_MODE),
        "recording.key": (secrets.token_hex(32).encode() + b"\n", SECRET_MODE),
        "root.crt": (made.root, PUBLIC_MODE),
        "root.key": (made.root_key, SECRET_MODE),
        "server.crt": (made.server, PUBLIC_MODE),
        "server.key": (made.server_key, SECRET_MODE),
        "policies/example.cedar": (_template("example.cedar").encode(), PUBLIC_MODE),
    }
    _refuse_what_is_there(folder, [*files, "data"])
    _write_all(folder, files)
    first = admin or operator()
    _add_admin(folder / "gatebook.toml", first)
    if as_json:
        print_json({"config": str(folder / "gatebook.toml"), "admin": first, "files": [*files]})
        return
    say(f"made {', '.join(files)} in {folder}; {first} is the first admin")
    say("next: write your target into gatebook.toml, then")
    config_words = "" if folder == Path() else f" --config {folder / 'gatebook.toml'}"
    for line in ("target test NAME", f"key create --agent NAME --owner {first} --group NAME", "serve"):
        say(f"  gatebook {line}{config_words}")
    say("keep root.key away from this machine: who has it can pose as the gate")


def _refuse_what_is_there(folder: Path, names: list[str]) -> None:
    there = [name for name in names if os.path.lexists(folder / name)]
    if there:
        raise OperatorFault(
            f"{quoted(str(folder))} holds {', '.join(there)} already", "nothing was done; choose an empty folder"
        )


def _write_all(folder: Path, files: dict[str, tuple[bytes, int]]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").mkdir(mode=0o700)
        for name, (content, mode) in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"{quoted(str(fault.filename))} cannot be made: {words}", "see the folder") from fault


def _add_admin(config: Path, name: str) -> None:
    settings = load_settings(config)
    person = Person(Subject(local_issuer(settings.gate.name), name), admin=True, created_at=now())
    store = open_store(settings.store_path)
    try:
        with opened_journal(settings) as journal:
            journal.append(builders.person_added(stamp(), person, by=operator()))
        store.add_person(person)
    finally:
        store.close()


def _template(name: str) -> str:
    return (resources.files("gatebook.cli") / "templates" / name).read_text("utf-8")

# SPDX-License-Identifier: Apache-2.0
"""`gatebook person key`: public keys of OpenSSH with which people sign their consent."""

from __future__ import annotations

from pathlib import Path

import click

from gatebook.cli.common import config_option, json_option, load, now, opened_store, operator, stamp
from gatebook.cli.custody import opened_desk, person_of, read_desk
from gatebook.cli.names import NAME
from gatebook.cli.output import print_json, print_table, say
from gatebook.evidence import builders
from gatebook.model.credential import SigningKey
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.principal import Subject
from gatebook.store.base import Store, StoreFault

MAX_FILE_BYTES = 16_384
PASSKEY = "webauthn"  # the kind of keys that the console makes


@click.group("key")
def command() -> None:
    """Keys with which people sign what needs two of them."""


@command.command("add")
@click.argument("name", type=NAME)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def add(name: str, file: Path, config: Path) -> None:
    """Make the public key in FILE (`~/.ssh/id_ed25519.pub`) a person's. Let them hand it to you in person."""
    from gatebook.evidence.ssh_signature import parse_public_key  # noqa: PLC0415  cryptography, only here

    settings = load(config)
    key, person = parse_public_key(_read(file)), person_of(settings, name)
    with opened_store(settings) as store, opened_desk(settings) as desk:
        found = store.find_person(person)
        if found is None or found.disabled_at is not None:
            raise StoreFault(f"no person `{name}` to have a key", "list them with `gatebook person list`")
        if desk.custody.find_key(key.fingerprint) is not None:
            raise OperatorFault("the key is somebody's already", "see `gatebook person key list`")
        desk.journal.append(builders.person_key(stamp(), person=person, key=key, removed=False, by=operator()))
        store.add_signing_key(SigningKey(key.fingerprint, key.kind, key.text, person, now()))
    say(f"{key.fingerprint} ({key.kind}) is a key of {name} from now on")


@command.command("list")
@config_option
@json_option
def list_keys(config: Path, *, as_json: bool) -> None:
    """List the keys of all people."""
    settings = load(config)
    keys = [(who, key.fingerprint, key.kind, key.text) for who, key in read_desk(settings).keys.values()]
    with opened_store(settings) as store:
        keys += [(key.person, key.fingerprint, key.kind, key.text) for key in _passkeys(store)]
    if as_json:
        print_json([{"person": who.subject, "fingerprint": name, "key": text} for who, name, _, text in keys])
        return
    print_table(("person", "fingerprint", "kind"), [(who.subject, name, kind) for who, name, kind, _ in keys])


@command.command("remove")
@click.argument("fingerprint")
@config_option
def remove(fingerprint: str, config: Path) -> None:
    """Take a key from its person: it signs nothing from now on. What it signed before stays good."""
    settings = load(config)
    with opened_store(settings) as store, opened_desk(settings) as desk:
        known: dict[str, tuple[Subject, builders.NamedKey]] = {**desk.custody.keys}
        known |= {key.fingerprint: (key.person, key) for key in _passkeys(store)}
        if fingerprint not in known:
            raise OperatorFault(f"no key {quoted(fingerprint)}", "see `gatebook person key list`")
        person, key = known[fingerprint]
        desk.journal.append(builders.person_key(stamp(), person=person, key=key, removed=True, by=operator()))
        store.remove_signing_key(fingerprint, now())
    say(f"{fingerprint} is no key of {person.subject} any more")


def _passkeys(store: Store) -> list[SigningKey]:
    return [key for key in store.list_signing_keys() if key.kind == PASSKEY and key.removed_at is None]


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_FILE_BYTES).decode()
    except (OSError, UnicodeDecodeError) as fault:
        raise OperatorFault(f"{quoted(str(file))} cannot be read as a public key", "give a `.pub` file") from fault

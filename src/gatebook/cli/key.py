# SPDX-License-Identifier: Apache-2.0
"""`gatebook key`: make, list and revoke the API keys of agents."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

import click

from gatebook.cli.common import config_option, json_option, load, now, opened_journal, opened_store, operator, stamp
from gatebook.cli.names import LIFETIME, NAME
from gatebook.cli.output import json_time, print_json, print_table, say, show_time
from gatebook.config import Settings
from gatebook.evidence import builders
from gatebook.evidence.entry import Leaf
from gatebook.identity.api_key import RANDOM_BYTES, local_issuer, mint
from gatebook.model.credential import KeyRecord
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject
from gatebook.store.base import StoreFault


@click.group("key")
def command() -> None:
    """API keys of agents."""


@command.command("create")
@click.option("--agent", required=True, type=NAME, help="The agent that the key identifies.")
@click.option("--owner", required=True, type=NAME, help="The person who answers for the agent.")
@click.option("--group", "groups", multiple=True, type=NAME, help="A group of the agent; may be given again.")
@click.option("--expires", type=LIFETIME, default="90d", show_default=True, help="How long it lives: 12h, 30d.")
@config_option
@json_option
def create(*, agent: str, owner: str, groups: tuple[str, ...], expires: timedelta, config: Path, as_json: bool) -> None:
    """Make a key for an agent. It is shown once and cannot be shown again."""
    settings = load(config)
    issuer = local_issuer(settings.gate.name)
    moment = now()
    key = mint(
        secrets.token_bytes(RANDOM_BYTES),
        agent=Subject(issuer, agent),
        owner=Subject(issuer, owner),
        groups=groups,
        now=moment,
        expires_at=moment + expires,
    )
    with opened_store(settings) as store, opened_journal(settings) as journal:
        person = store.find_person(key.record.owner)
        if person is None or person.disabled_at is not None:
            known = ", ".join(one.subject.subject for one in store.list_people() if one.disabled_at is None)
            raise OperatorFault(
                f"no person `{owner}` to own a key", f"add one with `gatebook person add`; known: {known or 'nobody'}"
            )
        journal.append(builders.key_created(stamp(), key.record, by=operator()))
        store.add_key(key.record)
    token = key.token.reveal().decode()
    if as_json:
        print_json(_object(key.record) | {"token": token})
        return
    say(f"key {key.record.id} of {agent}, owned by {owner}, until {show_time(key.record.expires_at)}")
    say("it is shown this once:")
    click.echo(token)
    for line in _how_to_connect(settings, agent):
        say(line)


@command.command("list")
@config_option
@json_option
def list_keys(config: Path, *, as_json: bool) -> None:
    """List the keys."""
    with opened_store(load(config)) as store:
        keys = store.list_keys()
    if as_json:
        print_json([_object(key) for key in keys])
        return
    moment = now()
    rows = [
        (
            key.id,
            key.agent.subject,
            key.owner.subject,
            ", ".join(key.groups),
            show_time(key.created_at),
            show_time(key.expires_at),
            _state(key, moment),
        )
        for key in keys
    ]
    print_table(("key", "agent", "owner", "groups", "created", "expires", "state"), rows)


@command.command("revoke")
@click.argument("key")
@config_option
@json_option
def revoke(key: str, config: Path, *, as_json: bool) -> None:
    """Revoke a key by its id: no login from now on, and its sessions end within a second."""
    settings = load(config)
    with opened_store(settings) as store, opened_journal(settings) as journal:
        found = next((one for one in store.list_keys() if one.id == key), None)
        if found is None:
            raise StoreFault(f"no key {quoted(key)}", "list them with `gatebook key list`")
        journal.append(builders.key_revoked(stamp(), found, by=operator()))
        revoked = store.revoke_key(KeyId(key), now())
    if as_json:
        print_json(_object(revoked))
    else:
        say(f"key {key} of {revoked.agent.subject} is revoked")


def _object(key: KeyRecord) -> Leaf:
    return {
        "key": key.id,
        "agent": key.agent.subject,
        "owner": key.owner.subject,
        "groups": list(key.groups),
        "created": json_time(key.created_at),
        "expires": json_time(key.expires_at),
        "revoked": json_time(key.revoked_at),
        "state": _state(key, now()),
    }


def _state(key: KeyRecord, moment: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if moment >= key.expires_at else "good"


def _how_to_connect(settings: Settings, agent: str) -> list[str]:
    if not settings.targets:
        return []
    gate = settings.gate
    words = [f"host={gate.public_host}", f"port={gate.port}", f"user={agent}", f"dbname={settings.targets[0].name}"]
    if gate.insecure_plaintext and gate.tls_certificate is None:
        words.append("sslmode=disable")
    else:
        words.append("sslmode=verify-full")
        if gate.tls_root is not None:
            words.append(f"sslrootcert={gate.tls_root}")
    return ["connect with:", f'  PGPASSWORD=<the key> psql "{" ".join(words)}"']

# SPDX-License-Identifier: Apache-2.0
"""`gatebook person`: the people that this gate knows by itself, who own agents' keys."""

from __future__ import annotations

from pathlib import Path

import click

from gatebook.cli.common import config_option, json_option, load, now, opened_journal, opened_store, operator, stamp
from gatebook.cli.names import NAME
from gatebook.cli.output import json_time, print_json, print_table, say, show_time
from gatebook.cli.person_key import command as key_command
from gatebook.evidence import builders
from gatebook.evidence.entry import Leaf
from gatebook.identity.api_key import local_issuer
from gatebook.model.credential import Person
from gatebook.model.principal import Subject
from gatebook.store.base import StoreFault


@click.group("person")
def command() -> None:
    """People: who owns agents' keys."""


command.add_command(key_command)


@command.command("add")
@click.argument("name", type=NAME)
@click.option("--admin", is_flag=True, help="The person administers this gate.")
@config_option
@json_option
def add(name: str, config: Path, *, admin: bool, as_json: bool) -> None:
    """Make a person known to this gate."""
    settings = load(config)
    person = Person(Subject(local_issuer(settings.gate.name), name), admin=admin, created_at=now())
    with opened_store(settings) as store, opened_journal(settings) as journal:
        if store.find_person(person.subject) is not None:
            raise StoreFault(f"person `{name}` is there already")
        journal.append(builders.person_added(stamp(), person, by=operator()))
        store.add_person(person)
    if as_json:
        print_json(_object(person))
    else:
        say(f"{name} may own keys now")


@command.command("list")
@config_option
@json_option
def list_people(config: Path, *, as_json: bool) -> None:
    """List the people of this gate."""
    with opened_store(load(config)) as store:
        people = store.list_people()
    if as_json:
        print_json([_object(person) for person in people])
        return
    rows = [
        (
            person.subject.subject,
            "admin" if person.admin else "",
            show_time(person.created_at),
            show_time(person.disabled_at),
        )
        for person in people
    ]
    print_table(("name", "duty", "since", "disabled"), rows)


@command.command("disable")
@click.argument("name", type=NAME)
@config_option
@json_option
def disable(name: str, config: Path, *, as_json: bool) -> None:
    """Disable a person for good: every key they own is dead, their agents' sessions end within a second."""
    settings = load(config)
    subject = Subject(local_issuer(settings.gate.name), name)
    with opened_store(settings) as store, opened_journal(settings) as journal:
        if store.find_person(subject) is None:
            raise StoreFault(f"no person `{name}`", "list them with `gatebook person list`")
        journal.append(builders.person_disabled(stamp(), subject, by=operator()))
        person = store.disable_person(subject, now())
    if as_json:
        print_json(_object(person))
    else:
        say(f"{name} is disabled, with every key of theirs")


def _object(person: Person) -> Leaf:
    return {
        "name": person.subject.subject,
        "issuer": person.subject.issuer,
        "admin": person.admin,
        "created": json_time(person.created_at),
        "disabled": json_time(person.disabled_at),
    }

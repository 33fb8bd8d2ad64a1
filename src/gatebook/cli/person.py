# SPDX-License-Identifier: Apache-2.0
"""`gatebook person`: the people that this gate knows by itself, who own agents' keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from gatebook.cli.common import config_option, json_option, load, now, opened_journal, opened_store, operator, stamp
from gatebook.cli.names import PERSON
from gatebook.cli.output import json_time, print_json, print_table, say, show_time
from gatebook.cli.people import known_subject, subject_of
from gatebook.cli.person_key import command as key_command
from gatebook.cli.person_passkey import passkey
from gatebook.evidence import builders
from gatebook.evidence.entry import Leaf
from gatebook.identity.api_key import local_issuer
from gatebook.model.credential import Membership, Person
from gatebook.store.base import StoreFault


@click.group("person")
def command() -> None:
    """People: who owns agents' keys."""


command.add_command(key_command)
command.add_command(passkey)


@command.command("add")
@click.argument("name", type=PERSON)
@click.option("--admin", is_flag=True, help="The person administers this gate.")
@click.option("--group", "groups", multiple=True, help="A group of approvers that the person is in. Repeatable.")
@click.option("--same-as", type=PERSON, help="Another name of the same human being, who then counts once.")
@config_option
@json_option
def add(name: str, config: Path, *, admin: bool, groups: tuple[str, ...], same_as: str | None, as_json: bool) -> None:
    """Make a person known to this gate: by a name of its own, or as ISSUER|SUBJECT of an identity provider."""
    settings = load(config)
    moment = now()
    subject = known_subject(settings, name)
    members = tuple(Membership(group, moment) for group in sorted(set(groups)))
    person = Person(subject, admin=admin, created_at=moment, groups=members)
    with opened_store(settings) as store, opened_journal(settings) as journal:
        if store.find_person(person.subject) is not None:
            raise StoreFault(f"person `{name}` is there already")
        if same_as is not None:
            other = store.find_person(subject_of(settings, same_as))
            if other is None:
                raise StoreFault(f"no person `{same_as}`", "list them with `gatebook person list`")
            person = replace(person, human=other.human or str(other.subject))
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
    settings = load(config)
    local = local_issuer(settings.gate.name)
    with opened_store(settings) as store:
        people = store.list_people()
    if as_json:
        print_json([_object(person) for person in people])
        return
    rows = [
        (
            person.subject.subject if person.subject.issuer == local else str(person.subject),
            "admin" if person.admin else "",
            ", ".join(membership.group for membership in person.groups),
            show_time(person.created_at),
            show_time(person.disabled_at),
        )
        for person in people
    ]
    print_table(("name", "duty", "groups", "since", "disabled"), rows)


@command.command("groups")
@click.argument("name", type=PERSON)
@click.option("--add", "added", multiple=True, help="A group that the person is in from now on. Repeatable.")
@click.option("--remove", "removed", multiple=True, help="A group that the person is not in any more. Repeatable.")
@config_option
@json_option
def groups_of(name: str, config: Path, *, added: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Show the groups of approvers that a person is in, or change them.

    Who comes into a group does not vote on what was asked before; who leaves it, does not count any more.
    """
    settings = load(config)
    subject = subject_of(settings, name)
    with opened_store(settings) as store:
        person = store.find_person(subject)
        if person is None:
            raise StoreFault(f"no person `{name}`", "list them with `gatebook person list`")
        if added or removed:
            wanted = {membership.group for membership in person.groups} | set(added)
            with opened_journal(settings) as journal:
                mark = stamp()  # one moment for the book and the store
                journal.append(builders.person_groups(mark, subject, wanted - set(removed), by=operator()))
                person = store.set_groups(subject, wanted - set(removed), mark.now)
    if as_json:
        print_json(_object(person))
    else:
        print_table(("group", "since"), [(held.group, show_time(held.since)) for held in person.groups])


@command.command("disable")
@click.argument("name", type=PERSON)
@config_option
@json_option
def disable(name: str, config: Path, *, as_json: bool) -> None:
    """Disable a person for good: every key they own is dead, their agents' sessions end within a second."""
    settings = load(config)
    subject = subject_of(settings, name)
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
        "groups": [membership.group for membership in person.groups],
        "human": person.human,
    }

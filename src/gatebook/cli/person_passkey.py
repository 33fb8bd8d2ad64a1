# SPDX-License-Identifier: Apache-2.0
"""`gatebook person passkey`: a link with which a person makes a passkey, once, within a quarter of an hour."""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path

import click

from gatebook.cli.common import config_option, json_option, load, now, opened_journal, opened_store, operator, stamp
from gatebook.cli.names import NAME
from gatebook.cli.output import json_time, print_json, say, show_time
from gatebook.evidence import builders
from gatebook.identity.api_key import local_issuer
from gatebook.model.principal import Subject
from gatebook.store.base import StoreFault

LIFE = timedelta(minutes=15)
CODE_BYTES = 32


@click.command("passkey")
@click.argument("name", type=NAME)
@config_option
@json_option
def passkey(name: str, config: Path, *, as_json: bool) -> None:
    """Print a link with which a person makes a passkey in their browser.

    Hand it to them in person: whoever opens it first becomes NAME. It serves once, for 15 minutes, and voids the one
    before. `gatebook control` must run.
    """
    from gatebook.store.console import Enrolment, open_console  # noqa: PLC0415  only where it is used

    settings = load(config)
    person = Subject(local_issuer(settings.gate.name), name)
    moment, code = now(), secrets.token_urlsafe(CODE_BYTES)
    ends = moment + LIFE
    with opened_store(settings) as store, opened_journal(settings) as journal:
        found = store.find_person(person)
        if found is None or found.disabled_at is not None:
            raise StoreFault(f"no person `{name}` to have a passkey", "list them with `gatebook person list`")
        journal.append(builders.person_enrolment(stamp(), person=person, expires=ends, by=operator()))
        console = open_console(settings.console_path)
        try:
            console.add_enrolment(code, Enrolment(person, operator(), ends), moment)
        finally:
            console.close()
    # Behind the hash sign: it is in no request line, and so in no log.
    link = f"{settings.control.origin}/enrol#{code}"
    if as_json:
        print_json({"person": name, "link": link, "expires": json_time(ends)})
        return
    say(f"{name} makes a passkey there, once, until {show_time(ends)}:")
    click.echo(link)

# SPDX-License-Identifier: Apache-2.0
"""`gatebook request`: an agent or person asks for a role for a time, or takes one in an emergency."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.approval_show import object_of
from gatebook.cli.common import WRITER, config_option, json_option, load, now, opened_journal, opened_store
from gatebook.cli.names import LIFETIME
from gatebook.cli.output import print_json, say, show_time
from gatebook.config import Settings
from gatebook.config.targets import role_of
from gatebook.identity import api_key
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.principal import NotIdentified, Principal
from gatebook.model.target import Role

if TYPE_CHECKING:
    from gatebook.session.requesting import Counter

TOKEN = "GATEBOOK_TOKEN"  # noqa: S105  the name of a variable


@click.group("request")
def command() -> None:
    """Requests of who uses the gate: a role for a time."""


def _asked(function: click.decorators.FC) -> click.decorators.FC:
    """Add what every request says."""
    for option in (
        click.option("--reason", required=True, help="Why; approvers and auditors read it."),
        click.option("--for", "lasts", type=LIFETIME, default="30m", show_default=True, help="How long: 30m, 2h."),
        click.option("--target", required=True, help="The target."),
        click.argument("role"),
    ):
        function = option(function)
    return function


@command.command("role")
@_asked
@config_option
@json_option
def ask_role(role: str, config: Path, *, target: str, lasts: timedelta, reason: str, as_json: bool) -> None:
    """Ask for a role for a time. Who asks is told by the API key in GATEBOOK_TOKEN.

    New connections have the role once its approvers consent; all of them end when its time does.
    """
    settings = load(config)
    with opened_counter(settings) as (counter, principal):
        request = counter.ask(principal, target, _role(settings, target, role), _minutes(lasts), reason)
    if as_json:
        print_json(object_of(request))
        return
    say(f"{request.id} waits for approval until {show_time(request.decide_by)}: connect anew once it is granted")


@command.command("break-glass")
@_asked
@config_option
@json_option
def break_glass(role: str, config: Path, *, target: str, lasts: timedelta, reason: str, as_json: bool) -> None:
    """Take a role at once, in an emergency. Its approvers are told, and have to review it afterwards."""
    settings = load(config)
    with opened_counter(settings) as (counter, principal):
        request = counter.break_glass(principal, target, _role(settings, target, role), _minutes(lasts), reason)
    if as_json:
        print_json(object_of(request))
        return
    say(f"{request.id}: the role is yours until {show_time(request.ends_at())}; connect anew. It will be reviewed.")


@contextmanager
def opened_counter(settings: Settings) -> Iterator[tuple[Counter, Principal]]:
    """Open where roles are asked for, and say who asks. OperatorFault where that is not proved."""
    from gatebook.session.requesting import Counter, Terms  # noqa: PLC0415  cryptography, only where it is needed
    from gatebook.vault.ids import new_request_id, new_salt  # noqa: PLC0415  as above

    approval = settings.approval
    terms = Terms(approval.decide_s, approval.pending, approval.per_hour)
    with opened_store(settings) as store:
        answer = api_key.verify(os.environ.get(TOKEN, "").encode(), store, now())
        if isinstance(answer, NotIdentified):
            raise OperatorFault("it is not proved who asks", f"put an API key that is good into {TOKEN}")
        # The journal comes before the store's transaction, as in every command: two could else wait for each other.
        with opened_journal(settings) as journal:
            counter = Counter(WRITER, store, journal.append, now, new_request_id, new_salt, terms)
            yield counter, answer.principal


def _role(settings: Settings, target: str, role: str) -> Role:
    found = next((one for one in settings.targets if one.name == target), None)
    wanted = next((one for one in found.roles if one.name == role), None) if found else None
    if wanted is None:
        raise OperatorFault(f"no role {quoted(role)} at a target {quoted(target)}", "see `gatebook target list`")
    return role_of(wanted)


def _minutes(lasts: timedelta) -> int:
    return int(lasts / timedelta(minutes=1))

# SPDX-License-Identifier: Apache-2.0
"""`gatebook notify`: people are told when something waits for them."""

from __future__ import annotations

from pathlib import Path

import click

from gatebook.cli.application import load_application
from gatebook.cli.common import config_option, json_option, load
from gatebook.cli.output import json_time, print_json, print_table, say, show_time
from gatebook.notify.outbox import Standing, read_standings


@click.group("notify")
def command() -> None:
    """Notifications: who is told when something waits for people."""


@command.command("run")
@click.option("--until-input-ends", is_flag=True, hidden=True, help="Stop when standard input is closed.")
@config_option
def run(config: Path, *, until_input_ends: bool) -> None:
    """Tell the receivers of `[notify]` of requests, until it is told to stop.

    `gatebook serve` starts it. It stops on SIGINT or SIGTERM; what is not taken by then is sent at the next start.
    """
    load_application().run_notify(config, until_input_ends=until_input_ends)


@command.command("test")
@click.argument("name")
@config_option
def test(config: Path, *, name: str) -> None:
    """Send a receiver a test message now.

    One that answered with status 410 is sent messages again once it takes it.
    """
    load_application().test_notify(config, name)
    say(f"{name} has taken it")


@command.command("show")
@config_option
@json_option
def show(config: Path, *, as_json: bool) -> None:
    """Show what waits for each receiver, since when, and what went wrong last. Only reads."""
    settings = load(config)
    found = read_standings(settings.outbox_path, [one.name for one in settings.notify.receivers])
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "waiting": one.waiting,
                    "waiting_since": json_time(one.waiting_since),
                    "taken": json_time(one.taken_at),
                    "error": one.error,
                    "error_at": json_time(one.error_at),
                    "alarm": one.alarm_at is not None,
                    "gone": one.gone_at is not None,
                }
                for one in found
            ]
        )
        return
    print_table(("name", "waiting", "since", "taken", "state"), [_row(one) for one in found])


def _row(one: Standing) -> tuple[str, ...]:
    state = "gone: it answered with 410" if one.gone_at else one.error or "ok"
    told = ("alarm: " if one.alarm_at else "") + state
    return (one.name, f"{one.waiting:,}", show_time(one.waiting_since), show_time(one.taken_at), told)

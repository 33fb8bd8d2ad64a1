# SPDX-License-Identifier: Apache-2.0
"""`gatebook control`: serve the console, for people in a browser and programs, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import click

from gatebook.cli.common import config_option
from gatebook.cli.output import say


@click.command("control")
@config_option
def command(config: Path) -> None:
    """Serve the console: pages for people, and an API.

    It listens where `[control]` says, by default on this machine only. It needs the data folder and no gate: the gate
    serves without it, and it shows the book also while no gate runs. People sign in with a passkey (`gatebook person
    passkey`) or with an OpenID provider. It stops on SIGINT or SIGTERM.
    """
    from gatebook.control.serving import serve  # noqa: PLC0415  a web server, only here

    serve(config, lambda url: say(f"the console is at {url}"))

# SPDX-License-Identifier: Apache-2.0
"""`gatebook serve`: run the gate."""

from __future__ import annotations

from pathlib import Path

import click

from gatebook.cli.application import load_application
from gatebook.cli.common import config_option


@click.command("serve")
@config_option
def command(config: Path) -> None:
    """Run the gate.

    It stops on SIGINT or SIGTERM: running operations may end, recordings are sealed. On SIGHUP it reads its files anew,
    as `gatebook reload` makes it do.
    """
    load_application().serve(config)

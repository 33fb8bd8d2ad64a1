# SPDX-License-Identifier: Apache-2.0
"""`gatebook witness`: cosign the checkpoints of other people's ledgers."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from gatebook.cli.application import load_application
from gatebook.cli.output import say
from gatebook.model.errors import OperatorFault

SEED_BYTES = 32
DEFAULT_PORT = 7380  # as litewitness


@click.command("witness")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of its key and of what it has seen; made at the first start. Never put an older copy back.",
)
@click.option("--name", default="", help="Its name, best a host name of yours; needed at the first start only.")
@click.option(
    "--log",
    "logs",
    multiple=True,
    required=True,
    metavar="VKEY",
    help="Verifier key of a ledger that it cosigns, as in `ledger.vkey`; may be given several times, also for one "
    "ledger whose key is changed.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, show_default=True, help="Port; 0: any.")
def command(*, folder: Path, name: str, logs: tuple[str, ...], host: str, port: int) -> None:
    """Cosign the checkpoints of other people's ledgers.

    Run it where those who run the gate cannot write. It remembers the newest checkpoint of each ledger, and cosigns
    only what is proven to continue it: a ledger that was cut or made anew gets no cosignature any more. It sees sizes
    and hashes, never an entry, and needs no configuration file. It stops on SIGINT or SIGTERM.

    Give its verifier key, which it prints, to those who run the gate (`[[ledger.witness]]`) and to those who verify
    (`gatebook ledger verify --witness`).
    """
    from gatebook.evidence.note import Verifier  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.ledger import SystemDisk  # noqa: PLC0415  as above
    from gatebook.vault.witness import Witness  # noqa: PLC0415  as above

    try:
        witness = Witness.open(
            folder, name, [Verifier.parse(log) for log in logs], secrets.token_bytes(SEED_BYTES), SystemDisk()
        )
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"the witness's folder cannot be used: {words}", "see folder and disk") from fault
    try:
        key = witness.key.text()
        load_application().run_witness(
            witness, host, port, lambda url: say(f"the witness listens at {url}; its verifier key: {key}")
        )
    finally:
        witness.close()

# SPDX-License-Identifier: Apache-2.0
"""`gatebook notary`: seal the journals into the signed ledger."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, folders_of, load, now
from gatebook.cli.output import print_error, say
from gatebook.cli.stopping import Stop
from gatebook.config import Settings
from gatebook.model.errors import OperatorFault

if TYPE_CHECKING:
    from gatebook.vault.cosigning import Witnesses

SEED_BYTES = 32


@click.command("notary")
@click.option("--until-input-ends", is_flag=True, hidden=True, help="Stop when standard input is closed.")
@config_option
def command(*, until_input_ends: bool, config: Path) -> None:
    """Seal the journals into the signed ledger.

    `gatebook serve` starts a notary by itself, unless the configuration says `ledger.notary = "apart"`. It stops on
    SIGINT or SIGTERM. The exit status is 3 where the journals or the ledger are not what it sealed: then nothing is
    signed any more, and `gatebook ledger verify` names what is wrong.
    """
    from gatebook.vault.sealer import run_notary  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.sealing import EXIT_TAMPERED, Tampered  # noqa: PLC0415  as above

    settings = load(config)
    folders = folders_of(settings)

    def opened(key: str) -> None:
        say(f"the notary seals into {folders.ledger}; keep a copy of its key elsewhere: {key}")

    try:
        run_notary(
            folders,
            origin=settings.ledger_origin,
            seed=secrets.token_bytes(SEED_BYTES),
            now=now,
            wait=Stop(until_input_ends=until_input_ends).wait,
            opened=opened,
            witnesses=_witnesses(settings),
            tell=say,
        )
    except Tampered as fault:
        print_error(f"{fault.finding}: {fault.message}", "nothing is sealed any more; see `gatebook ledger verify`")
        sys.exit(EXIT_TAMPERED)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"the ledger cannot be written: {words}", "see the disk, then start again") from fault


def _witnesses(settings: Settings) -> Witnesses:
    """Return the witnesses of a configuration. EvidenceFault for a key that is none."""
    from gatebook.evidence.cosignature import CosignerKey  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.cosigning import Witness, Witnesses  # noqa: PLC0415  as above
    from gatebook.vault.notary import read_seen  # noqa: PLC0415  as above

    ledger = settings.ledger
    if not ledger.witnesses:
        return Witnesses()
    from gatebook.vault.asking import HttpAsk  # noqa: PLC0415  the HTTP client, only with witnesses

    made = [Witness(one.name, CosignerKey.parse(one.key), HttpAsk(one.url)) for one in ledger.witnesses]
    return Witnesses(made, ledger.witness_quorum, read_seen(settings.notary_path))

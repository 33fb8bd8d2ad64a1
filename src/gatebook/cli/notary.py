# SPDX-License-Identifier: Apache-2.0
"""`gatebook notary`: seal the journals into the signed ledger, and change the key that signs it."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, folders_of, load, now, operator
from gatebook.cli.output import print_error, say
from gatebook.cli.stopping import Stop
from gatebook.config import Settings
from gatebook.model.errors import OperatorFault, quoted

if TYPE_CHECKING:
    from gatebook.vault.cosigning import Witnesses
    from gatebook.vault.sealer import RemovalPlan
    from gatebook.vault.stamping import Stamper

SEED_BYTES = 32
ROTATED_S = 30.0  # how long a running notary may take to change its key
POLL_S = 0.1


@click.group("notary", invoke_without_command=True)
@click.option("--until-input-ends", is_flag=True, hidden=True, help="Stop when standard input is closed.")
@config_option
@click.pass_context
def command(context: click.Context, *, until_input_ends: bool, config: Path) -> None:
    """Seal the journals into the signed ledger.

    `gatebook serve` starts a notary by itself, unless the configuration says `ledger.notary = "apart"`. It stops on
    SIGINT or SIGTERM. The exit status is 3 where the journals or the ledger are not what it sealed: then nothing is
    signed any more, and `gatebook ledger verify` names what is wrong.
    """
    if context.invoked_subcommand is None:
        _run(load(config), Stop(until_input_ends=until_input_ends).wait)


@command.command("rotate-key")
@click.option("--reason", default="", help="Why, for the book; needed unless `--prepare`.")
@click.option(
    "--prepare", is_flag=True, help="Only make the next key and print it, to be told to witnesses and auditors before."
)
@config_option
def rotate_key(*, reason: str, prepare: bool, config: Path) -> None:
    """Give the notary a new key, and say so in the book.

    Run it as the notary's OS user. The change is an entry, sealed in a tree that both keys sign; from then on the new
    key signs alone, and the old one is of no use for anything newer. Who keeps the old verifier key is led to the new
    one by `gatebook ledger verify`. A witness takes the new one only once its operator has added it. The new verifier
    key is printed.
    """
    from gatebook.vault.journal import writer_lives  # noqa: PLC0415  cryptography and the native module, only here
    from gatebook.vault.ledger import SystemDisk  # noqa: PLC0415  as above
    from gatebook.vault.rotating import NEXT_KEY, ROTATION, prepare_key, wish_for_key  # noqa: PLC0415  as above

    settings = load(config)
    notary, seed = settings.notary_path, secrets.token_bytes(SEED_BYTES)
    try:
        if prepare:
            click.echo(prepare_key(notary, seed, SystemDisk()))
            say("the notary's next key is prepared; the one in use stays in use")
            return
        if not reason:
            raise click.UsageError("the book needs a reason: `--reason`")
        if settings.ledger.witness_policy == "refuse" and not (notary / NEXT_KEY).exists():
            words = "the gate refuses everything while witnesses do not know the new key"
            raise OperatorFault(words, "first `--prepare` it, and let the witnesses add it")
        wish = wish_for_key(notary, reason=reason, by=operator(), seed=seed, disk=SystemDisk())
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"the notary's folder cannot be used: {words}", "be the notary's OS user") from fault
    if not writer_lives(notary):
        _run(settings, lambda _: "the key was changed", opened=lambda _: None)
    until = time.monotonic() + ROTATED_S
    while (notary / ROTATION).exists():
        if time.monotonic() > until:
            raise OperatorFault("the notary has not changed its key yet", "it will as soon as it seals again")
        time.sleep(POLL_S)
    click.echo(wish.key)
    say("the notary signs with a new key; keep a copy of it elsewhere")
    if settings.ledger.witnesses:
        say("hint: witnesses do not cosign until their operators have added it")


def _run(settings: Settings, wait: Callable[[float], str], opened: Callable[[str], None] | None = None) -> None:
    """Run the notary until it is to stop. OperatorFault; exits with status 3 where evidence is not what was sealed."""
    from gatebook.vault.sealer import run_notary  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.sealing import EXIT_TAMPERED, Tampered  # noqa: PLC0415  as above

    folders = folders_of(settings)

    def tell_key(key: str) -> None:
        say(f"the notary seals into {folders.ledger}; keep a copy of its key elsewhere: {key}")

    try:
        run_notary(
            folders,
            origin=settings.ledger_origin,
            seed=secrets.token_bytes(SEED_BYTES),
            now=now,
            wait=wait,
            opened=opened or tell_key,
            witnesses=_witnesses(settings),
            stamper=_stamper(settings),
            tell=say,
            removal=_removal(settings),
        )
    except Tampered as fault:
        print_error(f"{fault.finding}: {fault.message}", "nothing is sealed any more; see `gatebook ledger verify`")
        sys.exit(EXIT_TAMPERED)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"the ledger cannot be written: {words}", "see the disk, then start again") from fault


def _removal(settings: Settings) -> RemovalPlan | None:
    """Return when segments are removed. The key of the recordings is not looked at."""
    from gatebook.vault.recordings import Recordings  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.sealer import RemovalPlan  # noqa: PLC0415  as above

    after_s = settings.ledger.remove_segments_after_s
    return None if after_s is None else RemovalPlan(Recordings(settings.recordings_path), after_s)


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


def _stamper(settings: Settings) -> Stamper | None:
    """Return who gets time stamps. An authority whose roots cannot be read is one that fails: sealing goes on."""
    ledger = settings.ledger
    if not ledger.timestamps:
        return None
    from gatebook.evidence.timestamp import TimestampFault, parse_roots  # noqa: PLC0415  only with authorities
    from gatebook.vault.asking import HttpStamp  # noqa: PLC0415  the HTTP client, as above
    from gatebook.vault.ledger import LedgerFolder  # noqa: PLC0415  as above
    from gatebook.vault.stamping import Authority, Stamper, fails_with, last_stamp  # noqa: PLC0415  as above

    made: list[Authority] = []
    for one in ledger.timestamps:
        try:
            made.append(Authority(one.name, HttpStamp(one.url), parse_roots(one.roots.read_bytes()), one.policy))
        except (OSError, TimestampFault) as fault:
            words = f"has roots that cannot be read: {quoted(str(fault))}"
            say(f"the time-stamp authority {one.name} {words}")
            made.append(Authority(one.name, fails_with(words), ()))
    last = last_stamp(LedgerFolder(settings.ledger_path), time.time())
    return Stamper(made, ledger.timestamp_every_s, last=last)

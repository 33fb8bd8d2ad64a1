# SPDX-License-Identifier: Apache-2.0
"""`gatebook receipt`: prove one entry, and verify such a proof with nothing but the notary's key."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import click

from gatebook.cli.common import config_option, json_option, load
from gatebook.cli.output import print_facts, print_json, say
from gatebook.evidence.entry import Leaf
from gatebook.evidence.harmless import harmless

MAX_BYTES = 1 << 20


@click.group("receipt")
def command() -> None:
    """Receipts: the proof that one entry is in the ledger."""


@command.command("make")
@click.argument("entry")
@click.option("--outcome", is_flag=True, help="Of an operation, prove what came of it, not what was decided.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.  [default: print it]"
)
@config_option
def make(entry: str, *, outcome: bool, output: Path | None, config: Path) -> None:
    """Make the receipt of ENTRY: an operation's id, or the number of an entry in the ledger, from 0.

    Whoever has the notary's key can verify it, offline, with `gatebook receipt verify` or another reader of C2SP's
    tlog-proof.
    """
    from gatebook.vault.ledger import LedgerFolder  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.receipts import DECIDED, OUTCOME, make_receipt  # noqa: PLC0415  as above

    text = make_receipt(LedgerFolder(load(config).ledger_path), entry, OUTCOME if outcome else DECIDED).text()
    if output is None:
        sys.stdout.write(text.decode())
    else:
        output.write_bytes(text)
        say(f"the receipt is in {output}; verify it with `gatebook receipt verify {output} --key ...`")


@command.command("verify")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--key", required=True, help="The notary's verifier key, from a copy of `ledger.vkey` kept elsewhere.")
@json_option
def verify(file: Path, *, key: str, as_json: bool) -> None:
    """Verify a receipt: its form, the checkpoint's signature, and that the entry is in the tree that was signed."""
    from gatebook.evidence.note import Verifier  # noqa: PLC0415  cryptography, only here
    from gatebook.evidence.receipt import Receipt  # noqa: PLC0415  as above

    with file.open("rb") as opened:
        receipt = Receipt.parse(opened.read(MAX_BYTES + 1))
    checkpoint = receipt.verify(Verifier.parse(key))
    words = receipt.entry.decode("utf-8", "replace")
    root = base64.b64encode(checkpoint.root).decode()
    if as_json:
        found: Leaf = {"ok": True, "origin": checkpoint.origin, "size": checkpoint.size, "root": root}
        print_json(found | {"index": receipt.index, "entry": words})
        return
    print_facts(
        {
            "signature": f"good, by the key of {checkpoint.origin}",
            "tree": f"{checkpoint.size:,} entries, root {root}",
            "entry": f"number {receipt.index:,}, is in that tree by {len(receipt.proof)} hashes",
            "it says": harmless(words),
        }
    )

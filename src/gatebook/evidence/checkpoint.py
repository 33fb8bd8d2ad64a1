# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: size and root of the ledger at a moment, as the notary signs them.

SPEC: docs/spec/ledger.md, "Checkpoint". Source: C2SP tlog-checkpoint. Text: three lines: origin, size in decimal, root
in base64. Bounds: origin 255 printable ASCII characters without space and `+`, size below 2^63. Refused beyond the
source: extension lines, and an origin that is not the name of the key. Everything else raises CheckpointFault, or
NoteFault where the note around it is at fault; nothing else is raised.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Signer, Verifier, decode_base64, open_note, sign_note
from gatebook.evidence.tree import HASH_BYTES, MAX_SIZE
from gatebook.model.errors import quoted

MAX_ORIGIN_CHARACTERS = 255
MAX_DIGITS = 19  # of 2^63 - 1

_ORIGIN = re.compile(r"[!-*,-~]+")
_DECIMAL = re.compile(r"0|[1-9][0-9]*")


class CheckpointFault(EvidenceFault):
    """A checkpoint has not its form, or is of another ledger than whose key it is checked with."""

    code = "checkpoint"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which ledger, how many entries, and the root over them. CheckpointFault if it could not be written."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        """Refuse what `text` could not say so that `parse` reads it."""
        if len(self.origin) > MAX_ORIGIN_CHARACTERS or _ORIGIN.fullmatch(self.origin) is None:
            raise CheckpointFault("checkpoint_form", f"no ledger has the origin {quoted(self.origin)}")
        if not 0 <= self.size <= MAX_SIZE:
            raise CheckpointFault("checkpoint_form", f"no ledger has the size {self.size}")
        if len(self.root) != HASH_BYTES:
            raise CheckpointFault("checkpoint_form", "a root has not 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Parse the text of a checkpoint. CheckpointFault unless it is exactly what `text` gives."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise CheckpointFault("checkpoint_form", "a checkpoint has not three lines")
        origin, digits, encoded, _ = lines
        size, root = parse_decimal(digits), decode_base64(encoded)
        if size is None or root is None:
            raise CheckpointFault("checkpoint_form", "a checkpoint has no decimal size, or no root in base64")
        return cls(origin, size, root)

    def text(self) -> str:
        """Return the three lines that are signed, with their newlines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the note of a checkpoint. CheckpointFault if the key has another name than the ledger's origin."""
    if signer.name != checkpoint.origin:
        raise _of_another(checkpoint, signer.verifier)
    return sign_note(checkpoint.text(), signer)


def open_checkpoint(note: bytes, verifier: Verifier, *others: Verifier) -> Checkpoint:
    """Return the checkpoint of a note that this key has signed, or another of the same name.

    NoteFault if the note has another form or no signature of the key that verifies; CheckpointFault if its text has
    another form, or the origin is not the name of the key.
    """
    text, _ = open_note(note, [verifier, *others])
    checkpoint = Checkpoint.parse(text)
    if checkpoint.origin != verifier.name:
        raise _of_another(checkpoint, verifier)
    return checkpoint


def parse_decimal(text: str) -> int | None:
    """Return a number from 0 to 2^63 - 1; None unless it is written in ASCII digits without a zero before them."""
    if len(text) > MAX_DIGITS or _DECIMAL.fullmatch(text) is None:
        return None
    number = int(text)
    return number if number <= MAX_SIZE else None


def _of_another(checkpoint: Checkpoint, verifier: Verifier) -> CheckpointFault:
    return CheckpointFault(
        "checkpoint_origin",
        f"a checkpoint of {quoted(checkpoint.origin)} is not for the key of {quoted(verifier.name)}",
    )

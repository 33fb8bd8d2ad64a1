# SPDX-License-Identifier: Apache-2.0
"""The change of the notary's key: asked for by a person, entered and done by the notary, whole after any crash.

SPEC: docs/spec/ledger.md, "Change of the key". The wish lies in `notary/rotation`, with the new key, until all is done;
whoever finds it there goes on from wherever it stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gatebook.evidence.entry import EntryFault, Leaf, decode_canonical, encode_canonical
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Signer
from gatebook.evidence.rotation import MARK, Rotation, find_rotation
from gatebook.model.errors import OperatorFault
from gatebook.vault.journal import Faults, JournalReader
from gatebook.vault.ledger import SECRET_MODE, Disk
from gatebook.vault.sealing import Tampered

KEY = "key"
ROTATION = "rotation"
NEXT_KEY = "key.next"
VERSION = 1
MAX_BYTES = 64 << 10
MAX_WORDS = 1024
_MEMBERS = {"v", "old", "key", "reason", "by"}


@dataclass(frozen=True, slots=True)
class Wish:
    """A change of key that somebody asked for: from which verifier key to which signer key, why, and who."""

    old: str
    signer: Signer
    reason: str
    by: str

    @property
    def key(self) -> str:
        """The verifier key that is to be."""
        return self.signer.verifier.text()

    def encode(self) -> bytes:
        """Return the content of the file. Never for a log."""
        words: Leaf = {"v": VERSION, "old": self.old, "key": self.signer.text(), "reason": self.reason, "by": self.by}
        return encode_canonical(words) + b"\n"


def prepare_key(notary: Path, seed: bytes, disk: Disk) -> str:
    """Make the key that the next change will take, if there is none yet; its verifier key, to be told before.

    OperatorFault where the notary has no key yet; OSError.
    """
    current = _current(notary)
    with contextlib.suppress(FileNotFoundError):
        prepared = Signer.parse((notary / NEXT_KEY).read_text("utf-8").strip()).verifier.text()
        if prepared != current.verifier.text():  # else a crash left it, and it is in use by now
            return prepared
    signer = Signer.make(current.name, seed)
    disk.replace(notary / NEXT_KEY, f"{signer.text()}\n".encode(), SECRET_MODE)
    return signer.verifier.text()


def wish_for_key(notary: Path, *, reason: str, by: str, seed: bytes, disk: Disk) -> Wish:
    """Ask for a change of the key, to the one that was prepared or to one of `seed` (32 random bytes).

    OperatorFault where the notary has no key yet, or a change is under way; OSError.
    """
    current = _current(notary)
    if (notary / ROTATION).exists():
        raise OperatorFault("a change of the key is under way", "the notary carries it out when it runs")
    key = prepare_key(notary, seed, disk)
    signer = Signer.parse((notary / NEXT_KEY).read_text("utf-8").strip())
    assert signer.verifier.text() == key
    wish = Wish(current.verifier.text(), signer, reason[:MAX_WORDS], by[:MAX_WORDS])
    disk.replace(notary / ROTATION, wish.encode(), SECRET_MODE)
    disk.remove(notary / NEXT_KEY)
    return wish


def read_wish(notary: Path) -> Wish | None:
    """Return the change of key that is asked for; None where there is none. Tampered where it is not in its form."""
    try:
        with (notary / ROTATION).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        content = decode_canonical(data.removesuffix(b"\n"))
        texts = {name: value for name, value in content.items() if isinstance(value, str)}
        if len(data) > MAX_BYTES or content.keys() != _MEMBERS or len(texts) != len(_MEMBERS) - 1:
            raise EntryFault("it has other members")
        return Wish(texts["old"], Signer.parse(texts["key"]), texts["reason"], texts["by"])
    except EvidenceFault as fault:
        raise Tampered("notary_state", f"the wish for another key is not in its form: {fault.message}") from fault


def entered_rotations(journal: Path) -> list[Rotation]:
    """Return the changes of key in the notary's own journal, oldest first; `index` is the place in the journal."""
    return [
        rotation
        for number, record in enumerate(JournalReader(journal, Faults()).read())
        if (rotation := find_rotation(number, record.leaf)) is not None
    ]


def check_key(signer: Signer, entered: Sequence[Rotation], wish: Wish | None) -> None:
    """Raise OperatorFault where the key is one that was given up, as after putting back an old copy."""
    key = signer.verifier.text()
    if entered and key != entered[-1].key and not (wish is not None and wish.old == key):
        raise OperatorFault(
            "the notary's key is one that was given up", "put the newest back: nobody believes what this one signs"
        )


def foreign_rotation(bundle: bytes, wish: Wish | None) -> bool:
    """Whether leaves (u16 length before each) hold a change of the key that is not the one asked for."""
    if MARK not in bundle:
        return False
    at = 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2])
        leaf = bundle[at + 2 : end]
        if MARK in leaf:
            found = find_rotation(0, leaf)
            if found is None or wish is None or (found.old, found.key) != (wish.old, wish.key):
                return True
        at = end
    return False


def _current(notary: Path) -> Signer:
    try:
        return Signer.parse((notary / KEY).read_text("utf-8").strip())
    except FileNotFoundError as fault:
        raise OperatorFault("the notary has no key yet", "it makes one when it first starts") from fault

# SPDX-License-Identifier: Apache-2.0
"""The doctor's look at the ledger: its notary, how far it is, and who outside vouches for it.

Import-heavy parts are loaded where a check needs them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from gatebook.cli.common import folders_of
from gatebook.cli.verdicts import Check, Verdict
from gatebook.config import Settings
from gatebook.config.ledger import TimestampSettings, WitnessSettings

SEALED_WITHIN_S = 2.0  # an entry is sealed a second after it was written; the second is for the disk
FAR_BEHIND = 1 << 17  # entries that one checkpoint seals at most
UNKNOWN = {403, 404}


def check_notary(settings: Settings) -> Iterator[Check]:
    """Whether it runs, and whether its key is another user's than the gate's."""
    from gatebook.vault.journal import writer_lives  # noqa: PLC0415  the native module, only where evidence is read

    key = settings.notary_path / "key"
    if settings.ledger.notary == "apart" and not writer_lives(settings.notary_path):
        yield Check("notary", Verdict.WRONG, "it runs apart, and does not run: nothing is sealed (`gatebook notary`)")
    if not settings.notary_path.exists():
        yield Check("notary", Verdict.OK, "nothing is sealed yet; it makes its key when it first starts")
        return
    owner = settings.notary_path.stat().st_uid
    if owner == settings.gate.data.stat().st_uid:
        words = "its key is read under the gate's OS user, who can make the ledger anew: run it apart, as another user"
        yield Check("notary", Verdict.WEAK, words)
    elif settings.notary_path.stat().st_mode & 0o077:
        yield Check("notary", Verdict.WRONG, f"{key.parent} is open to others: chmod go-rwx it")
    else:
        yield Check("notary", Verdict.OK, "its key belongs to another OS user than the gate's data")


def check_sealing(settings: Settings) -> Iterator[Check]:
    """Whether the ledger keeps up with the journals."""
    from gatebook.vault.standing import read_standing  # noqa: PLC0415  cryptography, only here

    if not (settings.ledger_path / "checkpoint").exists():
        return
    try:
        before = read_standing(folders_of(settings))
        if before.notary_lives and before.behind:
            time.sleep(SEALED_WITHIN_S)  # what is behind for a moment is no finding
        standing = read_standing(folders_of(settings))
    except PermissionError:
        words = "how far it is cannot be seen: the notary's folder is another user's; ask as that user"
        yield Check("ledger", Verdict.OK, words)
        return
    behind = sum(count for _, count in standing.behind)
    if not behind:
        yield Check("ledger", Verdict.OK, f"{standing.size:,} entries, all that there are")
    elif not standing.notary_lives:
        yield Check("ledger", Verdict.WEAK, f"{behind:,} entries are not sealed: no notary runs")
    elif standing.size == before.size:
        words = f"{behind:,} entries are not sealed, and the notary seals none: see its log"
        yield Check("ledger", Verdict.WRONG, words)
    elif behind > FAR_BEHIND:
        words = f"{behind:,} entries behind the journals: the notary is slower than what is written"
        yield Check("ledger", Verdict.WEAK, words)
    else:
        yield Check("ledger", Verdict.OK, f"{standing.size:,} entries, {behind:,} on their way")


def check_anchors(settings: Settings) -> Iterator[Check]:
    """Whether anybody outside knows what the ledger was."""
    if settings.ledger.witnesses or not settings.notary_path.exists():
        return
    words = "no witness: whoever has the notary's key and the files can make the whole book anew, unseen"
    if settings.ledger.timestamps:
        words += " but for the time before the newest time stamp"
    words += "; keep `ledger.vkey`, and `checkpoint` now and then, elsewhere"
    yield Check("anchor", Verdict.WEAK, words)


def check_others(settings: Settings) -> Iterator[Check]:
    """Ask every witness and every time-stamp authority: over the network."""
    for witness in settings.ledger.witnesses:
        yield _ask_witness(settings, witness)
    for authority in settings.ledger.timestamps:
        yield _ask_authority(authority)


def _ask_witness(settings: Settings, witness: WitnessSettings) -> Check:
    """Let a witness cosign the present checkpoint, as if it had it already: it says whether it knows the ledger."""
    from gatebook.evidence.checkpoint import Checkpoint  # noqa: PLC0415  cryptography, only here
    from gatebook.evidence.cosignature import Request  # noqa: PLC0415  as above
    from gatebook.evidence.note import parse_note  # noqa: PLC0415  as above
    from gatebook.vault.asking import HttpAsk  # noqa: PLC0415  the HTTP client, as above
    from gatebook.vault.cosigning import NotAnswered  # noqa: PLC0415  as above
    from gatebook.vault.ledger import LedgerFolder  # noqa: PLC0415  as above

    name = f"witness {witness.name}"
    ledger = LedgerFolder(settings.ledger_path)
    body = b""
    if ledger.exists():
        note = ledger.read_checkpoint()
        body = Request(Checkpoint.parse(parse_note(note).text).size, (), note).encode()
    try:
        with closing(HttpAsk(witness.url)) as ask:
            status = ask(body).status
    except NotAnswered as said:
        return Check(name, Verdict.WRONG, f"{said}: checkpoints are not cosigned")
    if body and status in UNKNOWN:
        words = f"it does not know the notary's key ({status}): its operator adds `ledger.vkey` (`witness --log`)"
        return Check(name, Verdict.WRONG, words)
    return Check(name, Verdict.OK, f"it answers ({status})")


def _ask_authority(authority: TimestampSettings) -> Check:
    """Have something stamped."""
    from gatebook.evidence.timestamp import TimestampFault, parse_roots  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.asking import HttpStamp  # noqa: PLC0415  the HTTP client, as above
    from gatebook.vault.cosigning import NotAnswered  # noqa: PLC0415  as above
    from gatebook.vault.stamping import Authority, ask_stamp  # noqa: PLC0415  as above

    name = f"time stamps {authority.name}"
    try:
        roots = parse_roots(authority.roots.read_bytes())
        asked = Authority(authority.name, HttpStamp(authority.url), roots, authority.policy)
        _, proven = ask_stamp(asked, b"gatebook doctor\n")
    except (NotAnswered, TimestampFault) as said:
        return Check(name, Verdict.WRONG, f"{said}: checkpoints are not stamped")
    ahead_s = proven.time.timestamp() - time.time()
    return Check(name, Verdict.OK, f"it stamps; its clock and this machine's are {abs(ahead_s):.0f} s apart")

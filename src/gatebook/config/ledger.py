# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF009  # `setting` is `dataclasses.field`
"""Settings of the ledger, its witnesses and its time-stamp authorities, and what must hold of them together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gatebook.config import values
from gatebook.config.declaring import NAME, setting
from gatebook.config.values import Place

WITNESS_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(?:/[!-~]*)?")
WITNESS_KEY = re.compile(r"[^+\s]+\+[0-9a-f]{8}\+(B[A-P][A-Za-z0-9+/]{42})")  # 33 bytes, the first of them 4
ORIGIN = re.compile(r"[!-*,-~]{1,255}")  # printable ASCII without space and `+`: the name of a signed note's key
POLICY = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,9})){1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSettings:
    """A witness, which cosigns checkpoints: another team's `gatebook witness`, or any that speaks C2SP tlog-witness.

    What it sees and says: [ledger](../spec/ledger.md#witnesses).
    """

    name: str = setting(values.name(NAME), "Name of the witness in entries and in `gatebook ledger show`.")
    url: str = setting(values.text, "URL to which `/add-checkpoint` is added; `https://`, or `http://`.")
    key: str = setting(values.text, "Its verifier key, `NAME+ID+BASE64`, as its operator gave it to you.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampSettings:
    """An RFC 3161 time-stamp authority, which says when a checkpoint was there at the latest.

    What is stamped, and how it is verified: [ledger](../spec/ledger.md#time-stamps).
    """

    name: str = setting(values.name(NAME), "Name of the authority in entries.")
    url: str = setting(values.text, "Where it takes requests; `https://`, or `http://`: its answer is signed.")
    roots: Path = setting(values.path, "Root certificates that its own must lead to, PEM.")
    policy: str = setting(
        values.text,
        "Policy under which it must stamp, an OID such as `1.3.6.1.4.1.13762.3`; any if absent.",
        default="",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """The ledger, into which the notary seals all journals, with a signed checkpoint for outsiders.

    What it is, and how others verify it: [ledger](../spec/ledger.md).
    """

    origin: str = setting(
        values.text,
        "Name of the ledger in its checkpoints, and of the notary's key; best a host name of yours, and a path. "
        "It cannot be changed later. Absent: `public_host` and the gate's `name`, with a slash between.",
        default="",
    )
    notary: str = setting(
        values.choice("serve", "apart"),
        "Whether `gatebook serve` starts the notary, or somebody else does (`gatebook notary`), best as another user.",
        default="serve",
    )
    remove_segments_after_s: int | None = setting(
        values.integer_or("never", 0, 10 * 365 * 86_400),
        "Seconds after which the notary removes a segment of a journal that is sealed and published: leaves are in the "
        "ledger, private parts go beside the recordings. Needs write access to both.",
        default=86_400,
    )
    witness_quorum: int = setting(
        values.integer(0, 1000),
        "How many witnesses must cosign a checkpoint; with fewer for ten seconds the notary enters a failure. "
        "0 means all that are configured.",
        default=0,
    )
    witnesses: tuple[WitnessSettings, ...] = setting(
        values.tables(WitnessSettings), "The witnesses that are asked to cosign.", default=()
    )
    witness_policy: str = setting(
        values.choice("alarm", "refuse"),
        "What follows where no quorum has cosigned for `witness_grace_s`: `alarm` enters it and logs it; with `refuse` "
        "the gate lets nobody in and runs nothing new until a quorum has cosigned again.",
        default="alarm",
    )
    witness_grace_s: int = setting(
        values.integer(2, 86_400),
        "With `refuse`, how old the newest checkpoint with a quorum may be, by the clocks of the witnesses; at least "
        "twice `evidence.heartbeat_s`.",
        default=300,
    )
    timestamp_every_s: int = setting(
        values.integer(10, 30 * 86_400),
        "Seconds between time stamps, with a `[[ledger.timestamp]]`. Nothing is stamped where nothing new was sealed.",
        default=3600,
    )
    timestamps: tuple[TimestampSettings, ...] = setting(
        values.tables(TimestampSettings),
        "The time-stamp authorities, asked in this order until one stamps.",
        default=(),
    )


def check_ledger(origin: str, ledger: LedgerSettings, heartbeat_s: int, place: Place) -> None:
    """Raise ConfigFault for an origin that is none, or witnesses and authorities that cannot be asked as they stand."""
    if ORIGIN.fullmatch(origin) is None:
        hint = "use at most 255 ASCII characters without space and `+`"
        raise place.below("origin").fault("is no name of a ledger", hint)
    _check_witnesses(ledger, place)
    if ledger.witness_policy == "refuse":
        if not ledger.witnesses:
            raise place.below("witness_policy").fault("is `refuse`, but nobody cosigns", "add a `[[ledger.witness]]`")
        if ledger.witness_grace_s < 2 * heartbeat_s:
            words = f"must be at least {2 * heartbeat_s}, twice `evidence.heartbeat_s`"
            raise place.below("witness_grace_s").fault(words, "else an idle gate would refuse")
    names: set[str] = set()
    for index, authority in enumerate(ledger.timestamps):
        here = place.below("timestamp").below(index)
        if WITNESS_URL.fullmatch(authority.url) is None:
            raise here.below("url").fault("is no URL of an authority", "write `https://` and host, port and path")
        if authority.policy and POLICY.fullmatch(authority.policy) is None:
            raise here.below("policy").fault("is no OID", "write numbers and dots, such as `1.2.3.4.1`")
        if authority.name in names:
            raise here.below("name").fault("is there twice")
        names.add(authority.name)


def _check_witnesses(ledger: LedgerSettings, place: Place) -> None:
    witnesses = ledger.witnesses
    if ledger.witness_quorum > len(witnesses):
        words = f"is more than the {len(witnesses)} that are configured"
        raise place.below("witness_quorum").fault(words, "add a `[[ledger.witness]]`")
    keys: set[str] = set()
    for index, witness in enumerate(witnesses):
        here = place.below("witness").below(index)
        if WITNESS_URL.fullmatch(witness.url) is None:
            raise here.below("url").fault("is no URL of a witness", "write `https://` and host, port and path")
        key = WITNESS_KEY.fullmatch(witness.key)
        if key is None:
            hint = "a verifier key of a witness, of the type Ed25519 cosignature, looks like `NAME+0a1b2c3d+BA...`"
            raise here.below("key").fault("is no witness's key", hint)
        if key[1] in keys:
            raise here.below("key").fault("is there twice", "one witness counts once")
        keys.add(key[1])

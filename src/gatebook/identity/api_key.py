# SPDX-License-Identifier: Apache-2.0
"""API keys for agents without an identity provider: made once, stored as a hash, checked in named steps.

SPEC: docs/spec/api-key.md. Token: `gbk_`, 52 characters of base32 over 32 random bytes, 6 characters of checksum; 62
ASCII characters in all. Anything else is refused by the check `form` without a look-up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gatebook.model.credential import KeyRecord, Person
from gatebook.model.errors import Bug
from gatebook.model.ids import KeyId
from gatebook.model.principal import Check, Identified, NotIdentified, Principal, PrincipalKind, Subject
from gatebook.model.secret import Secret

PREFIX = b"gbk_"
RANDOM_BYTES = 32
BODY_CHARACTERS = 52  # 256 bits in groups of five, the last group padded with zero bits
CHECKSUM_CHARACTERS = 6  # the upper 30 bits of a CRC-32
TOKEN_CHARACTERS = len(PREFIX) + BODY_CHARACTERS + CHECKSUM_CHARACTERS
METHOD = "api_key"

_ALPHABET = b"abcdefghijklmnopqrstuvwxyz234567"
_ID_HEX = 12  # 48 bits of the hash: enough to name a key, useless for guessing it


class KeyBook(Protocol):
    """What is known of keys and people, as of now. Both answers must be committed state."""

    def find_key(self, sha256: bytes) -> KeyRecord | None:
        """Return the key whose token has this hash, also if it is revoked or expired."""

    def find_person(self, subject: Subject) -> Person | None:
        """Return the person, also if disabled."""


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key: the token to show once, and the record to keep."""

    token: Secret
    record: KeyRecord


def local_issuer(gate_name: str) -> str:
    """Return the issuer of identities that this gate itself keeps."""
    return f"gatebook:{gate_name}"


def format_token(random: bytes) -> bytes:
    """Return the token over 32 random bytes.

    Raises Bug on any other number of bytes.
    """
    if len(random) != RANDOM_BYTES:
        message = f"an API key takes {RANDOM_BYTES} random bytes"
        raise Bug(message)
    body = PREFIX + base64.b32encode(random).rstrip(b"=").lower()
    return body + _checksum(body)


def hash_token(token: bytes) -> bytes:
    """Return SHA-256 of the whole token: the only form in which a key is stored."""
    return hashlib.sha256(token).digest()


def key_id(sha256: bytes) -> KeyId:
    """Return the public id of a key from the hash of its token."""
    return KeyId(sha256.hex()[:_ID_HEX])


def mint(
    random: bytes, *, agent: Subject, owner: Subject, groups: tuple[str, ...], now: datetime, expires_at: datetime
) -> MintedKey:
    """Make a key from 32 random bytes of the operating system.

    The caller keeps the record and shows the token once. Raises Bug on a wrong number of bytes.
    """
    token = format_token(random)
    digest = hash_token(token)
    record = KeyRecord(
        id=key_id(digest),
        sha256=digest,
        agent=agent,
        owner=owner,
        groups=tuple(sorted(set(groups))),
        created_at=now,
        expires_at=expires_at,
    )
    return MintedKey(Secret(token), record)


def verify(token: bytes, book: KeyBook, now: datetime) -> Identified | NotIdentified:
    """Verify a token as the client sent it; `now` is aware UTC.

    The checks, in order; the first that fails ends the verification:
    1. `form`: prefix, alphabet, length, zero padding bits;
    2. `checksum`: catches a key cut or mistyped, without a look-up;
    3. `known`: a record has this hash;
    4. `revoked`: it has not been revoked;
    5. `expired`: `now` is before its end;
    6. `owner`: the owning person is known and not disabled.
    The client must be told the same for each; the name of the failed check is for evidence only.
    """
    passed: list[Check] = []

    def failed(name: str, credential: str = "") -> NotIdentified:
        return NotIdentified((*passed, Check(name, passed=False)), credential)

    # 1. form
    if not _has_form(token):
        return failed("form")
    passed.append(Check("form", passed=True))
    # 2. checksum
    if not hmac.compare_digest(_checksum(token[:-CHECKSUM_CHARACTERS]), token[-CHECKSUM_CHARACTERS:]):
        return failed("checksum")
    passed.append(Check("checksum", passed=True))
    # 3. known: the look-up is by hash, so its timing tells nothing of a token; the comparison trusts no index
    digest = hash_token(token)
    credential = key_id(digest)
    record = book.find_key(digest)
    if record is None or not hmac.compare_digest(record.sha256, digest):
        return failed("known", credential)
    passed.append(Check("known", passed=True))
    # 4. revoked
    if record.revoked_at is not None:
        return failed("revoked", credential)
    passed.append(Check("revoked", passed=True))
    # 5. expired
    if now >= record.expires_at:
        return failed("expired", credential)
    passed.append(Check("expired", passed=True))
    # 6. owner
    owner = book.find_person(record.owner)
    if owner is None or owner.disabled_at is not None:
        return failed("owner", credential)
    passed.append(Check("owner", passed=True))
    return Identified(_principal(record), tuple(passed), names=(record.agent.subject,))


def _principal(record: KeyRecord) -> Principal:
    return Principal(
        kind=PrincipalKind.AGENT,
        subject=record.agent,
        groups=record.groups,
        owner=record.owner,
        chain=(record.agent,),
        method=METHOD,
        credential=record.id,
    )


def _has_form(token: bytes) -> bool:
    if len(token) != TOKEN_CHARACTERS or not token.startswith(PREFIX):
        return False
    rest = token[len(PREFIX) :]
    if rest.translate(None, _ALPHABET):
        return False
    # Zero padding bits: the last body character carries one bit, so it is `a` or `q`. Without this rule sixteen
    # tokens would decode to the same bytes.
    return rest[BODY_CHARACTERS - 1] in b"aq"


def _checksum(body: bytes) -> bytes:
    bits = binascii.crc32(body) >> 2
    return bytes(_ALPHABET[(bits >> shift) & 31] for shift in range(25, -1, -5))

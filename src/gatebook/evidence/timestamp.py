# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 time stamps: what an authority answered, and what that proves of the bytes that were stamped.

SPEC: docs/spec/ledger.md, "Time stamps". Source: RFC 3161, 2.4.2 (TimeStampResp); RFC 5652 (SignedData). Bounds: 64
KiB, SHA-256 alone as imprint. Refused beyond it: `grantedWithMods`, and a signer whose certificate is not in the
answer. Let pass: a set of certificates that is not sorted as DER asks, which OpenSSL up to 3.1 writes. Everything else
raises TimestampFault, and nothing else is raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from rfc3161_client import PKIStatus, TimeStampResponse, VerificationError, VerifierBuilder, decode_timestamp_response

from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import quoted

MAX_RESPONSE_BYTES = 64 << 10  # LIMIT: a token with a chain of certificates is 6 KiB
MAX_ROOTS_BYTES = 4 << 20
SHA256_OID = "2.16.840.1.101.3.4.2.1"
_SEQUENCE, _CONTEXT_0 = 0x30, 0xA0


class TimestampFault(EvidenceFault):
    """An answer of a time-stamp authority has not its form, or does not prove what it should."""

    code = "timestamp"


@dataclass(frozen=True, slots=True)
class Proven:
    """What a stamp proves: the bytes were there at `time` (aware), says the owner of the certificate `signer`."""

    time: datetime
    signer: str
    serial: str
    policy: str


def parse_roots(content: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM file. TimestampFault where there is none, or one cannot be read."""
    try:
        if len(content) > MAX_ROOTS_BYTES:
            raise TimestampFault("timestamp_roots", "roots of time-stamp authorities are too long")
        return x509.load_pem_x509_certificates(content)
    except ValueError as fault:
        raise TimestampFault("timestamp_roots", "roots of time-stamp authorities are no certificates in PEM") from fault


def verify_timestamp(
    response: bytes, stamped: bytes, roots: Sequence[x509.Certificate], policy: str = "", nonce: int | None = None
) -> Proven:
    """Return what a response proves of the bytes `stamped`. TimestampFault if it proves nothing.

    `roots` are those that the signer's certificate must lead to; `policy`, an OID, and `nonce` are compared if given.
    """
    try:
        return _verify(response, stamped, roots, policy, nonce=nonce)
    except TimestampFault:
        raise
    except Exception as fault:  # the parsers raise errors of several families, some of them late
        words = " ".join(str(fault).split())[:200]
        raise TimestampFault("timestamp_form", f"the answer has not the form of RFC 3161: {words}") from fault


def _verify(
    response: bytes, stamped: bytes, roots: Sequence[x509.Certificate], policy: str, *, nonce: int | None
) -> Proven:
    # 1. its form, and that it is a yes
    found = _decode(response)
    if found.status != PKIStatus.GRANTED:
        words = quoted("; ".join(found.status_string))
        raise TimestampFault("timestamp_refused", f"the authority answers with status {found.status}: {words}")
    info = found.tst_info
    # 2. it is about these bytes, and answers this request
    imprint = (info.message_imprint.hash_algorithm.dotted_string, info.message_imprint.message)
    if imprint != (SHA256_OID, hashlib.sha256(stamped).digest()):
        raise TimestampFault("timestamp_imprint", "the stamp is of other bytes")
    if nonce is not None and info.nonce != nonce:
        raise TimestampFault("timestamp_nonce", "the stamp answers another request")
    under = info.policy.dotted_string
    if policy not in {"", under}:
        raise TimestampFault("timestamp_policy", f"the stamp is made under the policy {under}, not {policy}")
    # 3. who signed it may stamp, and was valid then
    time = info.gen_time if info.gen_time.tzinfo else info.gen_time.replace(tzinfo=UTC)
    signer = _signer(found)
    _check_usage(signer)
    if not signer.not_valid_before_utc <= time <= signer.not_valid_after_utc:
        raise TimestampFault("timestamp_expired", "the stamp's time is outside its certificate's validity")
    # 4. the signature, and the way to a root, at the time of the stamp
    try:
        VerifierBuilder(roots=list(roots)).build().verify(found, imprint[1])
    except VerificationError as fault:
        words = "the stamp is changed, or not signed by an authority that the roots know"
        raise TimestampFault("timestamp_signature", words) from fault
    return Proven(time, signer.subject.rfc4514_string(), f"{info.serial_number:x}", under)


def _decode(response: bytes) -> TimeStampResponse:
    if len(response) > MAX_RESPONSE_BYTES:
        words = f"an answer of {len(response)} bytes is longer than {MAX_RESPONSE_BYTES}"
        raise TimestampFault("timestamp_form", words)
    try:
        return decode_timestamp_response(response)
    except ValueError:
        return decode_timestamp_response(_sorted_certificates(response))


def _signer(found: TimeStampResponse) -> x509.Certificate:
    """Return the certificate of who signed. TimestampFault unless there is one signer, whose certificate is there."""
    signers = list(found.signed_data.signer_infos)
    for one in map(x509.load_der_x509_certificate, found.signed_data.certificates):
        if len(signers) == 1 and (one.issuer, one.serial_number) == (signers[0].issuer, signers[0].serial_number):
            return one
    raise TimestampFault("timestamp_form", "the answer has not one signer whose certificate is in it")


def _check_usage(signer: x509.Certificate) -> None:
    """RFC 3161, 2.3: the extended key usage is critical, and timeStamping alone."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError) as fault:
        raise TimestampFault("timestamp_usage", "the signer's certificate does not say that it may stamp") from fault
    if not usage.critical or [*usage.value] != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TimestampFault("timestamp_usage", "the signer's certificate is not for time stamps alone")


def _sorted_certificates(response: bytes) -> bytes:
    """Return an answer with its set of certificates in the order of DER: the set is not signed. ValueError.

    RFC 5652, 5.1: TimeStampResp { status, token ContentInfo { type, [0] SignedData { version, digests, content,
    [0] certificates ... } } }.
    """
    begin, end = 0, len(response)
    for tag, at in ((_SEQUENCE, 0), (_SEQUENCE, 1), (_CONTEXT_0, 1), (_SEQUENCE, 0), (_CONTEXT_0, 3)):
        parts = list(_parts(response, begin, end))
        if len(parts) <= at or response[parts[at][0]] != tag:
            raise ValueError("no set of certificates where RFC 5652 has it")
        _, begin, end = parts[at]
    certificates = sorted(response[start:stop] for start, _, stop in _parts(response, begin, end))
    return response[:begin] + b"".join(certificates) + response[end:]


def _parts(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Begin, begin of the content, and end of each value between two places. ValueError where DER is cut."""
    while begin < end:
        length, at = data[begin + 1] if begin + 2 <= end else 0x80, begin + 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 3 or at + count > end:
                raise ValueError("a length is not that of DER")
            length, at = int.from_bytes(data[at : at + count]), at + count
        if at + length > end:
            raise ValueError("a value is cut")
        yield begin, at, at + length
        begin = at + length

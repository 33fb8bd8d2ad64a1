# SPDX-License-Identifier: Apache-2.0
"""Client certificates: whose root vouched for one, and for which name, verified in named steps.

SPEC: docs/spec/client-certificate.md. Source: RFC 5280 (X.509), SPIFFE X.509-SVID 1.0. The handshake has proved that
the client holds the key, and that one of all configured roots vouches. Which one is found again here, each authority
alone: a name means nothing without knowing whose root stands behind it. Bounds: 32 KiB and 8 certificates. Deviation:
the purpose `clientAuth` must be stated (SPIFFE lets extended key usage be absent).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gatebook.identity.authority import Authority, NameKind
from gatebook.model.principal import Check, Identified, NotIdentified, Principal, PrincipalKind, Subject

CHAIN_BYTES: Final = 32_768  # LIMIT: a leaf of 4 KiB and some intermediates fit many times
CHAIN: Final = 8  # LIMIT: certificates shown; each costs a signature to verify
METHOD: Final = "certificate"

E = TypeVar("E", bound=x509.ExtensionType)

_SHOWN: Final = 128  # characters of what a certificate says of itself, in evidence
_SPIFFE_CHARACTERS: Final = 2048  # SPIFFE ID 1.0, section 2.3
_SPIFFE: Final = re.compile(r"spiffe://([a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)+)")
# Lower case only, no wildcard: which of two spellings is meant must not be a matter of reading.
_DNS: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_COMMON_NAME_CHARACTERS: Final = 64  # RFC 5280 appendix A, ub-common-name
# TypeError: the library's own, for a name of a type that no name has.
_MALFORMED: Final = (
    *(ValueError, TypeError),
    *(x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType),
)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """What of a client's own certificate is read; all of it, before any of it is used."""

    certificate: x509.Certificate
    begins: datetime
    ends: datetime
    purposes: frozenset[x509.ObjectIdentifier]
    constraints: x509.BasicConstraints | None
    usage: x509.KeyUsage | None
    names: Mapping[NameKind, tuple[str, ...]]
    says: tuple[tuple[str, str], ...]


class _Failed(Exception):  # a step of this file, caught in this file
    """The check of this name failed."""


def verify(shown: Sequence[bytes], authorities: Iterable[Authority], now: datetime) -> Identified | NotIdentified:
    """Verify the certificates that a client showed, its own first, each DER; `now` is aware UTC.

    The checks, in order; the first that fails ends the verification:
    1. `size`: at most 32 KiB in at most 8 certificates;
    2. `form`: each is a certificate, no extension is there twice;
    3. `authority`: it chains to a root of exactly one authority;
    4. `validity`: `now` is within the certificate's time;
    5. `usage`: its extended key usage states `clientAuth`;
    6. `constraints`: it is no authority's, and its key is for signatures, not for certificates;
    7. `names`: it has exactly one name of the authority's kind, in the one spelling that the name has;
    8. `domain`: a SPIFFE ID is in the authority's trust domain;
    9. `lifetime`: its time is not longer than the authority's bound.
    The client must be told the same for each; the name of the failed check is for evidence only.
    """
    attempt = _Attempt("sha256:" + hashlib.sha256(shown[0] if shown else b"").hexdigest())
    try:
        return attempt.verify(shown, authorities, now)
    except _Failed as failed:
        checks = (*attempt.passed, Check(str(failed), passed=False))
        return NotIdentified(checks, attempt.credential, certificate=attempt.says)


class _Attempt:
    """One verification: the checks passed so far, and what the certificate says of itself."""

    def __init__(self, credential: str) -> None:
        self.credential = credential
        self.passed: list[Check] = []
        self.says: tuple[tuple[str, str], ...] = ()

    def check(self, name: str, *, passed: bool) -> None:
        """Note a check; the first that fails ends the attempt."""
        if not passed:
            raise _Failed(name)
        self.passed.append(Check(name, passed=True))

    def verify(self, shown: Sequence[bytes], authorities: Iterable[Authority], now: datetime) -> Identified:
        """See `verify` of this module."""
        # 1. size, 2. form
        self.check("size", passed=0 < len(shown) <= CHAIN and sum(map(len, shown)) <= CHAIN_BYTES)
        try:
            leaf = _read(x509.load_der_x509_certificate(shown[0]))
            intermediates = [x509.load_der_x509_certificate(one) for one in shown[1:]]
        except _MALFORMED:
            raise _Failed("form") from None
        self.check("form", passed=True)
        self.says = leaf.says
        # 3. authority: each alone, and no choice between two. The time is brought into the certificate's own, so that
        # one that ran out is told from one that nobody vouches for.
        moment = min(max(now, leaf.begins), leaf.ends)
        chains = [(one, _chain(leaf.certificate, intermediates, one, moment)) for one in authorities]
        vouching = [(one, chain) for one, chain in chains if chain]
        if len(vouching) != 1:
            raise _Failed("authority")
        ((authority, chain),) = vouching
        self.says = (("authority", authority.name), *self.says)
        self.check("authority", passed=True)
        # 4. validity
        self.check("validity", passed=leaf.begins <= now < leaf.ends)
        # 5. usage: a server's certificate of the same authority must open nothing here
        self.check("usage", passed=ExtendedKeyUsageOID.CLIENT_AUTH in leaf.purposes)
        # 6. constraints: X.509-SVID, sections 4.1 and 4.3
        self.check("constraints", passed=_is_leaf(leaf))
        # 7. names, 8. domain
        subject = _name(leaf, authority)
        if subject is None:
            raise _Failed("names")
        self.check("names", passed=True)
        self.check("domain", passed=_domain(subject, authority) == authority.trust_domain)
        # 9. lifetime
        self.check("lifetime", passed=leaf.ends - leaf.begins <= timedelta(seconds=authority.lifetime_s))
        own = Subject(authority.issuer, subject)
        principal = Principal(
            kind=authority.kind,
            subject=own,
            groups=tuple(sorted(set(authority.groups))),
            owner=None,
            chain=(own,) if authority.kind is PrincipalKind.AGENT else (),
            method=METHOD,
            credential=self.credential,
        )
        # Nobody stays longer than any of those who vouch for him.
        ends_at = min(one.not_valid_after_utc for one in chain)
        return Identified(principal, tuple(self.passed), _user_names(own, authority), ends_at, certificate=self.says)


def _read(certificate: x509.Certificate) -> _Leaf:
    """Raise one of `_MALFORMED` if any part that is read is not of its form."""
    # DER, X.690, 11.2.1: a signature has no unused bits. With some it would be the same certificate under another hash.
    if not certificate.public_bytes(Encoding.DER).endswith(b"\0" + certificate.signature):
        raise ValueError("a signature with unused bits")
    extensions = certificate.extensions
    purposes = _extension(extensions, x509.ExtendedKeyUsage)
    names = _extension(extensions, x509.SubjectAlternativeName)
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    says = (
        ("serial", f"{certificate.serial_number:x}"),
        ("issuer", certificate.issuer.rfc4514_string()),
        ("subject", certificate.subject.rfc4514_string()),
        ("not_before", begins.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("not_after", ends.strftime("%Y-%m-%dT%H:%M:%SZ")),
    )
    return _Leaf(
        certificate=certificate,
        begins=begins,
        ends=ends,
        purposes=frozenset(purposes or ()),
        constraints=_extension(extensions, x509.BasicConstraints),
        usage=_extension(extensions, x509.KeyUsage),
        names={
            NameKind.SPIFFE: tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
            NameKind.DNS: tuple(names.get_values_for_type(x509.DNSName)) if names else (),
            NameKind.CN: tuple(str(one.value) for one in common),
        },
        says=tuple((name, value[:_SHOWN]) for name, value in says if value),
    )


def _extension(extensions: x509.Extensions, kind: type[E]) -> E | None:
    return next((one.value for one in extensions if isinstance(one.value, kind)), None)


def _chain(
    leaf: x509.Certificate, intermediates: list[x509.Certificate], authority: Authority, moment: datetime
) -> list[x509.Certificate]:
    """The way from the leaf to a root of this authority; empty if there is none."""
    store = Store([x509.load_der_x509_certificate(root) for root in authority.roots])
    # The leaf's own extensions are this file's named checks; one that is critical and not understood fails here.
    verifier = (
        PolicyBuilder()
        .store(store)
        .time(moment)
        .max_chain_depth(CHAIN)
        .extension_policies(ca_policy=_AUTHORITIES, ee_policy=ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        return verifier.verify(leaf, intermediates).chain
    except (VerificationError, *_MALFORMED):
        return []


def _may_sign(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the key is not for certificates")


def _for_clients(_policy: Policy, _certificate: x509.Certificate, purposes: x509.ExtendedKeyUsage | None) -> None:
    if purposes is not None and not {*purposes} & {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }:
        raise ValueError("not for certificates of clients")


# What an authority's own certificate must say; roots of many a site state no key usage. That its basic constraints are
# an authority's, the verifier itself demands (RFC 5280 section 4.2.1.9).
_AUTHORITIES: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _for_clients)
)


def _is_leaf(leaf: _Leaf) -> bool:
    if leaf.constraints is not None and leaf.constraints.ca:
        return False
    usage = leaf.usage
    return usage is None or (usage.digital_signature and not usage.key_cert_sign and not usage.crl_sign)


def _name(leaf: _Leaf, authority: Authority) -> str | None:
    """The one name of the authority's kind; names of other kinds say nothing here."""
    found = leaf.names[authority.names]
    return found[0] if len(found) == 1 and _IS_NAME[authority.names](found[0]) else None


def _is_spiffe(name: str) -> bool:
    found = _SPIFFE.fullmatch(name)
    return found is not None and len(name) <= _SPIFFE_CHARACTERS and not {".", ".."} & {*found[2].split("/")}


def _is_host(name: str) -> bool:
    return _DNS.fullmatch(name) is not None


def _is_common_name(name: str) -> bool:
    # `|` parts issuer and subject where policies name an identity.
    is_bounded = 0 < len(name) <= _COMMON_NAME_CHARACTERS and name == name.strip()
    return is_bounded and name.isprintable() and "|" not in name


_IS_NAME: Final = {NameKind.SPIFFE: _is_spiffe, NameKind.DNS: _is_host, NameKind.CN: _is_common_name}


def _domain(subject: str, authority: Authority) -> str:
    return subject.split("/")[2] if authority.names is NameKind.SPIFFE else ""


def _user_names(own: Subject, authority: Authority) -> tuple[str, ...]:
    """User names that a client may claim. They name nobody: the identity is issuer and subject."""
    if authority.names is not NameKind.SPIFFE:
        return (own.subject,)
    return (own.subject, own.subject.rpartition("/")[2])

# SPDX-License-Identifier: Apache-2.0
"""A certificate authority as the operator trusts it: its roots, and the one kind of name that it may vouch for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatebook.model.principal import PrincipalKind

ROOTS: Final = 32  # LIMIT: roots of one authority; a rotation needs two, a federation of bundles a few


class NameKind(StrEnum):
    """Which name of a certificate is the subject."""

    SPIFFE = "spiffe"
    DNS = "dns"
    CN = "cn"


class RootsFault(ValueError):
    """A file of roots is not one; the words say why."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Whose certificates are taken, and for whom they speak.

    `roots` are DER; `trust_domain` is set for SPIFFE alone; `groups` are given to everybody of this authority;
    `lifetime_s` bounds a certificate from its first to its last second.
    """

    name: str
    kind: PrincipalKind
    names: NameKind
    roots: tuple[bytes, ...]
    lifetime_s: int
    trust_domain: str = ""
    groups: tuple[str, ...] = ()

    @property
    def issuer(self) -> str:
        """The issuer of its identities. No two authorities have one in common, nor with an issuer of tokens."""
        return f"spiffe://{self.trust_domain}" if self.names is NameKind.SPIFFE else f"x509:{self.name}"

    def still_vouches_as(self, before: Authority) -> bool:
        """Whether whoever it let in before would be let in as the same now: nothing but roots was added."""
        return replace(self, roots=()) == replace(before, roots=()) and set(before.roots) <= set(self.roots)


def parse_roots(pem: bytes) -> tuple[bytes, ...]:
    """Return the roots of a PEM file, each as DER, in its order.

    RootsFault if it holds none, too many, one twice, or a certificate that is no authority's: to trust an agent's own
    certificate as a root would let its key vouch for others.
    """
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        constraints = [_constraints(certificate) for certificate in certificates]
    except (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType) as fault:
        raise RootsFault("is no PEM of certificates") from fault
    if not all(found is not None and found.ca for found in constraints):
        raise RootsFault("holds a certificate that is no authority's (basic constraints)")
    roots = tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates)
    if len(roots) > ROOTS or len(set(roots)) < len(roots):
        raise RootsFault(f"holds more than {ROOTS} certificates, or one of them twice")
    return roots


def _constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    values = (extension.value for extension in certificate.extensions)
    return next((value for value in values if isinstance(value, x509.BasicConstraints)), None)

# SPDX-License-Identifier: Apache-2.0
"""Certificate authorities and the certificates of clients, good and bad, made as a test needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)


def name_of(*common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in common])


def usage(*bits: str) -> x509.KeyUsage:
    """Key usage with these bits."""
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: name in bits for name in (*names, *more)})


def spiffe(*ids: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(one) for one in ids]


def hosts(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(one) for one in names]


@dataclass(frozen=True)
class Made:
    """A certificate with its key, and those above it without the root."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def shown(self) -> tuple[bytes, ...]:
        """What a client shows."""
        return (self.der, *(one.public_bytes(serialization.Encoding.DER) for one in self.above))

    @property
    def pem(self) -> bytes:
        chain = (self.certificate, *self.above)
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)

    def write(self, folder: Path, name: str) -> dict[str, str]:
        """Write certificate and key as libpq wants them, and return its words for them."""
        chain, key = folder / f"{name}.crt", folder / f"{name}.key"
        chain.write_bytes(self.pem)
        key.touch(mode=0o600)
        no_password = serialization.NoEncryption()
        key.write_bytes(
            self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
        )
        return {"sslcert": str(chain), "sslkey": str(key)}


@dataclass(frozen=True)
class Maker(Made):
    """An authority: a root, or one below it."""

    is_root: bool = True

    @classmethod
    def root(
        cls, name: str = "root", *, now: datetime | None = None, constraints: x509.BasicConstraints | None = None
    ) -> Maker:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(name_of(name), name_of(name), key, *_span(now, timedelta(days=3650)))
        constraints = constraints or x509.BasicConstraints(ca=True, path_length=None)
        return cls(builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256()), key)

    def below(
        self, name: str = "intermediate", *, now: datetime | None = None, days: int = 30, **more: object
    ) -> Maker:
        """An authority below this one; `more` are extensions by the name of their class."""
        made = self.issue(
            name_of(name), constraints=x509.BasicConstraints(ca=True, path_length=0), purposes=(), now=now, days=days,
            more=tuple(more.values()),
        )  # fmt: skip
        return Maker(made.certificate, made.key, made.above, is_root=False)

    def issue(
        self,
        subject: x509.Name | None = None,
        names: Sequence[x509.GeneralName] = (),
        *,
        purposes: Sequence[x509.ObjectIdentifier] = CLIENT,
        constraints: x509.BasicConstraints | None = None,
        key_usage: x509.KeyUsage | None = None,
        more: Sequence[object] = (),
        now: datetime | None = None,
        days: float = 1,
        early: timedelta = timedelta(minutes=5),
    ) -> Made:
        """Sign a certificate; it began `early` before `now` and lives so many days from there."""
        key = ec.generate_private_key(ec.SECP256R1())
        begins = (now or datetime.now(UTC)) - early
        builder = _builder(
            self.certificate.subject,
            name_of("agent") if subject is None else subject,
            key,
            begins,
            begins + timedelta(days),
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        for extension in (constraints, key_usage, *more):
            if isinstance(extension, x509.ExtensionType):
                builder = builder.add_extension(extension, critical=True)
        above = () if self.is_root else (self.certificate, *self.above)
        return Made(builder.sign(self.key, hashes.SHA256()), key, above)


def _span(now: datetime | None, length: timedelta) -> tuple[datetime, datetime]:
    begins = (now or datetime.now(UTC)) - timedelta(days=365)
    return begins, begins + length


def _builder(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )

# SPDX-License-Identifier: Apache-2.0
"""A gate's own certificate authority and server certificate, for who has none."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatebook.model.errors import OperatorFault, quoted

ROOT_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=397)  # LIMIT: what clients of other worlds accept at most
BACKDATED = timedelta(minutes=5)  # clocks of clients may be behind
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM of root and server certificate and of their keys."""

    root: bytes
    root_key: bytes
    server: bytes
    server_key: bytes


def make_certificates(gate: str, hosts: Sequence[str], now: datetime) -> Certificates:
    """Make a root and a server certificate for local names and `hosts`, which are names or addresses.

    OperatorFault if a host is neither. The root signs server certificates only, and no further authority.
    """
    root_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name(f"Gatebook root of {gate}")
    root = (
        _builder(root_name, root_name, root_key.public_key(), now, ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(root_key, SHA256())
    )
    names = [_general_name(host) for host in dict.fromkeys([*LOCAL_NAMES, *hosts])]
    server = (
        _builder(_name(f"Gatebook {gate}"), root_name, server_key.public_key(), now, SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, SHA256())
    )
    return Certificates(
        root.public_bytes(Encoding.PEM), _pem(root_key), server.public_bytes(Encoding.PEM), _pem(server_key)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.removeprefix("*.").split(".")
    if not all(label.isascii() and label.replace("-", "").isalnum() and len(label) <= 63 for label in labels):
        raise OperatorFault(f"{quoted(host)} is neither a host name nor an address")
    return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

# SPDX-License-Identifier: Apache-2.0
"""Certificates that a gate makes for itself: stock TLS takes them, for their names only."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gatebook.cli.certificates import make_certificates
from gatebook.model.errors import OperatorFault

NOW = datetime.now(UTC)
MADE = make_certificates("gate", ["gate.example.org", "*.apps.example.org"], NOW)


def handshake(tmp_path: Path, name: str) -> str:
    """Return the version of TLS that a client with our root speaks with our server."""
    for file, content in {"root": MADE.root, "server": MADE.server, "key": MADE.server_key}.items():
        (tmp_path / file).write_bytes(content)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "server", tmp_path / "key")
    asking = ssl.create_default_context(cafile=str(tmp_path / "root"))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            serving.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with asking.wrap_socket(ours, server_hostname=name) as connection:
            return connection.version() or ""
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "gate.example.org", "a.apps.example.org"])
def test_stock_tls_takes_it_for_its_names(tmp_path: Path, name: str) -> None:
    assert handshake(tmp_path, name) == "TLSv1.3"


def test_stock_tls_refuses_it_for_another_name(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(tmp_path, "evil.example.org")


def test_server_certificate_is_no_authority() -> None:
    certificate = x509.load_pem_x509_certificate(MADE.server)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_after_utc - NOW < timedelta(days=398)
    root = x509.load_pem_x509_certificate(MADE.root)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


@pytest.mark.parametrize("host", ["", "a b", "a..b", "é.org", "x" * 64, "a/b"])
def test_refuses_what_is_no_host(host: str) -> None:
    with pytest.raises(OperatorFault, match="is neither a host name nor an address"):
        make_certificates("gate", [host], NOW)

# SPDX-License-Identifier: Apache-2.0
"""A real time-stamp authority for tests: `openssl ts -reply` behind HTTP, which can be made to misbehave."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

POLICY = "1.2.3.4.1"
CONFIG = """\
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_digest = sha256
default_policy = {policy}
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = yes
ess_cert_id_alg = sha256
"""
YEAR = timedelta(days=365)


def need_openssl() -> str:
    """Path of openssl. Skips where there is none."""
    found = shutil.which("openssl")
    if found is None:
        pytest.skip("the time-stamp authority is `openssl ts`, and there is no `openssl` on the path")
    return found


@dataclass
class Authority:
    """A time-stamp authority in a folder of its own: root, intermediate and signer."""

    folder: Path
    usage: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,)
    valid: tuple[timedelta, timedelta] = (-YEAR, YEAR)
    is_chain_sent: bool = True
    change: Callable[[bytes], bytes] = lambda answer: answer
    asked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        now = datetime.now(UTC)
        root_key, between_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root = _certificate("Root", root_key, "Root", root_key, span=(now - 2 * YEAR, now + 2 * YEAR), usage=None)
        between = _certificate(
            "Between", between_key, "Root", root_key, span=(now - 2 * YEAR, now + 2 * YEAR), usage=None
        )
        span = (now + self.valid[0], now + self.valid[1])
        signer = _certificate("Stamps", key, "Between", between_key, span=span, usage=self.usage)
        pem = {"roots.pem": root, "chain.pem": between, "signer.pem": signer}
        for name, one in pem.items():
            (self.folder / name).write_bytes(one.public_bytes(Encoding.PEM))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "signer.key").write_bytes(secret)
        (self.folder / "serial").write_text("01\n")
        (self.folder / "tsa.cnf").write_text(CONFIG.format(folder=self.folder, policy=POLICY))

    @property
    def roots(self) -> Path:
        return self.folder / "roots.pem"

    def reply(self, query: bytes) -> bytes:
        """What openssl answers."""
        (self.folder / "query.tsq").write_bytes(query)
        words = ["ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-signer", "signer.pem"]
        words += ["-inkey", "signer.key", "-out", "reply.tsr", *(["-chain", "chain.pem"] if self.is_chain_sent else [])]
        done = subprocess.run(
            [need_openssl(), *words], cwd=self.folder, capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, done.stderr
        return (self.folder / "reply.tsr").read_bytes()

    def ask(self, query: bytes) -> bytes:
        """As a notary reaches it."""
        self.asked.append(query)
        return self.change(self.reply(query))


def stock_verify(stamped: Path, response: Path, roots: Path) -> str:
    """What `openssl ts -verify` says: `OK`, or its error."""
    words = ["ts", "-verify", "-data", str(stamped), "-in", str(response), "-CAfile", str(roots)]
    done = subprocess.run([need_openssl(), *words], capture_output=True, text=True, check=False, timeout=30)
    return "OK" if done.returncode == 0 and "Verification: OK" in done.stdout + done.stderr else done.stderr


@contextmanager
def served(answer: Callable[[bytes], bytes], status: int = 200) -> Iterator[str]:
    """Serve an authority over HTTP on a free port; its URL."""
    one = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["content-length"]))
            with one:
                content = answer(query)
            self.send_response(status)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked may have had enough
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/tsr"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    span: tuple[datetime, datetime],
    usage: tuple[x509.ObjectIdentifier, ...] | None,
) -> x509.Certificate:
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
    )
    if usage:
        made = made.add_extension(x509.ExtendedKeyUsage(usage), critical=True)
    return made.sign(issuer_key, SHA256())

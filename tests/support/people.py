# SPDX-License-Identifier: Apache-2.0
"""People with SSH keys: real ones of `ssh-keygen`, and security keys made in software from PROTOCOL.u2f."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAMESPACE = "gatebook-consent"


@dataclass(frozen=True, slots=True)
class SshKey:
    """A key of `ssh-keygen`; `file` is the private part."""

    file: Path

    @property
    def public(self) -> Path:
        return self.file.with_name(self.file.name + ".pub")

    def sign(self, message: Path, namespace: str = NAMESPACE) -> Path:
        """Sign a file as a person would; the file with the signature, named by the key."""
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.file)]
        with message.open("rb") as opened:
            done = subprocess.run(command, stdin=opened, capture_output=True, check=True)
        signature = message.with_name(f"{message.name}.{self.file.name}.sig")
        signature.write_bytes(done.stdout)
        return signature


def make_key(folder: Path, name: str, kind: str = "ed25519") -> SshKey:
    folder.mkdir(exist_ok=True)
    words = ["-t", kind, *(["-b", "256"] if kind == "ecdsa" else [])]
    file = folder / name
    subprocess.run(["ssh-keygen", "-q", *words, "-N", "", "-C", f"{name} @ home", "-f", str(file)], check=True)
    return SshKey(file)


def string(data: bytes) -> bytes:
    """RFC 4251, 5."""
    return len(data).to_bytes(4, "big") + data


def security_key(message: bytes, *, flags: int = 1, application: bytes = b"ssh:") -> tuple[str, bytes]:
    """A public key of the kind sk-ssh-ed25519, and its signature over a message, without armor."""
    private = Ed25519PrivateKey.generate()
    point = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    kind = b"sk-ssh-ed25519@openssh.com"
    blob = string(kind) + string(point) + string(application)
    parts = string(NAMESPACE.encode()) + string(b"") + string(b"sha512")
    signed = b"SSHSIG" + parts + string(hashlib.sha512(message).digest())
    tail = bytes([flags]) + (7).to_bytes(4, "big")
    value = private.sign(hashlib.sha256(application).digest() + tail + hashlib.sha256(signed).digest())
    signature = b"SSHSIG" + (1).to_bytes(4, "big") + string(blob) + parts + string(string(kind) + string(value) + tail)
    return f"{kind.decode()} {base64.b64encode(blob).decode()} somebody", signature

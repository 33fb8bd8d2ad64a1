# SPDX-License-Identifier: Apache-2.0
"""A real OpenBao server with a transit engine, on loopback inside TLS, and a token that may do what a gate must."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from gatebook.model.secret import Secret
from gatebook.vault.transit import TransitKey, TransitPlace
from support.judges import openbao

ROOT = "root-token-of-a-test"
POLICY = "".join(
    f'path "transit/{operation}/recordings*" {{ capabilities = ["update"] }}\n' for operation in ("encrypt", "decrypt")
)


@dataclass(slots=True)
class OpenBao:
    """A server: its address, its root certificate, and the gate's token."""

    url: str
    roots: Path
    process: subprocess.Popen[bytes]
    token: str = ""

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None, token: str = ROOT) -> Any:  # noqa: ANN401  JSON
        context = ssl.create_default_context(cafile=self.roots)
        with httpx2.Client(verify=context, trust_env=False, timeout=10) as client:
            answer = client.request(method, f"{self.url}/v1/{path}", json=body, headers={"x-vault-token": token})
            assert answer.status_code < 300, answer.text
            return answer.json() if answer.content else {}

    def key(self, key: str = "recordings", name: str = "main", token: str | None = None) -> TransitKey:
        secret = Secret(self.token if token is None else token)
        return TransitKey(TransitPlace(name, self.url, "transit", key, "", self.roots, lambda: secret))

    def toml(self, token: str = "env:GATEBOOK_TEST_VAULT_TOKEN") -> str:
        """The vault as it stands in a configuration."""
        members = {"name": "main", "url": self.url, "key": "recordings", "token": token, "tls_roots": str(self.roots)}
        return "\n[[evidence.vault]]\n" + "".join(f'{name} = "{value}"\n' for name, value in members.items())


@contextmanager
def running_openbao(folder: Path) -> Iterator[OpenBao]:
    """Run a server in memory, with the keys `recordings` and `recordings-derived`."""
    program = openbao()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{port}", "-dev-no-store-token"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={folder}", *words],
            stdout=log,
            stderr=log,
            env=os.environ | {"HOME": str(folder)},
        )
    server = OpenBao(f"https://127.0.0.1:{port}", folder / "vault-ca.pem", process)
    try:
        _wait(server, folder / "log")
        server.ask("POST", "sys/mounts/transit", {"type": "transit"})
        server.ask("POST", "transit/keys/recordings", {})
        server.ask("POST", "transit/keys/recordings-derived", {"derived": True})
        server.ask("PUT", "sys/policies/acl/gate", {"policy": POLICY})
        made = server.ask("POST", "auth/token/create", {"policies": ["gate"], "no_default_policy": True})
        server.token = made["auth"]["client_token"]
        yield server
    finally:
        process.kill()
        process.wait()


def _wait(server: OpenBao, log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert server.process.poll() is None, log.read_text()
        try:
            server.ask("GET", "sys/health")
        except (OSError, httpx2.HTTPError, AssertionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())

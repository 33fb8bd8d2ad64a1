# SPDX-License-Identifier: Apache-2.0
"""An issuer of tokens on loopback: shows a discovery document and keys, over TLS or without, and may be changed."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support.tokens import SigningKey, jwks


@dataclass
class LocalIssuer:
    """What the issuer shows: change it while it runs."""

    url: str
    documents: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def show(self, *keys: SigningKey) -> None:
        self.documents["/keys"] = jwks(*keys)

    def toml(self, **more: object) -> str:
        """The issuer as it stands in a configuration."""
        usual: dict[str, object] = {"name": "local", "url": self.url, "kind": "agent", "audience": ["gatebook"]}
        usual |= {"insecure_loopback": True, **more}
        return "\n[[issuer]]\n" + "".join(f"{name} = {_toml(value)}\n" for name, value in usual.items())


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items()) + " }"
    return json.dumps(value)


@contextmanager
def local_issuer(
    keys: Sequence[SigningKey], certificate: tuple[Path, Path] | None = None, host: str = "127.0.0.1"
) -> Iterator[LocalIssuer]:
    """Run an issuer that shows these keys; `certificate` is chain and key for TLS."""
    issuer = LocalIssuer("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            if self.path in issuer.redirects:
                self.send_response(302)
                self.send_header("location", issuer.redirects[self.path])
                self.end_headers()
                return
            content = issuer.documents.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    issuer.url = f"{scheme}://{'localhost' if host == '127.0.0.1' else host}:{server.server_address[1]}"
    discovery = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
    issuer.documents["/.well-known/openid-configuration"] = json.dumps(discovery).encode()
    issuer.show(*keys)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

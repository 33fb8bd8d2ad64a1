# SPDX-License-Identifier: Apache-2.0
"""Recording keys wrapped by HashiCorp Vault or OpenBao: the transit engine encrypts them, and its key never leaves it.

SPEC: Vault's HTTP API, "Transit secrets engine": `POST /v1/MOUNT/encrypt/KEY` and `.../decrypt/KEY`. The session id
goes along as `associated_data` and as `context`, so that what was wrapped for one session opens for no other, and a
key with `derived` works. Requests are bounded in size and time. Redirects are not followed: they would get the token.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.secret import Secret
from gatebook.vault.keys import KeyFault, KeyFile, checked_key, made_under_another, parse_key_file

ASK_S = 4.0  # LIMIT: for one answer as a whole; a login waits for one
STEP_S = 2.0  # LIMIT: for the connection, and between two pieces of the answer
REST_S = 2.0  # after no answer came, none is asked for: whoever opens many recordings is not to wait for each
MAX_ANSWER_BYTES = 16 << 10
MAX_CIPHERTEXT = 2048

_CIPHERTEXT = re.compile(r"vault:v[0-9]{1,9}:[A-Za-z0-9+/=]{1,2000}", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,4096}", re.ASCII)  # checked here: the client would repeat what it cannot send
_UNREADABLE = "the answer has not its form"


class KeyStoreFault(EvidenceFault):
    """A key store does not answer, or refuses. The message is one line that an operator understands."""

    code = "key_store"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("key_store", message, hint)


@dataclass(frozen=True, slots=True)
class TransitPlace:
    """A key of a transit engine: its name in key files, where it is, and who gives the token anew at each request."""

    name: str
    url: str
    mount: str
    key: str
    namespace: str
    tls_roots: Path | None
    token: Callable[[], Secret]


@dataclass(slots=True, weakref_slot=True, eq=False)
class TransitKey:
    """A `KeyStore` at a Vault or OpenBao server. One connection pool for all threads, closed when nobody holds it."""

    place: TransitPlace
    is_remote = True
    _client: httpx2.Client | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _silent_until: float = 0.0

    @property
    def id(self) -> str:
        """See `KeyStore`. It names the configured vault, not its address: a vault may move."""
        return f"vault:{self.place.name}"

    def wrap(self, session: str, recording_key: Secret) -> bytes:
        """See `KeyStore`."""
        answer = self._ask("encrypt", session, {"plaintext": base64.b64encode(recording_key.reveal()).decode()})
        ciphertext = answer.get("ciphertext")
        if not isinstance(ciphertext, str) or not _CIPHERTEXT.fullmatch(ciphertext):
            raise self._fault(_UNREADABLE)
        return KeyFile(session, self.id, ciphertext.encode()).encode()

    def unwrap(self, session: str, head: bytes) -> Secret:
        """See `KeyStore`."""
        file = parse_key_file(session, head)
        if file.kek != self.id:
            raise made_under_another()
        ciphertext = file.wrapped.decode("ascii", "replace")
        if not _CIPHERTEXT.fullmatch(ciphertext):
            raise KeyFault("a key file has not its form")
        answer = self._ask("decrypt", session, {"ciphertext": ciphertext})
        try:
            key = base64.b64decode(str(answer.get("plaintext")), validate=True)
        except (binascii.Error, ValueError) as fault:
            raise self._fault(_UNREADABLE) from fault
        return checked_key(key)

    def _ask(self, operation: str, session: str, members: dict[str, str]) -> dict[str, object]:
        bound = base64.b64encode(session.encode()).decode()
        url = f"{self.place.url.rstrip('/')}/v1/{self.place.mount}/{operation}/{self.place.key}"
        try:
            token = self.place.token().reveal().decode("ascii", "replace")
        except OperatorFault as fault:
            raise self._fault(f"its token cannot be had: {fault.message}", fault.hint) from fault
        if not _TOKEN.fullmatch(token):
            raise self._fault("its token is none", "it is printable characters without space")
        headers = {
            "x-vault-token": token,
            "x-vault-request": "true",
            "accept-encoding": "identity",
        }
        if self.place.namespace:
            headers["x-vault-namespace"] = self.place.namespace
        body = json.dumps({**members, "associated_data": bound, "context": bound}).encode()
        if time.monotonic() < self._silent_until:
            raise self._fault("did not answer a moment ago, and is not asked again yet")
        try:
            status, content = self._send(url, headers, body)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as fault:
            self._silent_until = time.monotonic() + REST_S
            raise self._fault(f"cannot be reached: {_line(fault)}") from fault
        if status != httpx2.codes.OK:
            raise self._refusal(operation, status)
        try:
            data = json.loads(content)["data"]
        except (ValueError, KeyError, TypeError, RecursionError) as fault:
            raise self._fault(_UNREADABLE) from fault
        if not isinstance(data, dict):
            raise self._fault(_UNREADABLE)
        return data

    def _send(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        until = time.monotonic() + ASK_S
        with self._opened().stream("POST", url, content=body, headers=headers) as answer:
            content = bytearray()
            for piece in answer.iter_raw():
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise httpx2.HTTPError(f"sends more than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > until:
                    raise httpx2.HTTPError(f"takes longer than {ASK_S:.0f} s")
            return answer.status_code, bytes(content)

    def _opened(self) -> httpx2.Client:
        with self._lock:
            if self._client is None:
                try:
                    context = ssl.create_default_context(cafile=self.place.tls_roots)
                except (OSError, ssl.SSLError) as fault:
                    words = (fault.strerror or "they are no certificates").lower()
                    raise self._fault(f"its roots cannot be read: {words}", "see `tls_roots`") from fault
                # No proxy or credential from the environment: where keys are is in the configuration only.
                self._client = httpx2.Client(verify=context, follow_redirects=False, trust_env=False, timeout=STEP_S)
                weakref.finalize(self, self._client.close)
            return self._client

    def _refusal(self, operation: str, status: int) -> OperatorFault:
        if operation == "decrypt" and status == httpx2.codes.BAD_REQUEST:
            # So it answers for a ciphertext that was changed, or was made for another session or key version.
            return KeyFault("a key file does not authenticate")
        hints = {
            403: f"the token needs `update` on `{self.place.mount}/{operation}/{self.place.key}`",
            404: "see `mount` and `key` of the `[[evidence.vault]]`",
            307: "give the URL of the active node as `url`",
            503: "it is sealed",
        }
        return self._fault(f"answers with status {status}", hints.get(status, ""))

    def _fault(self, words: str, hint: str = "") -> KeyStoreFault:
        return KeyStoreFault(f"vault {quoted(self.place.name)}: {words}", hint)


def _line(fault: BaseException) -> str:
    return " ".join((str(fault) or type(fault).__name__).split())[:200]

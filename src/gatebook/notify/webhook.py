# SPDX-License-Identifier: Apache-2.0
"""Signed webhooks in the form of Standard Webhooks: the body and the headers.

SPEC: docs/spec/webhook.md, "Body" and "Headers". A secret of another form raises SecretFault, which never holds it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final, cast

from gatebook.evidence.entry import Leaf, Value, encode_canonical, format_time
from gatebook.model.approval import Kind
from gatebook.model.errors import OperatorFault
from gatebook.model.secret import Secret
from gatebook.notify.events import Notice
from gatebook.views.approvals import object_of, shown_of

MAX_BODY_BYTES: Final = 256 << 10  # LIMIT: a statement has 64 KiB at most; escaped it may be six times as long
MAX_OBJECTS: Final = 100
PREFIX: Final = b"whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64  # of a secret, as Standard Webhooks says


class SecretFault(OperatorFault):
    """A signing secret has not its form."""

    code = "config"


def parse_secret(secret: Secret) -> Secret:
    """Return the key of `whsec_...`. SecretFault."""
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        words = f"a webhook secret is not `whsec_` and base64 of {LEAST_BYTES} to {MOST_BYTES} bytes"
        raise SecretFault(words, 'make one: echo "whsec_$(openssl rand -base64 32)"')
    return Secret(key)


def sign(keys: Sequence[Secret], message: str, timestamp: int, body: bytes) -> str:
    """Return the signatures of a message at a time (seconds since 1970), one for each key."""
    signed = b".".join((message.encode(), str(timestamp).encode(), body))
    made = (hmac.new(key.reveal(), signed, hashlib.sha256).digest() for key in keys)
    return " ".join("v1," + base64.b64encode(one).decode() for one in made)


def headers_of(keys: Sequence[Secret], message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of one attempt."""
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(keys, message, timestamp, body),
    }


def body_of(notice: Notice, *, include_text: bool = False) -> bytes:
    """Return the body of a notice."""
    body = _encode(notice, include_text=include_text, cut=False)
    return body if len(body) <= MAX_BODY_BYTES else _encode(notice, include_text=False, cut=True)


def _encode(notice: Notice, *, include_text: bool, cut: bool) -> bytes:
    data: Leaf = {"gate": notice.gate}
    if notice.link:
        data["link"] = notice.link
    request = notice.request
    if request is not None:
        shown = shown_of(request)
        accesses = cast("list[list[Value]]", shown.get("accesses", []))
        objects: list[Value] = [access[:2] for access in accesses]
        data |= {
            "request": object_of(request),
            "verbs": shown.get("verbs", []),
            "objects": objects[:MAX_OBJECTS],
        }
        if request.kind is not Kind.OPERATION:
            data["minutes"] = request.minutes
        elif include_text:
            data |= _text(shown)
        if cut or len(objects) > MAX_OBJECTS:
            data["cut"] = True
    if notice.number:
        data["number"] = notice.number
    return encode_canonical({"type": notice.event.value, "timestamp": format_time(notice.at), "data": data})


def _text(shown: Mapping[str, Value]) -> Leaf:
    return {"text": shown.get("text", ""), "params": shown.get("params", [])}

# SPDX-License-Identifier: Apache-2.0
"""What a client is told whose token is not good, or who has none: where one can be had (RFC 7628 section 3.2.2)."""

from __future__ import annotations

import json

from gatebook.config import Settings
from gatebook.issuers.fetch import WELL_KNOWN


def bearer_words(settings: Settings) -> bytes | None:
    """Return the JSON object of a refusal, as libpq 18 reads it; None where clients log in by password.

    It is the same for every failure: which check failed is for evidence only.
    """
    issuer = settings.oauth_issuer
    if issuer is None:
        return None
    words = {
        "status": "invalid_token",
        "scope": settings.gate.oauth_scope,
        "openid-configuration": issuer.url.removesuffix("/") + WELL_KNOWN,
    }
    return json.dumps(words).encode()

# SPDX-License-Identifier: Apache-2.0
"""What must hold of the certificate authorities together, and of the listener that asks for their certificates."""

from __future__ import annotations

import re

from gatebook.config.settings import Settings
from gatebook.config.values import Place

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")  # SPIFFE ID 1.0, section 2.1


def check_authorities(settings: Settings, place: Place) -> None:
    """Raise ConfigFault for authorities that could speak for each other, or that no client would be asked about."""
    gate = settings.gate
    demand = place.below("gate").below("client_certificates")
    if gate.client_certificates == "required":
        if not settings.authorities:
            raise demand.fault("needs a `[[certificate_authority]]`", "nobody could log in")
        if gate.insecure_plaintext:
            raise demand.fault("is `required`, but `insecure_plaintext` lets clients in without TLS", "do without it")
    seen: set[str] = set()
    for index, authority in enumerate(settings.authorities):
        here = place.below("certificate_authority").below(index)
        domain = here.below("trust_domain")
        if gate.tls_certificate is None:
            raise here.fault("needs a gate with `tls_certificate`", "certificates are shown in the TLS handshake")
        if authority.subject != "spiffe":
            if authority.trust_domain:
                raise domain.fault('is for `subject = "spiffe"`')
            continue
        if _TRUST_DOMAIN.fullmatch(authority.trust_domain) is None:
            raise domain.fault("must be 1 to 255 of `a-z`, `0-9`, `.`, `-`, `_`", "such as `prod.example.com`")
        if authority.trust_domain in seen:
            raise domain.fault("is that of another authority", "one of them could speak for agents of the other")
        seen.add(authority.trust_domain)

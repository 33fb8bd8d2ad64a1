# SPDX-License-Identifier: Apache-2.0
"""What must hold of the issuers of tokens together, and of their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from gatebook.config.identities import IssuerSettings
from gatebook.config.values import Place
from gatebook.model.target import Address


def check_issuers(issuers: Sequence[IssuerSettings], place: Place) -> None:
    """Raise ConfigFault for an address that cannot be trusted, or an issuer that is there twice."""
    seen: set[str] = set()
    for index, issuer in enumerate(issuers):
        here = place.below(index)
        check_url(issuer.url, here.below("url"), insecure_loopback=issuer.insecure_loopback)
        if issuer.keys_url:
            check_url(issuer.keys_url, here.below("keys_url"), insecure_loopback=issuer.insecure_loopback)
        if issuer.url in seen:
            raise here.below("url").fault("is that of another issuer", "an issuer stands in one table")
        seen.add(issuer.url)
        if not issuer.audience:
            raise here.below("audience").fault("must name this gate", "a token for somebody else must not open it")
        for name in ("algorithms", "types"):
            if not getattr(issuer, name):
                raise here.below(name).fault("must not be empty")


def check_url(url: str, place: Place, *, insecure_loopback: bool) -> None:
    """Raise ConfigFault unless a URL is one that keys may come from."""
    if not is_trustworthy(url, insecure_loopback=insecure_loopback):
        raise place.fault(
            "must be `https://host/path` without user, query, fragment or `|`",
            "`insecure_loopback` lets it be `http://` on this machine, for tests",
        )


def is_trustworthy(url: str, *, insecure_loopback: bool) -> bool:
    """Whether keys may be fetched from a URL: over TLS, or on loopback where that is allowed by its dangerous name."""
    if not url.isascii() or not url.isprintable() or set(url) & set(' |?#"<>\\'):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and insecure_loopback and Address(host, 0).is_local)

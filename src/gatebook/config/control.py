# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF009  # `setting` is `dataclasses.field`
"""Settings of the console, and what must hold of them: where it is, who signs in, and who may do what there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gatebook.config import values
from gatebook.config.declaring import NAME, setting
from gatebook.config.issuers import check_url
from gatebook.config.secrets import SecretRef
from gatebook.config.values import Place
from gatebook.model.target import Address

DEFAULT_PORT = 5480
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSettings:
    """An OpenID provider with which people sign in to the console (authorization code with PKCE).

    Register `URL/sign-in/NAME/back` there as redirect address, with the `url` of `[control]` and this `name`. An
    identity is the pair of issuer and subject, never an e-mail address.
    """

    name: str = setting(values.name(NAME), "Name of the provider on the sign-in page and in its addresses.")
    url: str = setting(values.text, "Its `iss`, exactly, and where its discovery document is found: `https://...`.")
    client_id: str = setting(values.text, "The console's client id there.")
    client_secret: SecretRef | None = setting(
        values.reference,
        "The console's secret there; absent for a public client, which PKCE alone protects.",
        default=None,
    )
    scopes: tuple[str, ...] = setting(values.texts, "Scopes that are asked for.", default=("openid",))
    algorithms: tuple[str, ...] = setting(
        values.choices(
            *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
        ),
        "Signatures that are taken.",
        default=("RS256", "PS256", "ES256", "EdDSA"),
    )
    groups_claim: tuple[str, ...] = setting(
        values.texts, 'Path to the claim of the ID token that lists groups, such as `["groups"]`.', default=()
    )
    groups_prefix: str = setting(
        values.text, "Put before each group of a token, so that no two issuers mean one group.", default=""
    )
    groups: tuple[str, ...] = setting(values.texts, "Groups of everybody who signs in here.", default=())
    require: tuple[tuple[str, str], ...] = setting(
        values.labels, "Claims, with the string that each must be or hold.", default=()
    )
    tls_roots: Path | None = setting(
        values.path, "Root certificates for its certificate, PEM; the system's if absent.", default=None
    )
    insecure_loopback: bool = setting(
        values.boolean, "Let `url` be `http://` on loopback. For tests only.", default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """The console: `gatebook control` serves pages for people and an API, in a process and on a port of its own.

    How it is set up: [console](../how-to/console.md).
    """

    host: str = setting(values.text, "Address to listen on.", default="127.0.0.1")
    port: int = setting(values.integer(0, 65_535), "Port to listen on; 0 takes a free one.", default=DEFAULT_PORT)
    url: str = setting(
        values.text,
        "Address at which people reach it, without a path: of links and cookies; passkeys are made for its host. "
        "`https://`, or `http://localhost`; absent: `http://localhost:PORT`.",
        default="",
    )
    tls_certificate: Path | None = setting(
        values.path, "Certificate chain shown to browsers, PEM. Needed where `url` is `https://`.", default=None
    )
    tls_key: SecretRef | None = setting(values.reference, "Private key of the certificate, PEM.", default=None)
    insecure_behind_proxy: bool = setting(
        values.boolean,
        "Listen without TLS on loopback though `url` is `https://`: a reverse proxy of this machine speaks it. "
        "Addresses of clients are then that of the proxy.",
        default=False,
    )
    issuers: tuple[SignInSettings, ...] = setting(
        values.tables(SignInSettings), "The OpenID providers with which people sign in.", default=()
    )
    auditors: tuple[str, ...] = setting(
        values.texts, "Groups whose people read all of the book, recordings too.", default=()
    )
    admins: tuple[str, ...] = setting(
        values.texts, "Groups whose people also see keys of all; admins of this gate do too.", default=()
    )
    session_s: int = setting(
        values.integer(60, 7 * 86_400), "Seconds after which people sign in again, however busy.", default=12 * 3600
    )
    idle_s: int = setting(
        values.integer(60, 7 * 86_400), "Seconds without a request after which people sign in again.", default=3600
    )
    requests_per_minute: int = setting(
        values.integer(10, 100_000), "Requests of one person or agent in a minute; beyond, 429.", default=600
    )
    address_requests_per_minute: int = setting(
        values.integer(10, 100_000), "Requests of one address in a minute; beyond, 429.", default=1200
    )
    sign_ins_per_minute: int = setting(
        values.integer(1, 10_000),
        "Attempts to sign in, or credentials that fail, of one address in a minute.",
        default=30,
    )

    @property
    def origin(self) -> str:
        """The origin that browsers see: `url`, or that of this machine."""
        return self.url or f"http://localhost:{self.port}"

    @property
    def rp_id(self) -> str:
        """Host name for which passkeys are made."""
        return urlsplit(self.origin).hostname or ""

    @property
    def is_https(self) -> bool:
        """Whether people reach it over TLS."""
        return self.origin.startswith("https://")


def check_control(control: ControlSettings, place: Place) -> None:
    """Raise ConfigFault for an address that browsers would not trust, or an issuer that is there twice."""
    here = place.below("url")
    hint = "write `https://console.example.com`, or `http://localhost:5480`"
    try:
        parts = urlsplit(control.origin)
        port = parts.port
    except ValueError as fault:
        raise here.fault("is no address", hint) from fault
    host = parts.hostname or ""
    written = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    if control.origin != written or _HOST.fullmatch(host) is None or parts.scheme not in {"https", "http"}:
        raise here.fault("must be scheme, host name in lower case and port alone", hint)
    if parts.scheme == "http" and host != "localhost":
        raise here.fault("is `http://`, which is for `localhost` only", hint)
    if port == {"https": 443, "http": 80}[parts.scheme] and control.url:
        raise here.fault("names the port that browsers leave out", "leave it out too")
    if (control.tls_certificate is None) != (control.tls_key is None):
        raise place.fault("needs both `tls_certificate` and `tls_key`, or neither")
    _check_listener(control, place)
    _check_issuers(control.issuers, place.below("issuer"))


def _check_listener(control: ControlSettings, place: Place) -> None:
    is_local = Address(control.host, control.port).is_local
    has_tls = control.tls_certificate is not None
    if control.is_https and not has_tls and not control.insecure_behind_proxy:
        raise place.fault("needs `tls_certificate` and `tls_key`, as `url` is `https://`")
    if control.insecure_behind_proxy and (has_tls or not is_local):
        raise place.below("insecure_behind_proxy").fault("is for listening on loopback without a certificate")
    if not control.is_https and (has_tls or not is_local):
        raise place.below("url").fault("is `http://`, which is for listening on loopback without a certificate")


def _check_issuers(issuers: Sequence[SignInSettings], place: Place) -> None:
    seen: set[str] = set()
    for index, issuer in enumerate(issuers):
        here = place.below(index)
        check_url(issuer.url, here.below("url"), insecure_loopback=issuer.insecure_loopback)
        if issuer.url in seen:
            raise here.below("url").fault("is that of another issuer", "an issuer stands in one table")
        seen.add(issuer.url)
        if "openid" not in issuer.scopes:
            raise here.below("scopes").fault("must hold `openid`", "without it the provider says nobody's identity")
        if any(set(scope) - set(map(chr, range(0x21, 0x7F))) or set(scope) & set('"\\') for scope in issuer.scopes):
            raise here.below("scopes").fault("must be scopes of OAuth", "they are ASCII, without blanks")
        if not issuer.algorithms:
            raise here.below("algorithms").fault("must not be empty")

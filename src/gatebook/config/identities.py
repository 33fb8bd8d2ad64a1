# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF009  # `setting` is `dataclasses.field`
"""Settings of those who vouch for agents and people: issuers of tokens, and certificate authorities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatebook.config import values
from gatebook.config.declaring import NAME, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerSettings:
    """An issuer of JWT access tokens (OpenID Connect, OAuth 2.0), which agents or people show as password.

    An identity is the pair of issuer and subject, never an e-mail address. How tokens are verified:
    [access tokens](../spec/access-token.md).
    """

    name: str = setting(values.name(NAME), "Name of the issuer in messages.")
    url: str = setting(values.text, "Its `iss`, exactly, and where its discovery document is found: `https://...`.")
    kind: str = setting(values.choice("agent", "person"), "What its subjects are.")
    audience: tuple[str, ...] = setting(values.texts, "Names of this gate, of which a token's `aud` must hold one.")
    algorithms: tuple[str, ...] = setting(
        values.choices(
            *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
        ),
        "Signatures that are taken.",
        default=("RS256", "PS256", "ES256", "EdDSA"),
    )
    types: tuple[str, ...] = setting(
        values.texts,
        "Values of the header's `typ` that are taken; `absent` stands for a token without. Providers that send "
        '`["JWT"]` do so for ID tokens too: demand with `require` what only their access tokens have.',
        default=("at+jwt",),
    )
    groups_claim: tuple[str, ...] = setting(
        values.texts, 'Path to the claim that lists groups, such as `["realm_access", "roles"]`.', default=()
    )
    groups_prefix: str = setting(
        values.text, "Put before each group of a token, so that no two issuers mean one group.", default=""
    )
    groups: tuple[str, ...] = setting(values.texts, "Groups of everybody whom this issuer names.", default=())
    user_claims: tuple[str, ...] = setting(
        values.texts,
        "Claims that a client may give as its user name in place of `sub`. The identity stays the subject.",
        default=(),
    )
    require: tuple[tuple[str, str], ...] = setting(
        values.labels, "Claims, with the string that each must be or hold.", default=()
    )
    one_time: bool = setting(
        values.boolean,
        "A token serves one login: its `jti` is remembered. Tokens from before the gate's start are then refused.",
        default=False,
    )
    lifetime_s: int = setting(
        values.integer(1, 31 * 86_400), "Longest life of a token, from `iat` to `exp`.", default=86_400
    )
    keys_url: str = setting(
        values.text, "Where its keys are, `https://...`; the discovery document says so if absent.", default=""
    )
    tls_roots: Path | None = setting(
        values.path, "Root certificates for its certificate, PEM; the system's if absent.", default=None
    )
    refresh_s: int = setting(
        values.integer(10, 86_400),
        "Seconds between readings of its keys. A key that is not known is looked for at once.",
        default=600,
    )
    keep_keys_s: int = setting(
        values.integer(0, 7 * 86_400),
        "Seconds that the last keys serve beyond that while the issuer cannot be reached; then its tokens are refused.",
        default=3600,
    )
    insecure_loopback: bool = setting(
        values.boolean, "Let `url` and `keys_url` be `http://` on loopback. For tests only.", default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuthoritySettings:
    """An authority whose client certificates agents or people log in with, in place of a password.

    How they are verified, and who is who: [client certificates](../spec/client-certificate.md).
    """

    name: str = setting(values.name(NAME), "Name of the authority, and of the issuer of its `dns` and `cn` identities.")
    kind: str = setting(values.choice("agent", "person"), "What its subjects are.")
    roots: Path = setting(values.path, "Its root certificates, PEM. No other authority may have one of them.")
    subject: str = setting(
        values.choice("spiffe", "dns", "cn"),
        "Which name of a certificate is the subject: the one SPIFFE ID, the one DNS name, or the common name.",
    )
    trust_domain: str = setting(
        values.text, "With `spiffe`, the trust domain that it speaks for, without `spiffe://`.", default=""
    )
    groups: tuple[str, ...] = setting(values.texts, "Groups of everybody whom this authority names.", default=())
    lifetime_s: int = setting(
        values.integer(1, 10 * 366 * 86_400), "Longest life of a certificate.", default=366 * 86_400
    )

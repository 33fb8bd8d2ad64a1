# SPDX-License-Identifier: Apache-2.0
"""An issuer of access tokens as the operator trusts it, and what the gate must know of it to verify one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from gatebook.identity.jose import PublicKey
from gatebook.model.principal import PrincipalKind

NO_TYPE: Final = "absent"
"""In `types`: a token without `typ` is taken."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer of tokens, by its exact `iss`.

    `audiences` are our names, of which `aud` must hold one; `types` the values of `typ` that are taken, lower case;
    `user_claims` are claims that may be the user name beside `sub`; `groups_claim` the path of names to the groups
    inside the claims, empty for none; `groups` are given to everybody of this issuer; `required` are claims with the
    value they must have. With `one_time` a token serves once.
    """

    url: str
    kind: PrincipalKind
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    types: tuple[str, ...]
    lifetime_s: int
    one_time: bool = False
    user_claims: tuple[str, ...] = ()
    groups_claim: tuple[str, ...] = ()
    groups_prefix: str = ""
    groups: tuple[str, ...] = ()
    required: tuple[tuple[str, str], ...] = ()


class TokenBook(Protocol):
    """What is known of issuers as of now. None of it blocks: keys were fetched before it is asked."""

    def find_issuer(self, url: str) -> Issuer | None:
        """Return the issuer whose `iss` is exactly this."""

    def find_issuer_key(self, issuer: str, key_id: str) -> PublicKey | None:
        """Return a key of the issuer that may still be used at this moment."""

    def spend(self, issuer: str, token_id: str, issued: datetime, until: datetime) -> bool:
        """Remember that a token was used, until it is dead anyway; False if it was, or may have been, used before."""


class NoIssuers:
    """The book of a gate that takes no tokens."""

    def find_issuer(self, url: str) -> Issuer | None:  # noqa: ARG002  the interface's
        """See `TokenBook`."""
        return None

    def find_issuer_key(self, issuer: str, key_id: str) -> PublicKey | None:  # noqa: ARG002  the interface's
        """See `TokenBook`."""
        return None

    def spend(self, issuer: str, token_id: str, issued: datetime, until: datetime) -> bool:  # noqa: ARG002  the interface's
        """See `TokenBook`."""
        return False

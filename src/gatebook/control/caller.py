# SPDX-License-Identifier: Apache-2.0
"""Who asks: nobody yet, an agent, or a person with what they are to the console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from gatebook.control.access import Who
from gatebook.model.principal import Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody, and how they are known.

    `web` is the secret of their web session, empty for who showed a bearer credential; `csrf` is what their forms must
    bring along.
    """

    principal: Principal | None
    who: frozenset[Who]
    web: str = ""
    csrf: str = ""

    @property
    def name(self) -> str:
        """Issuer and subject, as entries and rates name them; empty for nobody."""
        return str(self.principal.subject) if self.principal is not None else ""

    @property
    def shown(self) -> str:
        """The subject alone, for pages."""
        return self.principal.subject.subject if self.principal is not None else ""

    def is_any(self, *who: str) -> bool:
        """Whether the caller is one of these."""
        return not self.who.isdisjoint(who)

    @property
    def reads_all(self) -> bool:
        """Whether the caller sees what is others'."""
        return self.is_any(Who.AUDITOR, Who.ADMIN)


NOBODY: Final = Caller(None, frozenset({Who.ANYBODY}))


def caller_of(request: Request) -> Caller:
    """Return who asks; the guard of the route has let them in."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


def principal_of(request: Request) -> Principal:
    """Return the identity of who asks, on a route that is not for anybody."""
    principal = caller_of(request).principal
    assert principal is not None
    return principal

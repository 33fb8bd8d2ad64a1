# SPDX-License-Identifier: Apache-2.0
"""Asking for a role for a time over the API: the same as `gatebook request`, from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from starlette.requests import Request

from gatebook.config import Settings
from gatebook.config.targets import role_of
from gatebook.control.api_models import RequestItem, RoleWish
from gatebook.control.caller import caller_of
from gatebook.control.endpoints import Endpoint, described
from gatebook.control.problems import Problem, absent
from gatebook.model.principal import Principal
from gatebook.model.target import Role
from gatebook.session.requesting import Counter, Terms
from gatebook.store.base import Store
from gatebook.vault.ids import new_request_id, new_salt
from gatebook.views.approvals import object_of


class RoleApi:
    """Where roles are asked for. Used from the event loop's thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        writer: str,
        append: Callable[[bytes], object],
        now: Callable[[], datetime],
    ) -> None:
        approval = settings.approval
        terms = Terms(approval.decide_s, approval.pending, approval.per_hour)
        self._settings = settings
        self._counter = Counter(writer, store, append, now, new_request_id, new_salt, terms)

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [described("POST", "/api/v1/roles", self.ask_role)]

    async def ask_role(self, request: Request, wish: RoleWish) -> RequestItem:
        """Ask for a role for a time, or take it at once by breaking glass; connections made then have it."""
        principal = caller_of(request).principal
        if principal is None:
            raise Problem(HTTPStatus.FORBIDDEN, "access", "this is not for you")
        role = self._role(principal, wish.target, wish.role)
        ask = self._counter.break_glass if wish.break_glass else self._counter.ask
        made = ask(principal, wish.target, role, wish.minutes, wish.reason)
        return RequestItem.model_validate({**object_of(made), "can_vote": False, "why_not": "it is your own"})

    def _role(self, principal: Principal, target: str, role: str) -> Role:
        """Problem 404 where there is none, or none for this caller: the two are one answer."""
        for one in self._settings.targets:
            for wanted in one.roles:
                if (one.name, wanted.name) == (target, role) and set(wanted.groups) & set(principal.groups):
                    return role_of(wanted)
        raise absent("role")

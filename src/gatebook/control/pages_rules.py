# SPDX-License-Identifier: Apache-2.0
"""Pages of who and what: targets, people and keys, policies and what they say of a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from gatebook.config import Settings
from gatebook.control.caller import caller_of
from gatebook.control.directory import list_keys, list_people, list_targets, state_of
from gatebook.control.endpoints import Endpoint, page
from gatebook.control.guard import form_of
from gatebook.control.problems import Problem
from gatebook.control.rendering import render
from gatebook.control.rules import Explainer, read_policies
from gatebook.store.base import Store


class RulesPages:
    """What people see of targets, people and policies."""

    def __init__(self, settings: Settings, store: Store, explainer: Explainer, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._store = store
        self._explainer = explainer
        self._now = now

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            page("GET", "/targets", self.show_targets),
            page("GET", "/people", self.show_people),
            page("GET", "/policies", self.show_policies),
            page("POST", "/policies/explain", self.explain),
        ]

    async def show_targets(self, request: Request) -> Response:
        """The targets with their roles."""
        return render(request, "targets.html", targets=list_targets(self._settings, caller_of(request)))

    async def show_people(self, request: Request) -> Response:
        """Keys of agents; to readers people too."""
        caller, moment = caller_of(request), self._now()
        keys = [(key, state_of(key, moment)) for key in list_keys(self._store, caller)]
        people = list_people(self._store) if caller.reads_all else []
        return render(request, "people.html", keys=keys, people=people)

    async def show_policies(self, request: Request) -> Response:
        """The policies, each with file and line."""
        return await self._policies(request, {})

    async def explain(self, request: Request) -> Response:
        """What the policies say of a statement."""
        form = form_of(await request.body())
        groups = tuple(form.get("groups", "").replace(",", " ").split())
        answers, words = [], ""
        try:
            answers = await self._explainer.explain(
                sql=form.get("sql", ""), agent=form.get("agent", ""), groups=groups, target=form.get("target", "")
            )
        except Problem as problem:
            words = f"{problem.message}: {problem.hint}" if problem.hint else problem.message
        return await self._policies(request, form, answers, words)

    async def _policies(
        self, request: Request, form: dict[str, str], answers: Sequence[Mapping[str, object]] = (), words: str = ""
    ) -> Response:
        files = await asyncio.to_thread(read_policies, self._settings.policy.folder)
        targets = [target.name for target in self._settings.targets]
        return render(request, "policies.html", files=files, form=form, targets=targets, answers=answers, words=words)

# SPDX-License-Identifier: Apache-2.0
"""Who and what for programs: the caller, targets, people and keys, policies and what they say of a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request

from gatebook.config import Settings
from gatebook.control.api_models import (
    ExplainWish,
    KeyItem,
    Me,
    PersonItem,
    PolicyItem,
    PolicySetItem,
    RoleItem,
    SigningKeyItem,
    TargetItem,
)
from gatebook.control.caller import caller_of, principal_of
from gatebook.control.directory import list_keys, list_people, list_targets, state_of
from gatebook.control.endpoints import Endpoint, described
from gatebook.control.rules import Explainer, read_policies
from gatebook.store.base import Store
from gatebook.views.telling import json_time


class RulesApi:
    """What programs see of targets, people and policies."""

    def __init__(self, settings: Settings, store: Store, explainer: Explainer, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._store = store
        self._explainer = explainer
        self._now = now

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            described("GET", "/api/v1/me", self.tell_caller),
            described("GET", "/api/v1/targets", self.list_targets),
            described("GET", "/api/v1/people", self.list_people),
            described("GET", "/api/v1/keys", self.list_keys),
            described("GET", "/api/v1/policies", self.read_policies),
            described("POST", "/api/v1/policies/explain", self.explain),
        ]

    async def tell_caller(self, request: Request) -> Me:
        """Tell who the caller is."""
        principal = principal_of(request)
        return Me(
            issuer=principal.subject.issuer,
            subject=principal.subject.subject,
            kind=str(principal.kind),
            groups=list(principal.groups),
            method=principal.method,
            is_=sorted(caller_of(request).who),
        )

    async def list_targets(self, request: Request) -> list[TargetItem]:
        """List the targets: to an agent those with a role for its groups."""
        return [
            TargetItem(
                name=target.name,
                kind=target.kind,
                database=target.database,
                roles=[RoleItem(name=role.name, groups=list(role.groups)) for role in target.roles],
                labels=dict(target.labels),
            )
            for target in list_targets(self._settings, caller_of(request))
        ]

    async def list_people(self) -> list[PersonItem]:
        """List the people whom the gate itself knows."""
        return [
            PersonItem(
                issuer=known.person.subject.issuer,
                subject=known.person.subject.subject,
                admin=known.person.admin,
                groups=[membership.group for membership in known.person.groups],
                created=json_time(known.person.created_at),
                disabled=json_time(known.person.disabled_at),
                keys=[SigningKeyItem(kind=kind, fingerprint=fingerprint) for kind, fingerprint in known.keys],
            )
            for known in list_people(self._store)
        ]

    async def list_keys(self, request: Request) -> list[KeyItem]:
        """List API keys: an auditor's or admin's all, a person's of their agents, an agent's its own."""
        moment = self._now()
        return [
            KeyItem(
                key=key.id,
                agent=key.agent.subject,
                owner=key.owner.subject,
                groups=list(key.groups),
                created=json_time(key.created_at),
                expires=json_time(key.expires_at),
                revoked=json_time(key.revoked_at),
                state=state_of(key, moment),
            )
            for key in list_keys(self._store, caller_of(request))
        ]

    async def read_policies(self) -> PolicySetItem:
        """Show the policies as their files say them now."""
        files = await asyncio.to_thread(read_policies, self._settings.policy.folder)
        return PolicySetItem(
            hash=files.hash,
            files=sorted(files.texts),
            policies=[
                PolicyItem(id=one.id, file=one.file, line=one.line, text=one.text, annotations=dict(one.annotations))
                for one in files.policies
            ],
            problems=list(files.problems),
        )

    async def explain(self, wish: ExplainWish) -> list[dict[str, Any]]:
        """Tell for each access of a statement which policies permit or forbid it; nothing of it is run."""
        return await self._explainer.explain(
            sql=wish.sql,
            agent=wish.agent,
            groups=tuple(wish.groups),
            target=wish.target,
            database=wish.database,
        )

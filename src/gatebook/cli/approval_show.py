# SPDX-License-Identifier: Apache-2.0
"""Requests for approval as people and programs see them at the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias, cast

import click

from gatebook.cli.output import json_time, print_facts, print_table, show_time
from gatebook.evidence.entry import Leaf, Value
from gatebook.evidence.harmless import harmless
from gatebook.model.approval import Kind, Request

SHOWN_CHARACTERS = 60
Shown: TypeAlias = "Mapping[str, Value]"


def object_of(request: Request, *, whole: bool = False) -> Leaf:
    """Return a request for programs; with all that people are shown if `whole`."""
    votes: list[Value] = [
        {
            "person": {"iss": vote.person.issuer, "sub": vote.person.subject},
            "choice": vote.choice.value,
            "time": json_time(vote.at),
            "method": vote.method,
            "channel": vote.channel,
            "reason": vote.reason,
        }
        for vote in request.votes
    ]
    found: Leaf = {
        "request": request.id,
        "kind": request.kind.value,
        "state": request.state.value,
        "who": {"iss": request.principal.subject.issuer, "sub": request.principal.subject.subject},
        "target": request.target,
        "database": request.database,
        "role": request.role,
        "approvers": [[need.group, need.needed] for need in request.hold.requirements],
        "digest": request.digest,
        "made": json_time(request.made_at),
        "expires": json_time(request.ends_at()),
        "session": request.session,
        "reason": request.reason,
        "why": request.why,
        "votes": votes,
    }
    if whole:
        found |= {"shown": shown_of(request), "binding": cast("Value", json.loads(request.binding))}
    return found


def rows_of(requests: Iterable[Request]) -> list[tuple[str, ...]]:
    """Return a line of a table for each."""
    return [
        (
            request.id,
            request.state.value,
            request.principal.subject.subject,
            _short(request),
            f"{request.target}/{request.database}" if request.database else request.target,
            _approvers(request),
            show_time(request.ends_at()),
            ", ".join(f"{vote.person.subject} {vote.choice.value}" for vote in request.votes),
        )
        for request in requests
    ]


def print_request(request: Request) -> None:
    """Print a request for who has to decide: what would run first, what its asker says of it last."""
    shown = shown_of(request)
    if request.kind is Kind.OPERATION:
        for line in _text(shown.get("text", "")).split("\n"):
            click.echo(harmless(line))
        for number, value in enumerate(cast("list[Value]", shown.get("params", [])), 1):
            click.echo(f"  ${number} = {harmless(_text(value))}")
        for name, sql in cast("list[list[Value]]", shown.get("prepared", [])):
            click.echo(f"  prepared {harmless(_text(name))}: {harmless(_text(sql))}")
        click.echo("")
        preview = cast("Mapping[str, Value]", shown.get("preview", {}))
        for line in cast("list[str]", preview.get("plan", [])):
            click.echo(f"  {harmless(line)}")
        if "none" in preview:
            click.echo(f"  no preview: {harmless(str(preview['none']))}")
        click.echo("")
    principal = request.principal
    facts = {
        "request": f"{request.id}, {request.state.value}" + (f": {request.why}" if request.why else ""),
        "who asks": str(principal.subject),
        "on behalf of": str(principal.owner) if principal.owner else "nobody",
        "through": ", ".join(str(actor) for actor in principal.chain if actor != principal.subject),
        "target": f"{request.target}/{request.database} as {request.role}",
        "does": ", ".join(cast("list[str]", shown.get("verbs", []))) or f"role for {request.minutes} minutes",
        "approvers": _approvers(request),
        "covers": f"{request.hold.cover.value}, {request.hold.uses} use" + ("s" if request.hold.uses > 1 else ""),
        "made": show_time(request.made_at),
        "expires": show_time(request.ends_at()),
        "digest": request.digest,
    }
    print_facts({name: value for name, value in facts.items() if value})
    policies = cast("list[Mapping[str, str]]", shown.get("policies", []))
    if policies:
        click.echo("")
        print_table(("held by policy", "which says"), [(one["id"], one["message"]) for one in policies])
    accesses = cast("list[list[str]]", shown.get("accesses", []))
    if accesses:
        click.echo("")
        print_table(("action", "object"), [(one[0], one[1]) for one in accesses])
    if request.votes:
        click.echo("")
        rows = [
            (str(vote.person), vote.choice.value, show_time(vote.at), vote.method, vote.reason)
            for vote in request.votes
        ]
        print_table(("person", "vote", "at", "signed by", "reason"), rows)
    if request.reason:
        click.echo("")
        click.echo(f"who asks says (nobody has checked it): {harmless(request.reason)}")


def shown_of(request: Request) -> Shown:
    """Return what people are shown of a request."""
    return cast("Shown", json.loads(request.shown))


def _short(request: Request) -> str:
    if request.kind is not Kind.OPERATION:
        return f"role {request.role}"
    text = " ".join(_text(shown_of(request).get("text", "")).split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def _approvers(request: Request) -> str:
    return " and ".join(f"{need.needed} of {need.group}" for need in request.hold.requirements)


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.get("null") is True:
        return "NULL"
    if isinstance(value, dict) and "text" in value:
        return str(value["text"])
    return json.dumps(value)

# SPDX-License-Identifier: Apache-2.0
"""Requests for approval as people and programs see them at the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import click

from gatebook.cli.output import print_facts, print_table, show_time
from gatebook.evidence.entry import Value
from gatebook.evidence.harmless import harmless
from gatebook.model.approval import Kind, Request
from gatebook.views.approvals import approvers_of, object_of, shown_of, words_of

__all__ = ["object_of", "print_request", "rows_of", "shown_of"]

SHOWN_CHARACTERS = 60


def rows_of(requests: Iterable[Request]) -> list[tuple[str, ...]]:
    """Return a line of a table for each."""
    return [
        (
            request.id,
            request.state.value,
            request.principal.subject.subject,
            _short(request),
            f"{request.target}/{request.database}" if request.database else request.target,
            approvers_of(request),
            show_time(request.ends_at()),
            ", ".join(f"{vote.person.subject} {vote.choice.value}" for vote in request.votes),
        )
        for request in requests
    ]


def print_request(request: Request) -> None:
    """Print a request for who has to decide: what would run first, what its asker says of it last."""
    shown = shown_of(request)
    if request.kind is Kind.OPERATION:
        for line in words_of(shown.get("text", "")).split("\n"):
            click.echo(harmless(line))
        for number, value in enumerate(cast("list[Value]", shown.get("params", [])), 1):
            click.echo(f"  ${number} = {harmless(words_of(value))}")
        for name, sql in cast("list[list[Value]]", shown.get("prepared", [])):
            click.echo(f"  prepared {harmless(words_of(name))}: {harmless(words_of(sql))}")
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
        "approvers": approvers_of(request),
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


def _short(request: Request) -> str:
    if request.kind is not Kind.OPERATION:
        return f"role {request.role}"
    text = " ".join(words_of(shown_of(request).get("text", "")).split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."

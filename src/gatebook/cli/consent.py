# SPDX-License-Identifier: Apache-2.0
"""`gatebook consent`: what needs two people, and how they say yes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, json_option, load, now, operator, stamp
from gatebook.cli.custody import Desk, opened_desk, read_desk, requests_of, tell_signing
from gatebook.cli.names import NAME
from gatebook.cli.output import json_time, print_facts, print_json, print_table, say, show_time
from gatebook.cli.people import subject_of
from gatebook.evidence import builders
from gatebook.evidence.consent import NEEDED
from gatebook.evidence.entry import Leaf, Value
from gatebook.model.errors import OperatorFault, quoted

if TYPE_CHECKING:
    from gatebook.evidence.custody import Asked

SHOWN = 50  # sessions of a list in a table
MAX_SIGNATURE_FILE = 16_384


@click.group("consent")
def command() -> None:
    """Consent: what waits for two people, and their signatures."""


@command.command("list")
@click.option("--all", "with_done", is_flag=True, help="Those that are done or expired too.")
@config_option
@json_option
def list_requests(config: Path, *, with_done: bool, as_json: bool) -> None:
    """List the requests."""
    asked = [one for one in read_desk(load(config)).asked.values() if with_done or _state(one) in {"waits", "granted"}]
    if as_json:
        print_json([_object(one) for one in asked])
        return
    rows = [
        (
            one.request.id,
            _what(one),
            one.request.reason,
            one.request.by,
            show_time(one.request.expires_at),
            ", ".join(person.subject for person in one.consents),
            _state(one),
        )
        for one in asked
    ]
    print_table(("request", "what", "why", "by", "expires", "consented", "state"), rows)


@command.command("show")
@click.argument("request")
@config_option
@json_option
def show(request: str, config: Path, *, as_json: bool) -> None:
    """Show a request with all that it would erase, as it was signed or is to be signed."""
    settings = load(config)
    asked = read_desk(settings).asked.get(request)
    if asked is None:
        raise OperatorFault(f"no request {quoted(request)}", "list them with `gatebook consent list`")
    listed = requests_of(settings).read_list(asked.request) if asked.request.list_hash else []
    if listed is None:
        raise OperatorFault("the list of its sessions is gone", "make a new request")
    if as_json:
        sessions: list[Value] = [
            {"session": one.session, "class": one.retention, "ended": json_time(one.ended_at), "due": one.due}
            for one in listed
        ]
        print_json(_object(asked) | {"sessions": sessions})
        return
    print_facts(
        {
            "request": asked.request.id,
            "what": _what(asked),
            "why": asked.request.reason,
            "asked by": asked.request.by,
            "made": show_time(asked.request.made_at),
            "expires": show_time(asked.request.expires_at),
            "consented": ", ".join(person.subject for person in asked.consents),
            "state": _state(asked),
        }
    )
    if listed:
        click.echo("")
        rows = [
            (one.session, show_time(one.ended_at), one.retention, "" if one.due else "before its time")
            for one in listed[:SHOWN]
        ]
        print_table(("session", "ended", "class", "note"), rows)
        if len(listed) > SHOWN:
            say(f"and {len(listed) - SHOWN:,} more; `--json` shows all")


@command.command("give")
@click.argument("request")
@click.option("--person", required=True, type=NAME, help="Who consents: one of `retention.custodians`.")
@click.option(
    "--signature",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that `ssh-keygen -Y sign` wrote.",
)
@config_option
def give(request: str, person: str, signature: Path, config: Path) -> None:
    """Hand in a person's signature. The second one grants the request; a hold that it releases ends at once."""
    settings = load(config)
    data = _read(signature)
    if person not in settings.retention.custodians:
        raise OperatorFault(f"{quoted(person)} is no custodian", "see `retention.custodians` in the configuration")
    with opened_desk(settings) as desk:
        asked = desk.asked(request)
        _give(desk, asked, person, data)
        if asked.is_granted and asked.request.hold:
            leaf = builders.hold_released(stamp(), hold=asked.request.hold, request=request, by=operator())
            desk.journal.append(leaf)
            say(f"hold {asked.request.hold} is released")
            return
    if not asked.is_granted:
        missing = NEEDED - len(asked.consents)
        tell_signing(settings, asked.request, requests_of(settings).path_of(request), missing=missing)
    else:
        say(f"granted; carry it out with `gatebook purge run {request}`")


def _give(desk: Desk, asked: Asked, person: str, data: bytes) -> None:
    subject = subject_of(desk.settings, person)
    if asked.done:
        raise OperatorFault("the request is done already", "see `gatebook consent list --all`")
    if subject in asked.consents:
        raise OperatorFault(f"{quoted(person)} has consented already", "somebody else has to")
    keys = desk.custody.keys_of(subject)
    if not keys:
        raise OperatorFault(f"{quoted(person)} has no key", "add one with `gatebook person key add`")
    fault: OperatorFault | None = None
    for key in keys:
        try:
            desk.custody.check_consent(asked.request, subject, key.fingerprint, data, now())
        except OperatorFault as one:
            fault = fault or one
            continue
        leaf = builders.consent_given(
            stamp(),
            request=asked.request.id,
            person=subject,
            fingerprint=key.fingerprint,
            signature=data,
            by=operator(),
        )
        desk.journal.append(leaf)
        asked.consents[subject] = key.fingerprint
        return
    assert fault is not None
    raise fault


def _read(file: Path) -> bytes:
    from gatebook.evidence.ssh_signature import unarmored  # noqa: PLC0415  cryptography, only here

    try:
        with file.open("rb") as opened:
            return unarmored(opened.read(MAX_SIGNATURE_FILE).decode())
    except (OSError, UnicodeDecodeError) as fault:
        raise OperatorFault(
            f"{quoted(str(file))} cannot be read as a signature", "make one with `ssh-keygen -Y sign`"
        ) from fault


def _what(asked: Asked) -> str:
    request = asked.request
    if request.hold:
        return f"release the hold {request.hold}"
    return f"erase the {request.erase} of {request.sessions:,} sessions"


def _state(asked: Asked) -> str:
    if asked.done:
        return "done"
    if not asked.request.is_open(now()):
        return "expired"
    return "granted" if asked.is_granted else "waits"


def _object(asked: Asked) -> Leaf:
    consents: list[Value] = [
        {"person": {"iss": person.issuer, "sub": person.subject}, "fingerprint": fingerprint}
        for person, fingerprint in asked.consents.items()
    ]
    return {"request": asked.request.to_value(), "consents": consents, "state": _state(asked)}

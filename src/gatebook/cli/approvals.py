# SPDX-License-Identifier: Apache-2.0
"""`gatebook approvals`: what waits for people, and their signed votes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.approval_show import object_of, print_request, rows_of
from gatebook.cli.common import WRITER, config_option, json_option, load, now, opened_journal, opened_store, operator
from gatebook.cli.output import print_json, print_table, say
from gatebook.cli.people import subject_of
from gatebook.config import Settings
from gatebook.model.approval import Choice, State
from gatebook.model.errors import Bug, OperatorFault
from gatebook.views.approvals import list_waiting

if TYPE_CHECKING:
    from gatebook.session.voting import Booth

MOST = 200
WATCH_S = 0.2
CHANNEL = "cli"
_FILE = click.Path(path_type=Path, dir_okay=False)
_COLUMNS = ("request", "state", "who asks", "what", "of", "approvers", "expires", "votes")


@click.group("approvals")
def command() -> None:
    """Approvals: what waits for people's consent, and their votes."""


@command.command("list")
@click.option("--all", "with_ended", is_flag=True, help="Those that are over too.")
@config_option
@json_option
def list_requests(config: Path, *, with_ended: bool, as_json: bool) -> None:
    """List the requests, newest first."""
    with opened_store(load(config)) as store:
        found = store.list_requests(State, MOST) if with_ended else list_waiting(store, MOST)
    if as_json:
        print_json([object_of(request) for request in found])
        return
    print_table(_COLUMNS, rows_of(found))


@command.command("show")
@click.argument("request")
@config_option
@json_option
def show(request: str, config: Path, *, as_json: bool) -> None:
    """Show a request: the operation itself first, then who asks, why it is held, and who voted."""
    with opened_booth(load(config)) as booth:
        found = booth.find(request)
    if as_json:
        print_json(object_of(found, whole=True))
    else:
        print_request(found)


@command.command("watch")
@config_option
@json_option
def watch(config: Path, *, as_json: bool) -> None:
    """Follow the requests as they come and change, until interrupted."""
    settings = load(config)
    with opened_store(settings) as store:
        seen = 0
        while True:
            seen, changed = store.list_changed(seen)
            for request in changed:
                if as_json:
                    print_json(object_of(request))
                else:
                    (row,) = rows_of([request])
                    say("  ".join(row))
            time.sleep(WATCH_S)


@dataclass(frozen=True, slots=True)
class _Signing:
    """Who votes, and how their vote is signed: with a key here, or elsewhere."""

    person: str
    key: Path | None
    ballot: Path | None
    signature: Path | None


def _vote_command(name: str, choice: Choice, words: str, reason: str) -> None:
    """Add a command that votes; `words` are its help, `reason` those of its reason."""

    @command.command(name, help=words)
    @click.argument("request")
    @click.option("--person", required=True, help="Who votes: a name of this gate, or `ISSUER|SUBJECT`.")
    @click.option(
        "--key",
        type=_FILE,
        help="SSH key to sign with; `ssh-keygen` does it, by an agent or a security key too.",
    )
    @click.option("--ballot", "ballot_file", type=_FILE, help="A signed ballot's file.")
    @click.option("--signature", type=_FILE, help="Signature of that ballot.")
    @click.option("--reason", default="", help=reason)
    @config_option
    @json_option
    def vote(
        request: str,
        config: Path,
        *,
        person: str,
        key: Path | None,
        ballot_file: Path | None,
        signature: Path | None,
        reason: str,
        as_json: bool,
    ) -> None:
        signing = _Signing(person, key, ballot_file, signature)
        _vote(load(config), request, choice, signing, reason=reason, as_json=as_json)


_vote_command(
    "approve",
    Choice.APPROVE,
    "Consent to a request, with a signature. Look at it before: `gatebook approvals show REQUEST`.",
    "Words that the book keeps.",
)
_vote_command(
    "deny",
    Choice.DENY,
    "Deny a request, with a signature and a reason.",
    "Words that who asks is told, and the book keeps. Needed without a ballot.",
)
_vote_command(
    "review",
    Choice.REVIEW,
    "Say, with a signature, that you have looked at what was done by breaking glass.",
    "What the review found; the book keeps it. Needed without a ballot.",
)


@command.command("ballot")
@click.argument("request")
@click.argument("file", type=_FILE)
@click.option("--person", required=True, help="Who votes: a name of this gate, or `ISSUER|SUBJECT`.")
@click.option("--choice", type=click.Choice([one.value for one in Choice]), default="approve", show_default=True)
@click.option("--reason", default="", help="Words that the book keeps.")
@config_option
def write_ballot(request: str, file: Path, config: Path, *, person: str, choice: str, reason: str) -> None:
    """Write a vote to FILE, to be signed elsewhere within ten minutes."""
    from gatebook.evidence.approval import NAMESPACE  # noqa: PLC0415  cryptography, only where it is needed

    settings = load(config)
    with opened_booth(settings) as booth:
        ballot = booth.ballot(booth.find(request), subject_of(settings, person), Choice(choice), reason)
    file.write_bytes(ballot.message())
    say(f"sign it: ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519 {file}")
    say(f"then: gatebook approvals {choice} {request} --person {person} --ballot {file} --signature {file}.sig")


@command.command("withdraw")
@click.argument("request")
@click.option("--person", required=True, help="Who consented: a name of this gate, or `ISSUER|SUBJECT`.")
@click.option("--reason", required=True, help="Words that the book keeps.")
@config_option
def withdraw(request: str, config: Path, *, person: str, reason: str) -> None:
    """Take consent back before it is used."""
    settings = load(config)
    with opened_booth(settings) as reading, writing(settings, reading) as booth:
        booth.withdraw(request, subject_of(settings, person), reason)
    say(f"{request} is withdrawn")


@command.command("cancel")
@click.argument("request")
@config_option
def cancel(request: str, config: Path) -> None:
    """End a request as the operator of this gate."""
    settings = load(config)
    with opened_booth(settings) as reading, writing(settings, reading) as booth:
        booth.cancel(request, f"cancelled by {operator()}")
    say(f"{request} is cancelled")


@contextmanager
def opened_booth(settings: Settings) -> Iterator[Booth]:
    """Open where requests are looked at, and ballots are made out. Nothing can be written before `writing`."""
    from gatebook.session.voting import Booth  # noqa: PLC0415  cryptography, only where it is needed

    with opened_store(settings) as store:
        yield Booth(settings.gate.name, WRITER, store, _unwritten, now)


@contextmanager
def writing(settings: Settings, booth: Booth) -> Iterator[Booth]:
    """Hold the journal of the command line while a vote or an end is written.

    The journal comes before the store's transaction, as in every other command: two could else wait for each other.
    """
    with opened_journal(settings) as journal:
        yield replace(booth, append=journal.append)


def _unwritten(leaf: bytes) -> None:
    raise Bug(f"an entry of {len(leaf)} bytes outside `writing`")


def _vote(settings: Settings, request: str, choice: Choice, signing: _Signing, *, reason: str, as_json: bool) -> None:
    from gatebook.cli.signing import read_ballot, read_signature, sign  # noqa: PLC0415  cryptography, as above
    from gatebook.evidence.approval import NAMESPACE  # noqa: PLC0415  as above
    from gatebook.evidence.ssh_signature import key_of  # noqa: PLC0415  as above
    from gatebook.evidence.vote_signature import SSH  # noqa: PLC0415  as above

    subject = subject_of(settings, signing.person)
    with opened_booth(settings) as booth:
        found = booth.find(request)
        if signing.ballot is not None and signing.signature is not None:
            ballot, signature = read_ballot(signing.ballot), read_signature(signing.signature)
            if (ballot.request, ballot.choice, ballot.person) != (request, choice, subject):
                raise OperatorFault("the ballot says something else", "name request, person and choice as it does")
        elif signing.key is not None:
            if choice is not Choice.APPROVE and not reason:
                raise OperatorFault("a reason is needed", "give `--reason`")
            ballot = booth.ballot(found, subject, choice, reason)
            signature = sign(signing.key, NAMESPACE, ballot.message())
        else:
            raise OperatorFault("a vote needs a signature", "give `--key`, or `--ballot` and `--signature`")
        with writing(settings, booth) as open_booth:
            changed = open_booth.vote(ballot, method=SSH, key=key_of(signature), signature=signature, channel=CHANNEL)
    if as_json:
        print_json(object_of(changed))
        return
    verb = {Choice.APPROVE: "approved", Choice.DENY: "denied", Choice.REVIEW: "reviewed"}[choice]
    say(f"{verb} by {subject.subject}; {request} is {changed.state.value}")

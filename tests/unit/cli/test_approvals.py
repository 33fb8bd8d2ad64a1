# SPDX-License-Identifier: Apache-2.0
"""`gatebook approvals`: what waits, and votes with keys of `ssh-keygen`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.asked import REQUEST
from support.installation import Installation
from support.people import SshKey, make_key
from support.store_suite import no_check

from gatebook.cli import approvals
from gatebook.model.approval import Request, State
from gatebook.model.errors import Bug
from gatebook.store.sqlite import open_store

Vote = Callable[..., tuple[str, ...]]


@pytest.fixture
def keys(gate: Installation, tmp_path: Path) -> dict[str, SshKey]:
    """Two people who may approve, with their keys."""
    made = {name: make_key(tmp_path / "keys", name) for name in ("ana", "bo")}
    for name, key in made.items():
        assert gate.run("person", "add", name, "--group", "dba").status == 0
        assert gate.run("person", "key", "add", name, str(key.public)).status == 0
    return made


def put(gate: Installation, **more: object) -> Request:
    """Keep a request that was made now."""
    moment = datetime.now(UTC)
    request = replace(REQUEST, made_at=moment, decide_by=moment + timedelta(minutes=5))
    request = replace(request, **more)  # type: ignore[arg-type]  # names of fields
    with closing(open_store(gate.settings.store_path)) as store:
        store.add_request(request, no_check)
    return request


def state(gate: Installation, request: str = "apr_1") -> str:
    return str(gate.run("approvals", "show", request, "--json").json["state"])


def by(keys: dict[str, SshKey], name: str, person: str = "") -> tuple[str, ...]:
    return ("--person", person or name, "--key", str(keys[name].file))


def test_lists_what_is_open_newest_first_and_the_rest_if_asked(gate: Installation) -> None:
    put(gate)
    put(gate, id="apr_2", made_at=datetime.now(UTC) + timedelta(seconds=1))
    put(gate, id="apr_3", state=State.DENIED)
    assert [one["request"] for one in gate.run("approvals", "list", "--json").json] == ["apr_2", "apr_1"]
    assert {one["request"] for one in gate.run("approvals", "list", "--all", "--json").json} == {
        "apr_1",
        "apr_2",
        "apr_3",
    }
    assert "UPDATE things SET price = $1" in gate.run("approvals", "list").out


def test_ap_11_what_is_open_is_listed_however_many_ended_since(
    gate: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approvals, "MOST", 2)
    put(gate)
    for number in range(3):
        made_at = datetime.now(UTC) + timedelta(seconds=number)
        put(gate, id=f"apr_x{number}", state=State.DENIED, made_at=made_at)
    assert [one["request"] for one in gate.run("approvals", "list", "--json").json] == ["apr_1"]


def test_shows_a_request_or_says_that_there_is_none(gate: Installation) -> None:
    put(gate)
    assert gate.run("approvals", "show", "apr_1").out.startswith("UPDATE things SET price = $1\n")
    told = gate.run("approvals", "show", "apr_9")
    assert told.status == 1
    assert "no request `apr_9`" in told.err


def test_approves_with_a_key_and_the_book_has_the_signature(gate: Installation, keys: dict[str, SshKey]) -> None:
    put(gate)
    told = gate.run("approvals", "approve", "apr_1", *by(keys, "ana"))
    assert told.status == 0, told.err
    assert "approved by ana; apr_1 is granted" in told.err
    voted, granted = (leaf for leaf in gate.entries() if str(leaf["event"]).startswith("approval."))
    assert (voted["event"], voted["method"], voted["channel"]) == ("approval.voted", "ssh", "cli")
    assert granted["event"] == "approval.granted"


def test_denies_with_a_reason_only(gate: Installation, keys: dict[str, SshKey]) -> None:
    put(gate)
    told = gate.run("approvals", "deny", "apr_1", *by(keys, "ana"))
    assert told.status == 1
    assert "a reason is needed" in told.err
    told = gate.run("approvals", "deny", "apr_1", *by(keys, "ana"), "--reason", "too much", "--json")
    assert (told.json["state"], told.json["why"]) == ("denied", "too much")


def test_ap_06_another_persons_key_does_not_vote(gate: Installation, keys: dict[str, SshKey], tmp_path: Path) -> None:
    put(gate)
    agents = make_key(tmp_path / "keys", "agent")
    for words in (by(keys, "bo", "ana"), ("--person", "ana", "--key", str(agents.file))):
        told = gate.run("approvals", "approve", "apr_1", *words)
        assert told.status == 1
        assert "the key is not this person's" in told.err
    assert state(gate) == "pending"
    assert [leaf for leaf in gate.entries() if str(leaf["event"]).startswith("approval.")] == []


def test_a_vote_needs_a_signature(gate: Installation, keys: dict[str, SshKey]) -> None:
    put(gate)
    for words in ((), ("--ballot", "x")):
        told = gate.run("approvals", "approve", "apr_1", "--person", "ana", *words)
        assert told.status == 1
        assert "a vote needs a signature" in told.err


def test_votes_by_a_ballot_that_was_signed_elsewhere(
    gate: Installation, keys: dict[str, SshKey], tmp_path: Path
) -> None:
    put(gate)
    ballot = tmp_path / "ballot"
    told = gate.run("approvals", "ballot", "apr_1", str(ballot), "--person", "ana", "--reason", "looks good")
    assert f"ssh-keygen -Y sign -n gatebook-approval -f ~/.ssh/id_ed25519 {ballot}" in told.err
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "gatebook-approval", "-f", str(keys["ana"].file), str(ballot)],
        check=True,
    )
    signed = ("--ballot", str(ballot), "--signature", f"{ballot}.sig")
    for words in (("approve", "apr_1", "--person", "bo"), ("deny", "apr_1", "--person", "ana")):
        other = gate.run("approvals", *words, *signed)
        assert other.status == 1
        assert "the ballot says something else" in other.err
    told = gate.run("approvals", "approve", "apr_1", "--person", "gatebook:gate|ana", *signed, "--json")
    assert told.status == 0, told.err
    assert told.json["votes"][0]["reason"] == "looks good"


def test_a_ballot_that_was_altered_is_refused(gate: Installation, keys: dict[str, SshKey], tmp_path: Path) -> None:
    put(gate)
    ballot = tmp_path / "ballot"
    gate.run("approvals", "ballot", "apr_1", str(ballot), "--person", "ana", "--choice", "deny", "--reason", "no")
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "gatebook-approval", "-f", str(keys["ana"].file), str(ballot)],
        check=True,
    )
    ballot.write_text(ballot.read_text().replace('"deny"', '"approve"'))
    told = gate.run(
        *("approvals", "approve", "apr_1", "--person", "ana", "--ballot", str(ballot), "--signature", f"{ballot}.sig")
    )
    assert told.status == 1
    assert "it is not good for what is to be signed" in told.err
    assert state(gate) == "pending"


def test_withdraws_and_cancels(gate: Installation, keys: dict[str, SshKey]) -> None:
    put(gate)
    gate.run("approvals", "approve", "apr_1", *by(keys, "ana"))
    assert gate.run("approvals", "withdraw", "apr_1", "--person", "bo", "--reason", "x").status == 1
    told = gate.run("approvals", "withdraw", "apr_1", "--person", "ana", "--reason", "changed my mind")
    assert (told.status, told.err) == (0, "apr_1 is withdrawn\n")
    put(gate, id="apr_2")
    assert gate.run("approvals", "cancel", "apr_2").err == "apr_2 is cancelled\n"
    assert gate.run("approvals", "cancel", "apr_2").status == 1
    ended = [leaf for leaf in gate.entries() if leaf["event"] == "approval.ended"]
    assert [leaf["result"] for leaf in ended] == ["withdrawn", "cancelled"]
    assert str(ended[1]["reason"]).startswith("cancelled by ")


@pytest.mark.parametrize("as_json", [True, False])
def test_watches_what_comes(gate: Installation, monkeypatch: pytest.MonkeyPatch, *, as_json: bool) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    put(gate)
    monkeypatch.setattr("gatebook.cli.approvals.time.sleep", interrupt)
    told = gate.run("approvals", "watch", *(["--json"] if as_json else []))
    if as_json:
        assert json.loads(told.out)["request"] == "apr_1"
    else:
        assert "apr_1  pending  bot  UPDATE things" in told.err


def test_nothing_is_written_where_only_reading_was_meant(gate: Installation) -> None:
    put(gate)
    with approvals.opened_booth(gate.settings) as booth, pytest.raises(Bug):
        booth.cancel("apr_1", "why")
    assert state(gate) == "pending"

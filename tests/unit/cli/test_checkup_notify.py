# SPDX-License-Identifier: Apache-2.0
"""The doctor on notifications: each check finds what it is for."""

from __future__ import annotations

from support.asked import NOW
from support.installation import Installation

from gatebook.cli.checkup import check_installation
from gatebook.cli.verdicts import Check, Verdict
from gatebook.notify.outbox import Message, Outbox

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAGER = '\n[[notify.webhook]]\nname = "pager"\nurl = "https://pager.example"\nsecret = "file:pager.secret"\n'
CONSOLE = '\n[control]\nurl = "https://console.example"\ninsecure_behind_proxy = true\n'


def add(gate: Installation, text: str, secret: str = WHSEC) -> None:
    gate.config.write_text(gate.config.read_text() + text)
    for name in ("pager.secret", "ops.url"):
        (gate.folder / name).write_text(secret)
        (gate.folder / name).chmod(0o600)


def found(gate: Installation) -> list[tuple[str, Verdict, str]]:
    checks: list[Check] = check_installation(gate.config, offline=True)
    return [(one.name, one.verdict, one.words) for one in checks if one.name.startswith("notify")]


def test_a_receiver_that_takes_everything_is_well(gate: Installation) -> None:
    add(gate, CONSOLE + PAGER)
    assert found(gate) == [("notify pager", Verdict.OK, "0 messages wait")]


def test_messages_without_a_link_are_weak(gate: Installation) -> None:
    add(gate, PAGER)
    assert found(gate)[-1] == ("notify", Verdict.WEAK, "`control.url` is not set: messages have no link")


def test_a_secret_without_its_form_is_wrong_and_open_to_others_too(gate: Installation) -> None:
    add(gate, CONSOLE + PAGER, "planted")
    ((name, verdict, words),) = found(gate)
    assert (name, verdict) == ("notify", Verdict.WRONG)
    assert "is not `whsec_`" in words
    assert "planted" not in words
    (gate.folder / "pager.secret").chmod(0o644)
    wrong = [one.words for one in check_installation(gate.config, offline=True) if one.name == "permissions"]
    assert any("pager.secret is open to others" in words for words in wrong)


def test_an_address_that_is_not_safe_is_wrong(gate: Installation) -> None:
    add(gate, CONSOLE + '\n[[notify.slack]]\nname = "ops"\nurl = "file:ops.url"\n', "http://planted.example")
    assert found(gate) == [("notify ops", Verdict.WRONG, "what file:ops.url holds is no `https://` address")]


def test_a_receiver_that_takes_nothing_or_is_gone_is_told(gate: Installation) -> None:
    add(gate, CONSOLE + PAGER)
    box = Outbox.open(gate.settings.outbox_path)
    box.keep_only([("pager", "webhook")])
    box.put(1, [], [Message("pager", "msg_1", is_urgent=False, made_at=NOW, body=b"{}")])
    box.failed("pager", "status 500", NOW)
    words = "1 messages wait since 2026-11-25 12:00:00Z: status 500"
    assert found(gate) == [("notify pager", Verdict.WEAK, words)]
    box.alarm("pager", NOW)
    assert found(gate) == [("notify pager", Verdict.WRONG, words)]
    box.gone("pager", NOW)
    assert found(gate)[0][1] is Verdict.WRONG
    assert "status 410" in found(gate)[0][2]
    box.close()


def test_glass_of_whose_breaking_nobody_is_told_is_weak(gate: Installation) -> None:
    role = '\n[[target.role]]\nname = "fire"\naccount = "fire"\ngroups = ["a"]\napprovers = "dba"\nbreak_glass = true\n'
    add(gate, role)
    words = "nobody is told when glass is broken for fire at shop: add a receiver for it"
    assert found(gate) == [("notify", Verdict.WEAK, words)]
    add(gate, CONSOLE + PAGER + 'groups = ["ops"]\n')
    assert found(gate)[-1] == ("notify", Verdict.WEAK, words)
    gate.config.write_text(gate.config.read_text().replace('["ops"]', '["dba"]'))
    assert found(gate) == [("notify pager", Verdict.OK, "0 messages wait")]

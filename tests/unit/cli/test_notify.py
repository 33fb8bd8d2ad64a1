# SPDX-License-Identifier: Apache-2.0
"""`gatebook notify`: a test message, what waits, and a process that ends when it is told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from standardwebhooks.webhooks import Webhook
from support.asked import NOW, REQUEST
from support.installation import Installation
from support.receiver import Siem, siem
from support.servers import eventually

from gatebook.notify.outbox import Message, Outbox
from gatebook.store.sqlite import open_store

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def running() -> Iterator[Siem]:
    with siem() as made:
        yield made


@pytest.fixture
def pager(gate: Installation, running: Siem) -> Installation:
    """An installation with a webhook."""
    (gate.folder / "pager.secret").write_text(WHSEC)
    added = (
        '\n[control]\nurl = "https://console.example"\ninsecure_behind_proxy = true\n'
        f'\n[[notify.webhook]]\nname = "pager"\nurl = "{running.url}"\nsecret = "file:pager.secret"\n'
    )
    gate.config.write_text(gate.config.read_text() + added)
    return gate


def outbox(gate: Installation) -> Outbox:
    opened = Outbox.open(gate.settings.outbox_path)
    opened.keep_only([("pager", "webhook")])
    return opened


def test_a_test_message_is_sent_and_signed(pager: Installation, running: Siem) -> None:
    done = pager.run("notify", "test", "pager")
    assert (done.status, done.err) == (0, "pager has taken it\n")
    (line,), (request,) = running.told.lines, running.told.requests
    told = Webhook(WHSEC).verify(line, request)
    assert (told["type"], told["data"]) == ("notify.test", {"gate": "gate", "link": "https://console.example"})


def test_a_test_message_that_is_not_taken_says_why(pager: Installation, running: Siem) -> None:
    running.told.answer = 500
    done = pager.run("notify", "test", "pager")
    assert done.status == 1
    assert "error: `pager` has not taken it: the receiver answers with status 500" in done.err


def test_a_receiver_that_is_not_there_is_named(pager: Installation) -> None:
    done = pager.run("notify", "test", "other")
    assert done.status == 1
    assert "there is no receiver `other`" in done.err
    assert "known: `pager`" in done.err


def test_a_receiver_that_was_gone_is_back_once_it_takes_a_test(pager: Installation) -> None:
    box = outbox(pager)
    box.gone("pager", NOW)
    assert pager.run("notify", "show", "--json").json[0]["gone"]
    assert "gone: it answered with 410" in pager.run("notify", "show").out
    assert pager.run("notify", "test", "pager").status == 0
    assert not pager.run("notify", "show", "--json").json[0]["gone"]
    box.close()


def test_what_waits_is_shown(pager: Installation) -> None:
    nothing = {
        "name": "pager",
        "waiting": 0,
        "waiting_since": "",
        "taken": "",
        "error": "",
        "error_at": "",
        "alarm": False,
        "gone": False,
    }
    assert pager.run("notify", "show", "--json").json == [nothing]
    box = outbox(pager)
    box.put(1, [], [Message("pager", "msg_1", is_urgent=False, made_at=NOW, body=b"{}")])
    box.failed("pager", "status 500", NOW)
    box.alarm("pager", NOW)
    box.close()
    moment = "2026-11-25T12:00:00.000001Z"
    assert pager.run("notify", "show", "--json").json == [
        nothing | {"waiting": 1, "waiting_since": moment, "error": "status 500", "error_at": moment, "alarm": True}
    ]
    shown = pager.run("notify", "show").out.splitlines()
    assert shown[0].split() == ["NAME", "WAITING", "SINCE", "TAKEN", "STATE"]
    assert "alarm: status 500" in shown[1]


def test_a_process_tells_what_waits_and_ends_when_it_is_told_to(pager: Installation, running: Siem) -> None:
    store = open_store(pager.settings.store_path)
    store.add_request(replace(REQUEST, decide_by=REQUEST.decide_by), lambda asking: None)
    store.close()
    command = [sys.executable, "-m", "gatebook", "notify", "run", "--config", str(pager.config)]
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        eventually(lambda: running.told.kept)
        second = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30
        )
        assert second.returncode == 1
        assert "whether another process writes this journal" in second.stderr
        process.send_signal(signal_number)
        _, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, b"")
    assert [json.loads(line)["type"] for line in running.told.lines] == ["approval.requested"]  # once

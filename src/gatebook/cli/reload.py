# SPDX-License-Identifier: Apache-2.0
"""`gatebook reload`: let the gate that runs take up what changed in its files, and tell what came of it."""

from __future__ import annotations

import os
import signal
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from gatebook.cli.common import config_option, json_option, load
from gatebook.cli.output import print_error, print_json, say
from gatebook.config import ConfigFault
from gatebook.evidence.entry import Leaf
from gatebook.model.errors import OperatorFault

WAIT_S = 30.0
POLL_S = 0.05
PID_FILE = "serve.pid"  # written by the gate (serve/reload.py)


@click.command("reload")
@config_option
@json_option
def command(config: Path, *, as_json: bool) -> None:
    """Let the running gate read its files anew.

    These are policies, targets with their secrets, roles, issuers, authorities, limits and the certificate. Sessions
    stay. What is wrong keeps all of the old in force, and is told. SIGHUP to the gate does the same.
    """
    answer = reload(*find_gate(config))
    if as_json:
        print_json({"result": answer["result"], "changed": answer["changed"], "reason": answer.get("reason", "")})
    elif answer["result"] == "done":
        changed = [str(part) for part in answer["changed"]] if isinstance(answer["changed"], list) else []
        say(f"the gate has taken up: {', '.join(changed)}" if changed else "nothing changed")
    else:
        print_error(f"refused, and the old stays in force: {answer.get('reason')}", str(answer.get("hint", "")))
    if answer["result"] != "done":
        sys.exit(1)


def find_gate(config: Path) -> tuple[Path, str]:
    """Return data folder and name of the gate, also from a file that is wrong elsewhere: the gate is to refuse it.

    ConfigFault if not even that can be read.
    """
    try:
        settings = load(config)
    except ConfigFault:
        with suppress(OSError, ValueError, KeyError, TypeError):
            gate = tomllib.loads(config.read_text("utf-8"))["gate"]
            return config.absolute().parent / gate["data"], str(gate.get("name", "gatebook"))
        raise
    return settings.gate.data, settings.gate.name


def reload(data: Path, name: str) -> Leaf:
    """Tell the gate and return the entry that it makes of it. OperatorFault if no gate runs or none answers."""
    from gatebook.vault.journal import (  # noqa: PLC0415  the native module, only where evidence is read
        Faults,
        JournalReader,
        list_segments,
        writer_lives,
    )

    folder = data / "journal" / name
    pid = _read_pid(data)
    if pid is None or not writer_lives(folder):
        raise OperatorFault("no gate runs on this data folder", "`gatebook serve` reads its files when it starts")
    reader = JournalReader(folder, Faults(), from_segment=max(list_segments(folder), default=0))
    for _ in reader.read():
        pass  # up to now
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"the gate cannot be told: {words}", "run this as the gate's own user") from fault
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for answer in _answers(record.leaf for record in reader.read()):
            return answer
        time.sleep(POLL_S)
    raise OperatorFault("the gate does not answer", "see the log of `gatebook serve`")


def _answers(leaves: Iterator[bytes]) -> Iterator[Leaf]:
    from gatebook.evidence.entry import decode_leaf  # noqa: PLC0415  only where evidence is read

    for leaf in leaves:
        if b'"event":"gateway.reload"' in leaf:
            yield decode_leaf(leaf)


def _read_pid(data: Path) -> int | None:
    try:
        return int((data / PID_FILE).read_text())
    except (OSError, ValueError):
        return None

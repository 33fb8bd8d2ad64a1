# SPDX-License-Identifier: Apache-2.0
"""`gatebook index`: the search index, shown, brought up to date, made anew, and kept up with the ledger."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, json_option, load
from gatebook.cli.output import json_time, print_facts, print_json, say, show_time
from gatebook.cli.stopping import Stop
from gatebook.config import Settings
from gatebook.evidence.entry import Leaf
from gatebook.model.errors import OperatorFault

if TYPE_CHECKING:
    from gatebook.store.index import Cursor
    from gatebook.store.indexing import Behind, Ledger

NICE = 10  # beside a gate, which goes first
PASS_S = 1.0
SLICE_S = 2.0  # how long an index is held at a time: whoever wants to make it anew waits for it
PAUSE_S = 30.0  # after a fault, which somebody has to look at
LOCK_WAIT_S = 30.0
TELL_S = 2.0


@click.group("index")
def command() -> None:
    """The search index: how far it is, and made anew.

    It is derived from the ledger: it can be deleted or made anew at any time.
    """


@command.command("show")
@config_option
@json_option
def show(config: Path, *, as_json: bool) -> None:
    """Show how far the ledger is indexed, how far the index is behind, and what it takes."""
    from gatebook.evidence.query import moment  # noqa: PLC0415  as above
    from gatebook.store.indexing import behind, check_same  # noqa: PLC0415  as above
    from gatebook.views.indexed import open_ledger, opened_index  # noqa: PLC0415  cryptography, only here

    settings = load(config)
    ledger = open_ledger(settings)
    with opened_index(settings.index_path) as index:
        cursor, size = index.cursor(), index.size_bytes()
    check_same(cursor, ledger)
    missing = behind(cursor, ledger)
    newest = moment(cursor.newest_us) if cursor.newest_us else None
    if as_json:
        told: Leaf = {"indexed": cursor.size, "sealed": ledger.checkpoint.size, "newest": json_time(newest)}
        print_json(told | {"behind": behind_object(missing), "bytes": size})
        return
    print_facts(
        {
            "entries indexed": f"{cursor.size:,} of {ledger.checkpoint.size:,} sealed",
            "behind": behind_words(missing),
            "newest entry": show_time(newest) or "none",
            "size": f"{size:,} bytes",
            "follows": "the gate keeps it up" if settings.index.follow == "serve" else "when it is asked to",
        }
    )


@command.command("update")
@config_option
def update(config: Path) -> None:
    """Take up everything that is sealed and not indexed yet."""
    _take_up_all(load(config), anew=False)


@command.command("rebuild")
@config_option
def rebuild(config: Path) -> None:
    """Make the index anew out of the ledger, whatever its file is now. Beside a running gate too."""
    _take_up_all(load(config), anew=True)


@command.command("follow")
@click.option("--until-input-ends", is_flag=True, hidden=True, help="Stop when standard input is closed.")
@config_option
def follow(*, until_input_ends: bool, config: Path) -> None:
    """Keep the index up with the ledger, at low priority, until SIGINT or SIGTERM.

    `gatebook serve` starts this by itself, unless the configuration says `index.follow = "off"`. A fault is told once,
    and tried again every 30 seconds.
    """
    settings, stop = load(config), Stop(until_input_ends=until_input_ends)
    os.nice(NICE)
    told, pause_s, seen = "", PASS_S, b""
    while not stop.wait(pause_s):
        try:
            fault, pause_s = "", PASS_S
            note = _read_note(settings)
            if note == seen and settings.index_path.exists():
                continue
            if note and _follow_once(settings):
                pause_s = 0.0
            else:
                seen = note
        except (OperatorFault, OSError) as caught:
            fault, pause_s = _words(caught), PAUSE_S
        if fault and fault != told:
            say(f"the index is not kept up: {fault}")
        elif told and not fault:
            say("the index is kept up again")
        told = fault


def behind_words(missing: Behind) -> str:
    """Say how far an index is behind."""
    return f"{missing.entries:,} entries, {missing.seconds:,.0f} s" if missing.entries else "nothing"


def behind_object(missing: Behind) -> Leaf:
    """Return the same for programs; seconds are whole."""
    return {"entries": missing.entries, "seconds": round(missing.seconds)}


def _read_note(settings: Settings) -> bytes:
    """Return the newest checkpoint as it is; nothing where there is none yet."""
    try:
        return (settings.ledger_path / "checkpoint").read_bytes()
    except FileNotFoundError:
        return b""


def _follow_once(settings: Settings) -> bool:
    """Take up what is new; whether there is more."""
    from gatebook.views.indexed import open_ledger, take_up  # noqa: PLC0415  cryptography, only here

    ledger = open_ledger(settings)
    reached: list[int] = [ledger.checkpoint.size]
    is_done = take_up(settings.index_path, ledger, SLICE_S, LOCK_WAIT_S, lambda cursor: reached.append(cursor.size))
    return not is_done or reached[-1] < ledger.checkpoint.size


def _take_up_all(settings: Settings, *, anew: bool) -> None:
    from gatebook.store.indexing import extending  # noqa: PLC0415  as above
    from gatebook.store.sqlite_index import remove_index  # noqa: PLC0415  as above
    from gatebook.views.indexed import open_ledger, take_up  # noqa: PLC0415  cryptography, only here

    ledger = open_ledger(settings)
    progress = _Progress(ledger)
    try:
        if anew:
            with extending(settings.index_path, LOCK_WAIT_S) as is_ours:
                if not is_ours:
                    raise OperatorFault("another process is at the index", "end it, or try again")
                remove_index(settings.index_path)
        if not take_up(settings.index_path, ledger, float("inf"), LOCK_WAIT_S, progress.tell):
            raise OperatorFault("another process is at the index", "see `gatebook index show`")
    except OSError as fault:
        raise OperatorFault(f"the index cannot be written: {_words(fault)}", "see the disk and the folder") from fault
    say(f"{ledger.checkpoint.size:,} entries are indexed")


class _Progress:
    """Tells how far it is, now and then."""

    def __init__(self, ledger: Ledger) -> None:
        self._size = ledger.checkpoint.size
        self._began = self._told = time.monotonic()
        self._first: int | None = None

    def tell(self, cursor: Cursor) -> None:
        """Take how far it is."""
        moment = time.monotonic()
        if self._first is None:
            self._first, self._began = cursor.size, moment
        if moment - self._told < TELL_S or cursor.size == self._size:
            return
        self._told = moment
        rate = (cursor.size - self._first) / max(moment - self._began, 1e-3)
        left_s = (self._size - cursor.size) / rate if rate else 0
        percent = 100 * cursor.size // self._size
        say(
            f"{cursor.size:,} of {self._size:,} entries ({percent} %), {rate:,.0f} a second, about {left_s:,.0f} s left"
        )


def _words(fault: Exception) -> str:
    if isinstance(fault, OperatorFault):
        return f"{fault.message}; {fault.hint}" if fault.hint else fault.message
    return (fault.strerror or "unknown error").lower() if isinstance(fault, OSError) else str(fault)

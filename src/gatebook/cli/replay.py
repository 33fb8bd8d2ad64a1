# SPDX-License-Identifier: Apache-2.0
"""`gatebook sessions replay`: what a client sent and saw, at once, in its own time, searched, or in a player."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, json_option, load
from gatebook.cli.output import print_json, say
from gatebook.cli.viewing import NOT_STATED, PLACE, begin_viewing

if TYPE_CHECKING:
    from gatebook.evidence.timeline import Place, Point
    from gatebook.views.looking import Viewing

MAX_SPEED = 10_000.0


@click.command("replay")
@click.argument("session")
@click.option("--purpose", default=NOT_STATED, help="Why you look; it is entered into the book.")
@click.option("--rows", type=click.IntRange(0), default=20, show_default=True, help="Rows shown of each result.")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, MAX_SPEED),
    help="Replay in the session's own time, so many times as fast.  [default: 1 in the player, else at once]",
)
@click.option("--max-pause", type=click.FloatRange(0), help="Seconds to which pauses are shortened, before the speed.")
@click.option("--find", help="Show only what holds these words, whatever their case, and where.")
@click.option(
    "--from", "--at", "begin", type=PLACE, help="Begin there: `+MM:SS`, `HH:MM:SS` (UTC) or an operation's number."
)
@click.option("--until", "end", type=PLACE, help="End there, included.")
@click.option("--plain", is_flag=True, help="Print lines also on a terminal, where there is a player else.")
@config_option
@json_option
def replay(
    *,
    session: str,
    purpose: str,
    rows: int,
    speed: float | None,
    max_pause: float | None,
    find: str | None,
    begin: Place | None,
    end: Place | None,
    plain: bool,
    config: Path,
    as_json: bool,
) -> None:
    """Replay a session: what the client sent and saw. That somebody looked is entered into the book first.

    On a terminal there is a player: space pauses, + and - change the speed, arrows or n and p step, g goes to a place,
    / searches, q quits, h tells the rest.
    """
    if find is not None:
        if not find:
            raise click.UsageError("--find needs words to look for")
        _find(begin_viewing(load(config), session, purpose=purpose, form="search"), find, begin, end, as_json=as_json)
        return
    viewing = begin_viewing(load(config), session, purpose=purpose, form="replay")
    if not (plain or as_json) and _is_terminal():
        from gatebook.cli.player import play  # noqa: PLC0415  only on a terminal

        play(viewing.points(rows, None, end), viewing.offsets, begin=begin, speed=speed or 1.0, max_pause_s=max_pause)
        return
    points = viewing.points(rows, begin, end)
    for point in points if speed is None else pace(points, speed, max_pause, time.sleep, time.monotonic):
        _print(point, as_json=as_json)
        if speed is not None:
            sys.stdout.flush()


def pace(
    points: Iterator[Point],
    speed: float,
    max_pause_s: float | None,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Iterator[Point]:
    """Yield the points in their own time, `speed` times as fast; time that printing takes is not added."""
    due = clock()
    before: Point | None = None
    for point in points:
        if before is not None:
            pause = (point.elapsed - before.elapsed).total_seconds()
            due += (pause if max_pause_s is None else min(pause, max_pause_s)) / speed
            wait = due - clock()
            if wait > 0:  # else it is late, and catches up
                sleep(wait)
        before = point
        yield point


def _print(point: Point, *, as_json: bool) -> None:
    from gatebook.evidence.render import render, to_json  # noqa: PLC0415  zstd, only where recordings are read

    if as_json:
        print_json(to_json(point.item))
    else:
        for line in render(point.item):
            click.echo(line)


def _find(viewing: Viewing, words: str, begin: Place | None, end: Place | None, *, as_json: bool) -> None:
    from gatebook.evidence.render import to_json  # noqa: PLC0415  as above
    from gatebook.evidence.search import found_object, make_needle, render_found, search  # noqa: PLC0415  as above

    needle = make_needle(words)
    count = large = 0

    def counted() -> Iterator[Point]:
        nonlocal large
        for point in viewing.points(0, begin, end, needle):
            large += point.item.kind == "large"
            yield point

    for found in search(counted(), needle):
        count += 1
        if as_json:
            print_json(to_json(found.point.item) | found_object(found))
        else:
            for line in render_found(found):
                click.echo(line)
    say(f"{count} found" + (f"; {large} messages over 16 MiB were not kept, and so not searched" if large else ""))


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"

# SPDX-License-Identifier: Apache-2.0
"""asciinema judges our casts: it converts them, with every time as recorded, and plays them on a terminal."""

from __future__ import annotations

import json
import re
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from support.evidence import NOW, SESSION
from support.hostile import EVIL, LONG, hostile_chunk
from support.judges import asciinema
from support.terminal import on_terminal

from gatebook.evidence.asciicast import AsciicastWriter, Header
from gatebook.evidence.recording import ChunkOpener, read_chunks
from gatebook.evidence.replay import Item, replay
from gatebook.evidence.timeline import number_points
from gatebook.evidence.transcript import About, write_asciicast
from gatebook.model.secret import Secret

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # the first run builds the judge: five minutes on two cores
]

ITEMS = [
    Item(NOW, ">", "query", {"text": "select name\nfrom people"}),
    Item(NOW + timedelta(seconds=0.123456), "<", "rows", columns=("name",), rows=(("Zoé",), ("日本",)), count=2),
    Item(NOW + timedelta(seconds=3600), "<", "done", {"tag": "SELECT 2"}),
    Item(NOW + timedelta(seconds=3601), ">", "end"),
]


def cast(folder: Path, items: list[Item], idle_limit_s: float = 0.5) -> Path:
    path = folder / "session.cast"
    about = About(SESSION, {"agent": "reporter"}, {1: 0}, idle_limit_s)
    path.write_bytes(b"".join(write_asciicast(about, number_points(items))))
    return path


def hostile_items() -> list[Item]:
    data = hostile_chunk()
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        at += size
        return data[at - size : at]

    opener = ChunkOpener(Secret(b"\x07" * 32), SESSION)
    return list(replay(frame for chunk in read_chunks(read) for frame in opener.open(chunk)))


def convert(path: Path, form: str) -> str:
    done = subprocess.run(
        [asciinema(), "convert", "-q", "-f", form, path, "-"], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_it_reads_what_a_terminal_would_have_shown(tmp_path: Path) -> None:
    assert convert(cast(tmp_path, ITEMS), "txt").splitlines() == [
        f"session: {SESSION}",
        "agent: reporter",
        "",
        "12:00:00.000000 > query",
        "  | select name",
        "  | from people",
        "",
        "12:00:00.123456 < rows: 2",
        "    name",
        "    ----",
        "    Zoé",
        "    日本",
        "",
        "13:00:00.000000 < done: SELECT 2",
        "",
        "13:00:01.000000 > says goodbye",
    ]


def test_it_reads_the_header_and_the_times_as_recorded(tmp_path: Path) -> None:
    header, *events = map(json.loads, convert(cast(tmp_path, ITEMS), "asciicast-v2").splitlines())
    assert (header["version"], header["width"], header["height"]) == (2, 120, 40)
    assert (header["timestamp"], header["title"]) == (int(NOW.timestamp()), f"Gatebook session {SESSION}")
    assert [(moment, code) for moment, code, _ in events] == [
        *[(0, "o"), (0, "m"), (0, "o"), (0.123456, "o"), (3600, "o"), (3601, "m"), (3601, "o")]
    ]
    assert events[1][2] == "operation 1: select name from people"
    again = [json.loads(line) for line in convert(cast(tmp_path, ITEMS), "asciicast-v3").splitlines()]
    assert again[0]["version"] == 3
    assert again[0]["idle_time_limit"] == 0.5
    assert [event[1:] for event in again[1:]] == [event[1:] for event in events]


def test_it_plays_on_a_terminal_and_shortens_pauses_as_the_header_says(tmp_path: Path) -> None:
    began = time.monotonic()
    with on_terminal([str(asciinema()), "play", "--speed", "10", str(cast(tmp_path, ITEMS))], size=(130, 45)) as player:
        player.wait_for("日本".encode())
        player.wait_for(b"13:00:01.000000 > says goodbye")
        assert player.wait_for_end()[0] == 0
    assert time.monotonic() - began < 15  # an hour, at ten times the speed, would be six minutes


def test_au_11_it_plays_what_is_hostile_without_effect(tmp_path: Path) -> None:
    path = cast(tmp_path, hostile_items(), idle_limit_s=0.1)
    raw = convert(path, "raw").removeprefix("\x1b[8;40;120t")  # asciinema's own: the size in the header
    without_colours = re.sub(r"\x1b\[(?:31|32|36|0)m", "", raw)
    assert {ch for ch in without_colours if not ch.isprintable()} == {"\r", "\n"}
    assert "\\x1b]52;c;cm0gLXJmIH4=\\x07" in raw
    assert EVIL not in raw
    assert LONG not in raw
    with on_terminal([str(asciinema()), "play", "--speed", "100", str(path)], size=(130, 45)) as player:
        assert b"cannot be read" in player.wait_for(b"cannot be read", 60)
        assert player.wait_for_end()[0] == 0


def test_it_reads_every_kind_of_event(tmp_path: Path) -> None:
    writer = AsciicastWriter(Header(80, 24, NOW, tags=("ssh",)))
    second = timedelta(seconds=1)
    lines = [
        writer.header(),
        writer.output(NOW, "$ "),
        writer.input(NOW + second, "x"),
        writer.resize(NOW + second, 100, 30),
        writer.marker(NOW + 2 * second, "here"),
        writer.exit(NOW + 3 * second, 7),
    ]
    path = tmp_path / "all.cast"
    path.write_bytes(b"".join(lines))
    _, *events = map(json.loads, convert(path, "asciicast-v3").splitlines())
    assert [tuple(event) for event in events] == [
        *[(0, "o", "$ "), (1, "i", "x"), (0, "r", "100x30"), (1, "m", "here"), (1, "x", "7")]
    ]

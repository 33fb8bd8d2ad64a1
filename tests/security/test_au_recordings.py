# SPDX-License-Identifier: Apache-2.0
"""Recordings that are written over, exchanged or lost, by somebody who has every key of the data folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.data_folder import put_journal, put_recording, recordings
from support.evidence import SESSION, chunk, chunk_leaf, end, frame, recording_header, sealed_leaf, start
from support.notary import folders

from gatebook.vault.verification import verify_data

OTHER = "s_ghijkl"
MADE = {name: chunk(0, [frame(">", text)], name) for name, text in ((SESSION, b"first"), (OTHER, b"other"))}
FORGED = chunk(0, [frame(">", b"nobody said this")])  # by the same key, at the same place: it opens


@pytest.fixture
def book(tmp_path: Path) -> Path:
    entries: list[bytes | tuple[bytes, bytes]] = []
    for name, data in MADE.items():
        entries += [start(session=name), end(1, name), chunk_leaf(0, data, 1, name), sealed_leaf([data], 1, name)]
        put_recording(tmp_path / "recordings", recording_header(name) + data, name)
    put_journal(tmp_path / "journal", entries)
    return tmp_path


def findings(root: Path) -> list[tuple[str, str]]:
    report = verify_data(folders(root), recordings(root / "recordings"))
    return [(finding.name, finding.subject) for finding in report.findings]


def path_of(root: Path, session: str) -> Path:
    return recordings(root / "recordings").path_of(session)


def _swap(root: Path) -> None:
    ours, theirs = path_of(root, SESSION), path_of(root, OTHER)
    for suffix in (".rec", ".key"):
        kept = ours.with_suffix(suffix).read_bytes()
        ours.with_suffix(suffix).write_bytes(theirs.with_suffix(suffix).read_bytes())
        theirs.with_suffix(suffix).write_bytes(kept)


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        pytest.param(
            lambda root: path_of(root, SESSION).write_bytes(recording_header() + FORGED),
            [("recording_chunk", SESSION)],
            id="written over with what its own key has sealed",
        ),
        pytest.param(
            lambda root: path_of(root, SESSION).write_bytes(recording_header() + MADE[SESSION] + FORGED),
            [("recording_torn", SESSION)],
            id="something put behind it",
        ),
        pytest.param(
            lambda root: path_of(root, SESSION).write_bytes(recording_header()),
            [("recording_cut", SESSION)],
            id="emptied",
        ),
        pytest.param(lambda root: path_of(root, SESSION).unlink(), [("recording_missing", SESSION)], id="lost"),
        pytest.param(
            _swap,
            [
                ("recording_header", SESSION),
                ("recording_header", OTHER),
                ("key_unusable", SESSION),
                ("key_unusable", OTHER),
            ],
            id="exchanged with another, key and all",
        ),
    ],
)
def test_au_14_a_recording_is_what_was_entered_or_it_is_told(
    book: Path, harm: Callable[[Path], object], found: list[tuple[str, str]]
) -> None:
    assert findings(book) == []
    harm(book)
    assert sorted(findings(book)) == sorted(found)

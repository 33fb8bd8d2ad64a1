# SPDX-License-Identifier: Apache-2.0
"""The account of a data folder, and of each way to tamper with it: nothing is missing unseen."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.data_folder import locked
from support.evidence import NOW, end, header, intent, leaf, outcome, records, sealed_leaf, start
from support.notary import findings as pairs
from support.notary import folders, seal, verify, write_entries

from gatebook.evidence.journal_format import HEADER_BYTES, parse_header, read_records, start_of
from gatebook.vault.journal import JournalWriter
from gatebook.vault.reporting import BookAccount, account_for

GATE_START = leaf("gateway.start", version="0", policy="p", config="c")
GATE_STOP = leaf("gateway.stop", cause="told to stop", sessions=0)


def session(name: str) -> list[bytes]:
    return [
        start(session=name),
        intent(1, 1, session=name),
        outcome(1, 2, session=name),
        end(3, session=name),
        sealed_leaf([], 0, session=name),
    ]


WHOLE = [GATE_START, *session("s_1"), *session("s_2"), GATE_STOP]


def write(root: Path, leaves: Sequence[bytes], *, segment_bytes: int = 1 << 16) -> None:
    with JournalWriter.open(root / "journal", "gate", sync="privileged", segment_bytes=segment_bytes) as journal:
        for one in leaves:
            journal.append(one, durable=False)


def report(root: Path, now: datetime = NOW) -> BookAccount:
    return account_for(folders(root), 60, now)


def found(book: BookAccount) -> list[tuple[str, str]]:
    return [(one.name, one.subject) for report in book.reports() for one in report.findings]


def rewrite(root: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the entries of the gate's journal and link all of it anew, as its own code would."""
    folder = root / "journal" / "gate"
    leaves: list[bytes] = []
    for path in sorted(folder.glob("*.seg")):
        with path.open("rb") as file:
            place = start_of(parse_header(file.read(HEADER_BYTES)))
            leaves += [record.leaf for record in read_records(file.read, place)]
        path.unlink()
    (folder / f"{1:020}.seg").write_bytes(header() + records(change(leaves))[0])


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Two sessions sealed, and a third that is not."""
    write(tmp_path, WHOLE)
    seal(tmp_path)
    write(tmp_path, [GATE_START, *session("s_3"), GATE_STOP])
    return tmp_path


def test_a_whole_book_is_accounted_for_sealed_or_not(book: Path) -> None:
    told = report(book, NOW + timedelta(seconds=9))
    assert (found(told), told.ok) == ([], True)
    assert (told.sealed, told.not_sealed, told.waiting_since) == (12, {"gate": 7}, NOW)
    assert abs((told.signed_at or NOW) - datetime.now(UTC)) < timedelta(minutes=1)
    counts = told.accounts["gate"].counts
    assert (counts["entries"], counts["starts"], counts["stops"], counts["sessions ended"]) == (19, 2, 2, 3)
    assert verify(book).checked["entries"] == 19, "as many as a verification sees"


def test_a_folder_with_nothing_is_accounted_for(tmp_path: Path) -> None:
    told = report(tmp_path)
    assert (told.ok, told.accounts, told.sealed, told.signed_at) == (True, {}, 0, None)


def test_journals_that_were_never_sealed_are_read_whole(tmp_path: Path) -> None:
    write(tmp_path, WHOLE)
    told = report(tmp_path)
    assert (told.ok, told.not_sealed, told.accounts["gate"].counts["sessions ended"]) == (True, {"gate": 12}, 2)


def test_every_writer_has_its_own_account(book: Path) -> None:
    write_entries(book, "other", 3)
    told = report(book)
    assert {name: account.counts["entries"] for name, account in told.accounts.items()} == {"gate": 19, "other": 3}


def test_what_is_open_is_no_gap_while_the_gate_lives(tmp_path: Path) -> None:
    write(tmp_path, [GATE_START, *session("s_1")[:2]])
    with locked(tmp_path / "journal" / "gate"):
        told = report(tmp_path)
        assert (found(told), told.accounts["gate"].is_running) == ([], True)
        assert told.accounts["gate"].counts["sessions open"] == 1
    told = report(tmp_path)
    assert found(told) == [
        ("session_without_end", "s_1"),
        ("intent_without_outcome", "s_1"),
        ("run_without_stop", "gate"),
    ]


def test_a_gate_that_starts_while_it_is_read_is_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [GATE_START, *session("s_1")[:2]])
    answers = iter([True, False])  # it lives when it is first looked at, and has ended when its journal was read
    monkeypatch.setattr("gatebook.vault.reporting.writer_lives", lambda _: next(answers, False))
    assert found(report(tmp_path)) == []
    answers = iter([False, True])
    assert found(report(tmp_path)) == []
    assert found(report(tmp_path)) != []


def test_many_segments_are_one_account(tmp_path: Path) -> None:
    leaves = [GATE_START, *(one for number in range(100) for one in session(f"s_{number}")), GATE_STOP]
    write(tmp_path, leaves[:300], segment_bytes=1 << 16)
    seal(tmp_path)
    write(tmp_path, leaves[300:], segment_bytes=1 << 16)
    assert len(list((tmp_path / "journal" / "gate").glob("*.seg"))) > 1
    told = report(tmp_path)
    assert (found(told), told.accounts["gate"].counts["entries"], told.sealed) == ([], 502, 300)


# ── what somebody does to it ────────────────────────────────────────────────────────────────────


def drop(*places: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda leaves: [one for place, one in enumerate(leaves) if place not in places]


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        (13, {("seq_missing", "s_3"), ("session_without_start", "s_3")}),
        (14, {("seq_missing", "s_3"), ("outcome_without_intent", "s_3")}),
        (15, {("seq_missing", "s_3"), ("intent_without_outcome", "s_3")}),
        (16, {("session_without_end", "s_3")}),
        (17, {("recording_unsealed", "s_3")}),
        (18, {("run_without_stop", "gate")}),
    ],
)
def test_an_entry_removed_from_what_is_not_sealed_is_found(
    book: Path, place: int, wanted: set[tuple[str, str]]
) -> None:
    rewrite(book, drop(place))
    told = report(book)
    assert not told.ok
    assert set(found(told)) == wanted


@pytest.mark.parametrize("places", [(3,), (0,), (11,), tuple(range(1, 6))])
def test_entries_removed_from_what_is_sealed_of_a_journal_are_found(book: Path, places: tuple[int, ...]) -> None:
    rewrite(book, drop(*places))
    told = report(book)
    assert ("journal_differs", "gate") in found(told)
    assert not told.ok


def test_a_journal_that_was_cut_is_found(book: Path) -> None:
    rewrite(book, lambda leaves: leaves[:10])
    told = report(book)
    assert found(told) == [("journal_shorter", "gate")]
    assert told.accounts["gate"].counts["sessions ended"] == 2, "the ledger has them"


def test_a_journal_that_is_gone_is_found(book: Path) -> None:
    shutil.rmtree(book / "journal" / "gate")
    assert found(report(book)) == [("journal_missing", "gate")]


def test_a_link_that_was_not_made_anew_is_found(book: Path) -> None:
    (path,) = (book / "journal" / "gate").glob("*.seg")
    data = path.read_bytes()
    at = data.rindex(b"told to stop")
    path.write_bytes(data[:at] + b"told to halt" + data[at + 12 :])
    assert found(report(book)) == [("journal_link", "gate/19")]


def test_a_journal_that_is_torn_is_found(book: Path) -> None:
    (path,) = (book / "journal" / "gate").glob("*.seg")
    data = path.read_bytes()
    at = data.rindex(b"told to stop")
    path.write_bytes(data[:at])
    assert found(report(book)) == [("journal_torn", "gate/1"), ("run_without_stop", "gate")]


def test_entries_of_the_ledger_that_were_changed_are_found(book: Path) -> None:
    (bundle,) = (path for path in (folders(book).ledger / "tile" / "entries").rglob("*") if path.is_file())
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b"told to stop", b"told to halt"))
    names = {name for name, _ in found(report(book))}
    assert {"ledger_entry", "ledger_root"} <= names


def test_a_bundle_that_is_gone_leaves_the_journal_to_account_for(book: Path) -> None:
    shutil.rmtree(folders(book).ledger / "tile" / "entries")
    told = report(book)
    assert [name for name, _ in found(told)] == ["tile_missing"]
    assert told.accounts["gate"].counts["sessions ended"] == 3


def test_a_checkpoint_that_is_gone_is_found(book: Path) -> None:
    (folders(book).ledger / "checkpoint").unlink()
    told = report(book)
    assert found(told) == [("checkpoint_missing", "checkpoint")]
    assert told.accounts["gate"].counts["entries"] == 19


def test_a_verification_finds_the_same_of_sessions(book: Path) -> None:
    rewrite(book, drop(14, 16))
    same = {"seq_missing", "outcome_without_intent", "session_without_end"}
    assert {one for one in found(report(book)) if one[0] in same} == {
        one for one in pairs(verify(book)) if one[0] in same
    }


def test_segments_that_are_sealed_and_removed_are_no_gap(tmp_path: Path) -> None:
    leaves = [GATE_START, *(one for number in range(100) for one in session(f"s_{number}")), GATE_STOP]
    write(tmp_path, leaves)
    seal(tmp_path)
    first, *others = sorted((tmp_path / "journal" / "gate").glob("*.seg"))
    assert others
    first.unlink()
    told = report(tmp_path)
    assert (found(told), told.accounts["gate"].counts["entries"]) == ([], 502)

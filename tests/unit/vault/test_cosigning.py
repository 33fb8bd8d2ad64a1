# SPDX-License-Identifier: Apache-2.0
"""A notary with witnesses: cosignatures come or do not, and sealing goes on whatever a witness does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.notary import folders, write_entries
from support.witness import NOTARY, TIME, Stranger, eventually, next_news, open_notary, open_witness, seal, strangers

from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.cosignature import Cosignature, find_cosignatures
from gatebook.evidence.witnessed import Seen
from gatebook.vault import cosigning
from gatebook.vault.cosigning import Answer
from gatebook.vault.notary import Notary, read_seen


def found(root: Path, asked: list[Stranger], name: str = "checkpoint") -> list[Cosignature]:
    return find_cosignatures((folders(root).ledger / name).read_bytes(), [one.witness.key for one in asked])


def cosigned_size(root: Path) -> int:
    path = folders(root).ledger / "checkpoint.cosigned"
    return open_checkpoint(path.read_bytes(), NOTARY.verifier).size if path.exists() else 0


def news(notary: Notary) -> list[str]:
    return [one.what for one in notary._witnesses.news()]


def test_a_checkpoint_is_published_with_the_cosignatures_of_all(tmp_path: Path) -> None:
    asked = strangers(tmp_path, 3)
    write_entries(tmp_path, "gate", 300)
    assert seal(tmp_path, asked) == 300
    assert [(one.key.name, one.time) for one in found(tmp_path, asked)] == [
        (f"witness.example/w{number}", TIME) for number in range(3)
    ]
    assert (folders(tmp_path).ledger / "checkpoint.cosigned").read_bytes() == (
        folders(tmp_path).ledger / "checkpoint"
    ).read_bytes()
    assert read_seen(folders(tmp_path).notary) == {f"w{number}": Seen(300, 300, TIME) for number in range(3)}


def test_a_ledger_goes_on_with_its_witness_over_restarts_of_both(tmp_path: Path) -> None:
    for turn in range(4):
        witness = open_witness(tmp_path / "w")
        asked = [Stranger(witness)]
        write_entries(tmp_path, "gate", 200, first=200 * turn)
        assert seal(tmp_path, asked) == 200 * (turn + 1)
        assert len(found(tmp_path, asked)) == 1
        assert [body.partition(b"\n")[0] for body in asked[0].asked] == [b"old %d" % (200 * turn)]
        witness.close()


def test_a_notary_that_forgot_the_size_asks_once_more(tmp_path: Path) -> None:
    asked = strangers(tmp_path, 1)
    write_entries(tmp_path, "gate", 300)
    seal(tmp_path, asked)
    (folders(tmp_path).notary / "witnesses").unlink()
    write_entries(tmp_path, "gate", 300, first=300)
    seal(tmp_path, asked)
    assert len(found(tmp_path, asked)) == 1
    assert [body.partition(b"\n")[0] for body in asked[0].asked] == [b"old 0", b"old 0", b"old 300"]


def test_an_empty_ledger_is_not_shown(tmp_path: Path) -> None:
    asked = strangers(tmp_path, 1)
    (tmp_path / "journal").mkdir()
    assert seal(tmp_path, asked) == 0
    assert asked[0].asked == []


def test_one_that_is_down_holds_nothing_up_and_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosigning, "FIRST_RETRY_S", 0.01)
    up, down = asked = strangers(tmp_path, 2)
    down.down = True
    write_entries(tmp_path, "gate", 10)
    notary = open_notary(tmp_path, asked)
    assert notary.seal().size == 10
    assert [one.key for one in found(tmp_path, asked)] == [up.witness.key]
    assert cosigned_size(tmp_path) == 0
    down.down = False

    def has_both() -> bool:
        notary.seal()
        return len(found(tmp_path, asked)) == 2

    eventually(has_both)
    assert cosigned_size(tmp_path) == 10
    notary.close()


def test_one_that_fails_is_not_waited_for(tmp_path: Path) -> None:
    (down,) = asked = strangers(tmp_path, 1)
    down.down = True
    notary = open_notary(tmp_path, asked)
    write_entries(tmp_path, "gate", 10)
    notary.seal()
    write_entries(tmp_path, "gate", 10, first=10)
    began = time.monotonic()
    notary._witnesses.wait(5.0)
    assert time.monotonic() - began < 1.0
    assert notary.seal().size == 20
    notary.close()


def test_one_that_is_slow_delays_by_the_bound_and_its_line_is_added_later(tmp_path: Path) -> None:
    quick, slow = asked = strangers(tmp_path, 2)
    slow.let.clear()
    notary = open_notary(tmp_path, asked)
    write_entries(tmp_path, "gate", 10)
    began = time.monotonic()
    notary.seal()
    assert cosigning.WAIT_S <= time.monotonic() - began < cosigning.WAIT_S + 3.0
    assert [one.key for one in found(tmp_path, asked)] == [quick.witness.key]
    slow.let.set()

    def has_both() -> bool:
        notary.seal()
        return len(found(tmp_path, asked)) == 2

    eventually(has_both)
    notary.close()


def test_slow_ones_cosign_the_same_checkpoint_under_load(tmp_path: Path) -> None:
    first, second = asked = strangers(tmp_path, 2)
    notary = open_notary(tmp_path, asked)
    for one in asked:
        one.let.clear()
    size = 0
    for turn in range(12):
        write_entries(tmp_path, "gate", 30, first=30 * turn)
        size = notary.seal().size
        (first, second)[turn % 2].let.set()
        (first, second)[(turn + 1) % 2].let.clear()
    for one in asked:
        one.let.set()
    eventually(lambda: not notary.seal().entries and cosigned_size(tmp_path) == size)
    notary.close()


def test_a_quorum_is_enough(tmp_path: Path) -> None:
    asked = strangers(tmp_path, 3)
    asked[1].down = True
    write_entries(tmp_path, "gate", 10)
    assert seal(tmp_path, asked, quorum=2) == 10
    assert cosigned_size(tmp_path) == 10


def test_an_outage_is_told_once_and_its_end_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosigning, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(cosigning, "OUTAGE_S", 0.2)
    (one,) = asked = strangers(tmp_path, 1)
    one.down = True
    notary = open_notary(tmp_path, asked)
    write_entries(tmp_path, "gate", 10)
    notary.seal()
    told = next_news(notary._witnesses)
    write_entries(tmp_path, "gate", 10, first=10)
    notary.seal()
    assert told + news(notary) == ["fewer than 1 witnesses cosign: w0 cannot be reached: nobody is there"]
    one.down = False
    told = next_news(notary._witnesses)
    assert told + news(notary) == ["witnesses cosign again"]
    notary.close()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b""),
        Answer(200, b"nothing of the kind\n"),
        Answer(500, b"broken\n"),
        Answer(403, b"not you\n"),
        Answer(404, b"who are you\n"),
        Answer(302, b""),
        Answer(409, b"five\n"),
        Answer(409, b"3\n"),
    ],
)
def test_an_answer_that_is_none_counts_as_failing(tmp_path: Path, answer: Answer) -> None:
    (one,) = asked = strangers(tmp_path, 1)
    one.change = lambda _: answer
    notary = open_notary(tmp_path, asked)
    write_entries(tmp_path, "gate", 10)
    assert notary.seal().size == 10
    eventually(lambda: bool(notary._witnesses._seats[0].trouble))
    assert found(tmp_path, asked) == []
    assert news(notary) == []
    notary.close()


def forge(answer: Answer) -> Answer:
    return Answer(
        answer.status, answer.body[:-8] + (b"AAAAAAA\n" if answer.body[-8:] != b"AAAAAAA\n" else b"BBBBBBB\n")
    )


def test_a_signature_that_is_not_good_is_never_published(tmp_path: Path) -> None:
    honest, liar = asked = strangers(tmp_path, 2)
    liar.change = forge
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path, asked, quorum=1)
    assert [one.key for one in found(tmp_path, asked)] == [honest.witness.key]


def test_a_time_that_is_still_to_come_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.witness.TIME", 1 << 60)
    asked = strangers(tmp_path, 1)
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path, asked)
    assert found(tmp_path, asked) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(422, b""), "witness `w0` says that the ledger of 10 does not continue the 0 it has seen"),
        (Answer(409, b"11\n"), "witness `w0` has seen a ledger of 11, and this one has 10"),
    ],
)
def test_another_past_is_told_at_once_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, words: str
) -> None:
    monkeypatch.setattr(cosigning, "CONTRADICTED_S", 0.01)
    (one,) = asked = strangers(tmp_path, 1)
    one.change = lambda _: answer
    notary = open_notary(tmp_path, asked)
    write_entries(tmp_path, "gate", 10)
    notary.seal()
    eventually(lambda: len(one.asked) > 2)
    assert news(notary) == [words]
    one.change = lambda answer: answer
    assert next_news(notary._witnesses) == ["witness `w0` cosigns again"]
    notary.close()


def test_what_is_published_is_not_asked_for_again(tmp_path: Path) -> None:
    asked = strangers(tmp_path, 2)
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path, asked)
    before = (folders(tmp_path).ledger / "checkpoint").read_bytes()
    count = [len(one.asked) for one in asked]
    assert seal(tmp_path, asked) == 10
    assert (folders(tmp_path).ledger / "checkpoint").read_bytes() == before
    assert [len(one.asked) for one in asked] == count


def test_a_published_line_that_somebody_changed_is_asked_for_again(tmp_path: Path) -> None:
    asked = strangers(tmp_path, 1)
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path, asked)
    path = folders(tmp_path).ledger / "checkpoint"
    good = path.read_bytes()
    path.write_bytes(good[:-8] + b"AAAAAAA\n")
    (folders(tmp_path).ledger / "checkpoint.cosigned").unlink()
    notary = open_notary(tmp_path, asked)
    eventually(lambda: not notary.seal().entries and path.read_bytes() == good)
    notary.close()


def test_offers_that_wait_are_bounded(tmp_path: Path) -> None:
    (one,) = asked = strangers(tmp_path, 1)
    one.down = True
    notary = open_notary(tmp_path, asked)
    for turn in range(cosigning.MAX_OFFERS + 5):
        write_entries(tmp_path, "gate", 1, first=turn)
        notary.seal()
    assert len(notary._witnesses._offers) == cosigning.MAX_OFFERS
    notary.close()

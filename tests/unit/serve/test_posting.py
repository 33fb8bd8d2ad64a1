# SPDX-License-Identifier: Apache-2.0
"""Posting: one request within bounds, no redirect, and no word of the address in what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.receiver import CUT, HANG, LONG_ANSWER, Siem, siem

from gatebook.serve import posting
from gatebook.serve.posting import Answer, NotAcknowledged, Poster, one_line, retry_after_s

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def running() -> Iterator[Siem]:
    with siem() as made:
        yield made


def post(url: str, roots: Path | None = None) -> Answer:
    async def work() -> Answer:
        poster = Poster(roots)
        try:
            return await poster.post(url, {"content-type": "application/json"}, b"{}")
        finally:
            await poster.close()

    return asyncio.run(work())


@pytest.mark.parametrize("status", [200, 204, 302, 404, 500])
def test_a_status_is_told_and_no_redirect_followed(running: Siem, status: int) -> None:
    running.told.answer = status
    answer = post(running.url)
    assert (answer.status, answer.is_success) == (status, status < 300)
    assert [request["path"] for request in running.told.requests] == ["/in"]


def test_how_long_to_stay_away_is_told(running: Siem) -> None:
    running.told.answer, running.told.answer_headers = 429, {"retry-after": "7"}
    assert post(running.url) == Answer(429, 7.0)


@pytest.mark.parametrize(("does", "words"), [(CUT, "cannot be reached"), (LONG_ANSWER, "more than 65536 bytes")])
def test_no_whole_answer_is_none(running: Siem, does: str, words: str) -> None:
    running.told.answer = does
    with pytest.raises(NotAcknowledged, match=words):
        post(running.url)


def test_silence_has_an_end(running: Siem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "REQUEST_S", 0.2)
    running.told.answer = HANG
    with pytest.raises(NotAcknowledged, match="longer than"):
        post(running.url)


def test_roots_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotAcknowledged, match="roots of the receiver cannot be read"):
        post("https://127.0.0.1:9", tmp_path / "none.pem")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("99999999999999999999", 3600.0),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30.0),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 25 Nov 2026 18:00:00 GMT", 3600.0),
        ("Wed, 25 Nov 2026 12:00:30 -0000", 0.0),
        ("", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("²", 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(value: str, seconds: float) -> None:
    assert retry_after_s(value, NOW) == seconds


def test_words_of_a_fault_never_have_the_address() -> None:
    url = "https://hooks.example/services/T0/B0/key?sig=planted"
    for words in (f"no route to {url}\nat all", "bad path /services/T0/B0/key?sig=planted", "bad query sig=planted"):
        told = one_line(ValueError(words), url)
        assert "planted" not in told
        assert "B0" not in told
        assert "\n" not in told
    assert one_line(TimeoutError()) == "TimeoutError"

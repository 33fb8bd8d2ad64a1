# SPDX-License-Identifier: Apache-2.0
"""The page of a bundle: everything is in it, and nothing in it acts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from support.evidence import SESSION, end, held, intent, leaf, outcome, refused, session_leaf
from support.record import KEYS, ended, requested, voted, whole

from gatebook.evidence import bundle_page
from gatebook.evidence.bundle import Manifest
from gatebook.evidence.bundle_page import render_page
from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.bundle_story import tell
from gatebook.evidence.entry import Leaf, decode_leaf
from gatebook.model.approval import Choice

NASTY = "\x1b[31m<script>alert(1)</script>\n\u202e\"'&"
COUNTS = {"entries": 3, "operations": 1, "private": 0, "recordings": 1, "sessions": 1}
MANIFEST = Manifest(
    made="2026-01-01T12:00:00.000000Z",
    by=NASTY,
    purpose=NASTY,
    version="0.1.0",
    origin="ledger.example/gatebook",
    size=7,
    selection=Selection(agent=NASTY, sessions=("s_1", "s_2")),
    counts=COUNTS,
    not_sealed={"gate": 2},
)


class Tags(HTMLParser):
    """Which elements, attributes and words a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def entries(text: str) -> list[bytes]:
    who: dict[str, Any] = {"identity": {"agent": {"sub": text}, "owner": {"sub": text}, "role": text}}
    where: dict[str, Any] = {"where": {"target": text, "database": text, "account": text}}
    start = session_leaf(
        "session.start",
        0,
        recording={},
        upstream={},
        parameters={"application_name": text, text.encode("ascii", "ignore").decode(): text},
        **who,
        **where,
    )
    action = {"shape": text, "verb": text, "accesses": [[text, text]]}
    decided: dict[str, Any] = {"action": action, "decision": {"result": "allow", "policies": [text], "reasons": [text]}}
    failed: dict[str, Any] = {"effect": {"status": "error", "sqlstate": "42P01", "duration_us": 1500, "rows": 2}}
    refused = session_leaf(
        "operation.refused", 3, operation=f"{SESSION}.2", refusal={"code": text}, via="query", **decided
    )
    login = leaf("authn", result="refused", failed=text, claimed={"user": text, "database": text}, source={"ip": text})
    counted = leaf("authn.counted", source={"ip": "::"}, failures=7, checks={"key": 7})
    odd = leaf(text)
    return [login, counted, start, intent(1, 1, **decided), outcome(1, 2, **failed), refused, end(4), odd]


def page(text: str, private: Leaf | None = None) -> str:
    leaves = [(number, decode_leaf(entry)) for number, entry in enumerate(entries(text))]
    return render_page(MANIFEST, tell(leaves, lambda *_: private or {})).decode()


def test_tells_who_what_decision_and_outcome() -> None:
    told = " ".join(re.sub(r"<[^>]+>", " ", page("word")).split())
    for words in (
        "Session s_abcdef",
        "word, owned by word",
        "application_name=word",
        "allow",
        "refuse",
        "error 42P01",
    ):
        assert words in told, words
    for words in ("1.5", "2026-01-01 12:00:00.000", "7 attempts", "client closed", "not sealed yet 2 of gate"):
        assert words in told, words


def test_tells_that_an_operation_was_held() -> None:
    leaves = [session_leaf("session.start", 0, parameters={}), held(1, 1), refused(1, 2), held(2, 3)]
    told = tell(enumerate(map(decode_leaf, leaves)), lambda *_: {})
    words = " ".join(re.sub(r"<[^>]+>", " ", render_page(MANIFEST, told).decode()).split())
    assert "refuse, held 0 s not run" in words
    assert "held not run" in words


def test_shows_statements_and_errors_only_where_they_are_disclosed() -> None:
    private: Leaf = {"text": "SELECT 42", "params": [{"text": "p"}], "error": {"message": "it failed"}}
    assert "SELECT 42" not in page("word")
    told = page("word", private)
    assert "<code>SELECT 42</code><br>with <code>p</code>" in told
    assert "it failed" in told


def test_nothing_that_a_peer_wrote_acts() -> None:
    whole = page(NASTY, {"text": NASTY, "params": [{"text": NASTY}], "error": {"message": NASTY}})
    assert all(ch.isprintable() or ch == "\n" for ch in whole)
    tags = Tags()
    tags.feed(whole)
    assert tags.tags.isdisjoint({"script", "a", "img", "iframe", "form", "link", "object", "base", "foreignobject"})
    assert not [name for name in tags.attributes if name.startswith("on") or name in {"href", "src", "style"}]
    assert "\\x1b[31m<script>alert(1)</script>\\n\\u202e\"'&" in tags.words
    assert [tag for tag in tags.open if tag != "html"] == []
    assert "default-src 'none'" in whole


def test_is_bounded_and_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_page, "MAX_OPERATIONS", 1)
    assert "2 operations, 1 of them not on this page" in page("word")
    monkeypatch.setattr(bundle_page, "MAX_SESSIONS", 0)
    assert "The first 0 sessions are on this page" in page("word")
    monkeypatch.undo()
    long = page("<" * 5000)
    assert "&lt;" * 997 + "..." in long
    assert len(long) < 100_000


def test_without_anything_it_is_a_page_all_the_same() -> None:
    told = render_page(MANIFEST, tell([], lambda *_: {})).decode()
    assert told.endswith("</body>\n</html>\n")
    assert "0 sessions, 0 operations" in told


def approved(**members: Leaf) -> str:
    """The page of an approved operation, with some entries others."""
    start = decode_leaf(session_leaf("session.start", 0, "s_1", parameters={}, identity={"grant": "apr_2"}))
    leaves = [start, *(members.get(name, one) for name, one in whole().items())]
    return render_page(MANIFEST, tell(enumerate(leaves), lambda *_: {})).decode()


def test_tells_who_asked_who_approved_how_and_until_when() -> None:
    page = approved()
    assert "<dd>, by approval apr_2</dd>" in page
    assert "<br>approval apr_1: approved by ana, bo</td>" in page
    assert "1 requests, 1 shown" in page
    row = page.partition("<h2>Approvals</h2>")[2].partition("</table>")[0].rpartition("<tr>")[2]
    key = KEYS["ana"].passkey.fingerprint
    assert row.startswith(
        "<td>9</td><td>apr_1</td><td>UPDATE</td><td>2026-01-01 12:00:10.000<br>answer by 2026-01-01 12:05:00.000</td>"
        f"<td>bot, owned by robin</td><td>2 of dba</td><td>ana approved 2026-01-01 12:00:20.000, by passkey {key}<br>bo"
    )
    assert row.endswith("<td>2026-01-01 12:01:22.000</td><td>used by s_1.3, 2026-01-01 12:00:30.000</td></tr>\n")


def test_tells_what_was_not_granted_or_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_page, "MAX_VOTES", 1)
    page = approved(granted=ended(50), used=ended(50), bo=voted("bo", 22, choice=Choice.DENY))
    assert "<br>and 1 more</td><td>not granted</td><td>withdrawn</td>" in page
    leaves = [requested()]
    assert (
        "<td>none</td><td>not granted</td><td>not used</td>"
        in render_page(MANIFEST, tell(enumerate(leaves), lambda *_: {})).decode()
    )


def test_nothing_that_a_voter_wrote_acts() -> None:
    vote = voted("bo", 22)
    said = vote | {"vote": {**vote["vote"], "reason": NASTY}}  # type: ignore[dict-item]  # an object
    tags = Tags()
    tags.feed(approved(bo=said, requested=requested(IDENTITY_OF_NASTY)))
    assert "script" not in tags.tags


IDENTITY_OF_NASTY = {"identity": {"agent": {"sub": NASTY}}, "hold": {"approvers": [[NASTY, 1]]}, "verbs": [NASTY]}

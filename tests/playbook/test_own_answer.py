# SPDX-License-Identifier: Apache-2.0
"""Playbooks of verdicts that come late: one serves the message it was asked for, and none that stands in its place."""

from __future__ import annotations

from support import pgwire
from support.play import allow, logged_in
from support.states import open_group

DIVIDED = pgwire.error("22012", "division by zero")


def test_a_question_about_what_the_server_skips_is_forgotten_and_its_verdict_serves_nothing() -> None:
    play = open_group()
    play.client(pgwire.parse("SELECT 2", "harmless"), ("ask",))
    asked = play.ticket
    play.upstream(DIVIDED, ("client", DIVIDED), ("forget", asked))
    play.does(lambda: play.conversation.answer(asked, allow("SELECT")))
    play.client(pgwire.SYNC, ("upstream", pgwire.SYNC))
    play.upstream(pgwire.READY, ("client", pgwire.READY))
    play.client(pgwire.query("DROP TABLE t"), ("ask",))
    assert play.question.text == b"DROP TABLE t"


def test_a_name_that_means_something_else_by_now_is_asked_about_again() -> None:
    play = logged_in()
    play.client(pgwire.parse("SELECT 1", "s") + pgwire.SYNC, ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.parse("SELECT 1", "s") + pgwire.SYNC))
    play.upstream(pgwire.PARSED + pgwire.READY, ("client", pgwire.PARSED + pgwire.READY))
    again = pgwire.query("DEALLOCATE s; PREPARE s AS DROP TABLE t")
    play.client(again, ("ask",))
    play.answer(allow("PREPARE", effects=(("prepare", "s"),)), ("upstream", again))
    play.client(pgwire.bind("s") + pgwire.execute() + pgwire.SYNC, ("ask",))
    assert play.question.text == b"SELECT 1"
    prepared = pgwire.complete("PREPARE") + pgwire.READY
    play.upstream(prepared, ("client", prepared))
    play.answer(allow("SELECT"), ("ask",))
    assert play.question.text == again[5:-1]

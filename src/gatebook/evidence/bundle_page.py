# SPDX-License-Identifier: Apache-2.0
"""The page `index.html` of a bundle: sessions and operations in the order of time, for people, as one file.

SPEC: docs/spec/bundle.md, "Members". No script, nothing is loaded, and a policy in the page forbids both. Whatever a
peer wrote goes through `_text`: first made visible (`harmless`), then cut, then escaped for HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from html import escape

from gatebook.evidence.approval_story import ToldApproval, ToldVote
from gatebook.evidence.bundle import DISCLOSED, Manifest
from gatebook.evidence.bundle_story import Story, ToldOperation, ToldSession
from gatebook.evidence.bundle_timeline import draw_timeline
from gatebook.evidence.harmless import harmless
from gatebook.evidence.sessions import HELD

MAX_SESSIONS = 500  # LIMIT: with these bounds a page stays below 64 MiB whatever clients wrote
MAX_OPERATIONS = 5000
MAX_LOGINS = 1000
MAX_APPROVALS = 200
MAX_VOTES = 20  # of an approval
MAX_CELL = 1000  # characters
MAX_WORD = 200

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Gatebook bundle</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em; color: #1b1b1b }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2em; border-top: 1px solid #bbb; padding-top: 1em }
table { border-collapse: collapse; width: 100% } caption { text-align: left; color: #555 }
th, td { text-align: left; vertical-align: top; padding: .2em .6em; border-bottom: 1px solid #ddd }
dt { float: left; clear: left; width: 9em; color: #555 } dd { margin: 0 0 0 9.5em; overflow-wrap: anywhere }
code { font: 13px/1.4 monospace; overflow-wrap: anywhere; white-space: pre-wrap }
.no { font-weight: bold; color: #9b1c1c } .note { background: #f4f1e6; padding: .6em 1em }
svg { width: 100%; height: auto; border: 1px solid #ddd } svg text { font: 11px sans-serif }
</style>
</head>
<body>
"""


def render_page(manifest: Manifest, story: Story) -> bytes:
    """Return the page. The same manifest and entries give the same bytes."""
    shown = list(story.sessions.values())[:MAX_SESSIONS]
    parts = [_HEAD, *_about(manifest), *_overview(story, shown)]
    room = MAX_OPERATIONS
    for session in shown:
        parts += _session(session, session.operations[:room], story.approvals)
        room -= min(room, len(session.operations))
    parts += [*_approvals(story), *_logins(story), *_others(story), "</body>\n</html>\n"]
    return "".join(parts).encode()


def _about(manifest: Manifest) -> Iterator[str]:
    asked = manifest.selection.to_value()
    words = {
        "made": f"{manifest.made} by {manifest.by}, with Gatebook {manifest.version}",
        "purpose": manifest.purpose,
        "ledger": f"{manifest.origin}; looked at: the first {manifest.size:,} entries",
        "asked for": ", ".join(f"{name} {_listed(value)}" for name, value in asked.items()),
        "here": ", ".join(
            f"{count:,} {name.replace('private', 'private parts')}" for name, count in manifest.counts.items()
        ),
        "not sealed yet": ", ".join(f"{count:,} of {name}" for name, count in manifest.not_sealed.items()) or "nothing",
        "contents": "disclosed: keys are in this bundle"
        if manifest.contents == DISCLOSED
        else "sealed: no key is here",
    }
    yield "<h1>Evidence from a Gatebook gate</h1>\n"
    yield '<p class="note">This page proves nothing by itself: it is a reading of the file <code>entries</code>. '
    yield "Verify the bundle first, with a key that did not come with it: <code>README.txt</code> says how.</p>\n"
    yield _facts(words)


def _overview(story: Story, shown: list[ToldSession]) -> Iterator[str]:
    yield f"<h2>{len(story.sessions):,} sessions, {story.operations:,} operations</h2>\n"
    if len(story.sessions) > len(shown):
        yield f"<p>The first {len(shown):,} sessions are on this page; all are in <code>entries</code>.</p>\n"
    yield draw_timeline(shown)


def _session(
    session: ToldSession, operations: list[ToldOperation], approvals: Mapping[str, ToldApproval]
) -> Iterator[str]:
    about = session.summary
    yield f"<h2>Session {_text(about.id)}</h2>\n"
    yield _facts(
        {
            "who": about.principal + (f", owned by {about.owner}" if about.owner else ""),
            "role": about.role + (f", by approval {session.approval}" if session.approval else ""),
            "target": f"{about.target}, database {about.database}, as {about.account}",
            "from": about.address,
            "client said": ", ".join(f"{name}={value}" for name, value in session.parameters.items()),
            "started": _time(about.started_at),
            "ended": f"{_time(about.ended_at)} {about.cause}" if about.ended_at else "not within this bundle",
        }
    )
    hidden = len(session.operations) - len(operations)
    caption = f"{len(session.operations):,} operations" + (f", {hidden:,} of them not on this page" if hidden else "")
    names = ("entry", "time (UTC)", "what", "accesses", "decision", "decided by", "outcome", "rows", "ms")
    yield _table(caption, names, (_operation(one, approvals.get(one.approval)) for one in operations))


def _operation(operation: ToldOperation, approval: ToldApproval | None) -> tuple[str, ...]:
    about = operation.summary
    what = f"<code>{_text(operation.text or about.shape or about.verb, MAX_CELL)}</code>"
    if operation.params:
        what += f"<br>with <code>{_text(', '.join(operation.params), MAX_CELL)}</code>"
    is_refused, is_held = about.result == "refuse", about.result == HELD
    decided = _text(about.decided)
    decision = f'<span class="no">{decided}</span> {_text(about.refusal)}' if is_refused else decided
    if approval is not None:
        consenting = ", ".join(approval.consenting[:MAX_VOTES]) or "nobody"
        words = _text(f"approval {approval.id}: approved by {consenting}")
        decision += f"<br>{words}"
    came = f"{about.status} {about.sqlstate}".strip() or ("not run" if is_refused or is_held else "none yet")
    outcome = _text(came) + (f"<br>{_text(operation.error, MAX_CELL)}" if operation.error else "")
    return (
        str(operation.index),
        _time(about.at),
        what,
        _text(", ".join(f"{action} {thing}" for action, thing in about.accesses), MAX_CELL),
        decision,
        _text(", ".join(about.policies) or "; ".join(about.reasons), MAX_CELL),
        outcome,
        f"{about.rows:,}",
        f"{about.duration_us / 1000:.1f}",
    )


def _approvals(story: Story) -> Iterator[str]:
    if not story.approvals:
        return
    shown = list(story.approvals.values())[:MAX_APPROVALS]
    yield "<h2>Approvals</h2>\n"
    names = ("entry", "request", "what", "asked", "by", "needed", "votes", "may be used until", "came of it")
    yield _table(f"{len(story.approvals):,} requests, {len(shown):,} shown", names, map(_approval, shown))


def _approval(told: ToldApproval) -> tuple[str, ...]:
    votes = "<br>".join(map(_vote, told.votes[:MAX_VOTES]))
    hidden = len(told.votes) - MAX_VOTES
    uses = [f"used by {operation}, {_time(at)}" for operation, at in told.uses[:MAX_VOTES]]
    return (
        str(told.index),
        _text(told.id),
        _text(told.what),
        f"{_time(told.asked_at)}<br>answer by {_time(told.expires_at)}",
        _text(told.asker),
        _text(told.needs),
        (votes or "none") + (f"<br>and {hidden:,} more" if hidden > 0 else ""),
        _time(told.until) or "not granted",
        "<br>".join(_text(one) for one in [*uses, told.end] if one) or "not used",
    )


def _vote(vote: ToldVote) -> str:
    how = f"{vote.how} {vote.key}".strip()
    said = f", saying: {vote.reason}" if vote.reason else ""
    choice = {"approve": "approved", "deny": "denied", "review": "reviewed"}.get(vote.choice, vote.choice)
    return _text(f"{vote.person} {choice} {_time(vote.at)}, by {how}{said}", MAX_CELL)


def _logins(story: Story) -> Iterator[str]:
    if not story.logins:
        return
    shown = story.logins[:MAX_LOGINS]
    yield "<h2>Logins</h2>\n"
    rows = (
        (
            _time(login.at),
            _text(login.source),
            _text(login.user) if login.times == 1 else f"{login.times:,} attempts",
            _text(login.target),
            _text(login.result) if login.result == "accepted" else f'<span class="no">{_text(login.result)}</span>',
            _text(login.failed),
            _text(login.session or login.credential),
        )
        for login in shown
    )
    names = ("time (UTC)", "from", "user", "target", "result", "failed check", "session or credential")
    yield _table(f"{len(story.logins):,} attempts, {len(shown):,} shown", names, rows)


def _others(story: Story) -> Iterator[str]:
    if story.others:
        yield "<h2>Other entries</h2>\n"
        yield _table("", ("kind", "how many"), ((_text(name), f"{n:,}") for name, n in sorted(story.others.items())))


def _facts(facts: dict[str, str]) -> str:
    rows = "".join(f"<dt>{name}</dt><dd>{_text(value, MAX_CELL) or '-'}</dd>\n" for name, value in facts.items())
    return f"<dl>\n{rows}</dl>\n"


def _table(caption: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; cells are HTML already."""
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table>\n<caption>{caption}</caption>\n<tr>{head}</tr>\n{body}</table>\n"


def _listed(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3]


def _text(text: str, limit: int = MAX_WORD) -> str:
    """Return what somebody wrote as HTML that shows it and does nothing."""
    visible = harmless(text)
    return escape(visible if len(visible) <= limit else visible[: limit - 3] + "...")

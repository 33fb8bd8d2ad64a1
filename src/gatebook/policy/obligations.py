# SPDX-License-Identifier: Apache-2.0
"""Annotations of policies: which there are, what each may say, and how what several ask for is joined.

An annotation that is not listed, or says what is not enforced, is a problem: such a policy set does not load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Final

from gatebook.model.approval import Cover, Hold, HoldMode, Requirement
from gatebook.model.errors import quoted
from gatebook.policy.faults import Problem

# LIMIT: people that one policy may ask for, uses of one approval, and the longest time that may be given.
MOST_APPROVERS: Final = 9
MOST_USES: Final = 1000
LONGEST: Final = timedelta(hours=24)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")
_GROUP = re.compile(r"[^\s,][^,]{0,127}")
_DURATION = re.compile(r"([1-9][0-9]{0,4})([smh])")
_UNIT = {"s": 1, "m": 60, "h": 3600}
_LATER: Final = frozenset({"budget"})
_OF_APPROVAL: Final = frozenset({"approvers", "hold", "decide", "wait", "covers", "uses", "vote", "unseen"})


def parse_duration(text: str) -> timedelta | None:
    """Read `90s`, `5m` or `1h`, at most 24 hours; None if it is nothing of the kind."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    found = timedelta(seconds=int(match[1]) * _UNIT[match[2]])
    return found if found <= LONGEST else None


def _is_count(most: int) -> Callable[[str], bool]:
    return lambda text: text.isascii() and text.isdigit() and not text.startswith("0") and int(text[:9]) <= most


_TIME = (lambda text: parse_duration(text) is not None, "a time such as 90s, 5m or 1h, at most 24h")
_SAYS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "id": (lambda text: _ID.fullmatch(text) is not None, "letters, digits and _ . : / - only, at most 128"),
    "message": (bool, "words for who is refused"),
    "hint": (bool, "words for what to do instead"),
    "record": (lambda text: text == "full", 'only @record("full") is enforced by this build'),
    "approval": (lambda text: _GROUP.fullmatch(text) is not None, "the name of one group of people"),
    "approvers": (_is_count(MOST_APPROVERS), f"how many people, 1 to {MOST_APPROVERS}"),
    "hold": (lambda text: text in set(HoldMode), 'either "wait" or "return"'),
    "decide": _TIME,
    "wait": _TIME,
    "covers": (lambda text: text in {Cover.SHAPE, Cover.OBJECT}, 'either "shape" or "object"'),
    "uses": (_is_count(MOST_USES), f"how often one approval may be used, 1 to {MOST_USES}"),
    "vote": (lambda text: text == "session", 'only "session": a vote without its person\'s key counts'),
    "unseen": (lambda text: text == "data", 'only "data": data that nobody sees beforehand may be approved'),
}


def annotation_problems(file: str, line: int, annotations: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what is wrong with the annotations of the policy at this place."""
    for name, value in annotations.items():
        if name in _LATER:
            reason = f"annotation {quoted('@' + name)} cannot be enforced by this build"
            yield Problem(file, line, reason, "remove it; a policy that is not enforced must not load")
        elif name not in _SAYS:
            near = get_close_matches(name, sorted(_SAYS.keys() | _LATER), 1, 0.5)
            hint = f"did you mean `@{near[0]}`?" if near else "known are: @" + ", @".join(sorted(_SAYS))
            yield Problem(file, line, f"unknown annotation {quoted('@' + name)}", hint)
        elif not value:
            yield Problem(file, line, f"annotation {quoted('@' + name)} is empty")
        elif not _SAYS[name][0](value):
            yield Problem(file, line, f"annotation {quoted('@' + name)} cannot say {quoted(value)}", _SAYS[name][1])
    asks = sorted(_OF_APPROVAL & annotations.keys())
    if asks and "approval" not in annotations:
        reason = f"annotation {quoted('@' + asks[0])} says how consent is had, and nobody is asked for any"
        yield Problem(file, line, reason, 'name who is asked: @approval("group")')


def hold_of(annotations: Mapping[str, str]) -> Hold | None:
    """Return what a policy asks for, whose annotations have no problem; None if it asks nobody."""
    group = annotations.get("approval")
    if group is None:
        return None
    return Hold(
        requirements=(Requirement(group, int(annotations.get("approvers", "1"))),),
        mode=HoldMode(annotations.get("hold", HoldMode.WAIT.value)),
        cover=Cover(annotations.get("covers", Cover.EXACT.value)),
        uses=int(annotations.get("uses", "1")),
        decide=parse_duration(annotations.get("decide", "")),
        wait=parse_duration(annotations.get("wait", "")),
        signed="vote" not in annotations,
        unseen="unseen" in annotations,
    )


def join_holds(holds: Iterable[Hold]) -> Hold | None:
    """Join what several policies ask for: every group, and of each term the strictest; None of nothing."""
    asked = list(holds)
    if not asked:
        return None
    needed: dict[str, int] = {}
    for hold in asked:
        for requirement in hold.requirements:
            needed[requirement.group] = max(needed.get(requirement.group, 0), requirement.needed)
    covers = [cover for cover in Cover if any(hold.cover is cover for hold in asked)]
    return Hold(
        requirements=tuple(Requirement(group, count) for group, count in sorted(needed.items())),
        mode=HoldMode.RETURN if any(hold.mode is HoldMode.RETURN for hold in asked) else HoldMode.WAIT,
        cover=covers[0],
        uses=min(hold.uses for hold in asked),
        decide=min((hold.decide for hold in asked if hold.decide), default=None),
        wait=min((hold.wait for hold in asked if hold.wait), default=None),
        signed=any(hold.signed for hold in asked),
        unseen=all(hold.unseen for hold in asked),
    )

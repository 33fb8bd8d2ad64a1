# SPDX-License-Identifier: Apache-2.0
"""When a gate refuses for want of witnesses, and when it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from gatebook.config import parse_settings
from gatebook.model.decision import Refused
from gatebook.serve.witnessed import WitnessGuard, make_guard
from gatebook.vault.quorum import QuorumWatch

CONFIG = """
[gate]
name = "north"
data = "data"
insecure_plaintext = true
[evidence]
recording_key = "env:KEY"
[policy]
folder = "policies"
[ledger]
"""
WITNESS = """
[[ledger.witness]]
name = "w"
url = "http://127.0.0.1:1"
key = "witness.example/w1+aa4a09d1+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
"""


@dataclass
class Scene:
    """A guard, what it reads and what it does."""

    cosigned: int | None = None
    now: float = 1000.0
    halts: list[Refused | None] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def cosigned_at(self) -> int | None:
        return self.cosigned

    def guard(self) -> WitnessGuard:
        return WitnessGuard(
            cast("QuorumWatch", self),
            60.0,
            halt=self.halts.append,
            report=lambda what, action: self.told.append((what, action)),
            now_s=lambda: self.now,
        )


def test_until_the_first_quorum_everything_is_refused() -> None:
    scene = Scene()
    guard = scene.guard()
    guard.look()
    guard.look()
    (refused,) = scene.halts
    assert refused is not None
    assert (refused.code, refused.message) == (
        "evidence.unwitnessed",
        "no quorum of witnesses has cosigned the ledger yet, so nothing new begins",
    )
    assert guard.metrics() == {"witnessed_age_s": -1, "halted": 1}
    scene.cosigned = 999
    guard.look()
    assert scene.halts[1:] == [None]
    assert [what for what, _ in scene.told] == [
        "no quorum of witnesses has cosigned the ledger yet",
        "a quorum of witnesses cosigns the ledger again",
    ]
    assert guard.metrics() == {"witnessed_age_s": 1, "halted": 0}


def test_a_quorum_that_is_young_enough_at_the_start_refuses_nothing() -> None:
    scene = Scene(cosigned=941)
    scene.guard().look()
    assert (scene.halts, scene.told) == ([], [])


def test_refuses_once_it_is_too_old_and_goes_on_when_it_is_back() -> None:
    scene = Scene(cosigned=1000)
    guard = scene.guard()
    for now, halts in ((1000, 0), (1060, 0), (1061, 1), (1100, 1)):
        scene.now = now
        guard.look()
        assert len(scene.halts) == halts, now
    scene.cosigned = 1100
    guard.look()
    assert scene.halts[-1] is None
    assert scene.told[0] == (
        "no quorum of witnesses has cosigned the ledger for 61 s",
        "nothing new is let in or run until one has",
    )


@pytest.mark.parametrize(("cosigned", "halts"), [(1060, 0), (1061, 1)])
def test_a_witness_s_clock_that_is_far_ahead_makes_nothing_young(cosigned: int, halts: int) -> None:
    scene = Scene(cosigned=cosigned)
    scene.guard().look()
    assert len(scene.halts) == halts


def test_is_there_where_the_policy_is_to_refuse(tmp_path: Path) -> None:
    for policy, is_there in (("alarm", False), ("refuse", True)):
        text = CONFIG + f'witness_policy = "{policy}"\n' + WITNESS
        settings = parse_settings(text.encode(), tmp_path / "gatebook.toml")
        scene = Scene()
        guard = make_guard(settings, halt=scene.halts.append, report=lambda _what, _action: None, now_s=lambda: 0.0)
        assert (guard is not None) is is_there
        if guard is not None:
            guard.look()
            assert len(scene.halts) == 1

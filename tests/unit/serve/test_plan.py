# SPDX-License-Identifier: Apache-2.0
"""The plan of a configuration."""

from __future__ import annotations

from pathlib import Path

from gatebook.config import parse_settings
from gatebook.serve.plan import make_plan

CONFIG = b"""
[gate]
name = "north"
data = "data"
insecure_plaintext = true

[evidence]
recording_key = "env:KEY"
heartbeat_s = 7

[policy]
folder = "policies"

[limits]
idle_s = 5
session_s = 50
decision_ms = 800
"""


def test_lengths_of_time_are_in_the_units_that_their_users_want() -> None:
    settings = parse_settings(CONFIG, Path("/gate/gatebook.toml"))
    plan = make_plan(settings)
    assert plan.writer == "north"
    assert plan.limits.idle_us == 5_000_000
    assert plan.session_s == 50
    assert plan.login_wait_s == 0.4
    assert plan.heartbeat_s == 7
    assert plan.config_hash == settings.digest

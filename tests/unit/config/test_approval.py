# SPDX-License-Identifier: Apache-2.0
"""Settings of approval."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, parse_settings
from gatebook.config.approval import ApprovalSettings

GATE = """[gate]
data = "data"
insecure_plaintext = true

[evidence]
recording_key = "env:X"

[policy]
folder = "policies"

[approval]
"""


def read(text: str) -> ApprovalSettings:
    return parse_settings((GATE + text).encode(), Path("/gate/gatebook.toml")).approval


def test_people_have_five_minutes_and_a_transaction_waits_one_unless_somebody_says_so() -> None:
    found = read("")
    assert (found.decide_s, found.use_s, found.wait_s, found.transaction_wait_s) == (300, 300, 300, 60)
    assert (found.pending, found.per_hour, found.provider_groups) == (10, 60, ())


def test_reads_what_is_said() -> None:
    found = read('decide_s = 10\nuse_s = 86400\nwait_s = 1\npending = 1\nprovider_groups = ["dba", "ops"]\n')
    assert (found.decide_s, found.use_s, found.wait_s, found.pending) == (10, 86_400, 1, 1)
    assert found.provider_groups == ("dba", "ops")


@pytest.mark.parametrize(
    "text",
    [
        "decide_s = 9",
        "use_s = 86401",
        "wait_s = 0",
        "transaction_wait_s = 0",
        "pending = 0",
        "per_hour = 0",
        "decide_s = true",
        'provider_groups = "dba"',
        "decides = 10",
    ],
)
def test_what_is_out_of_bounds_is_a_fault_that_names_it(text: str) -> None:
    with pytest.raises(ConfigFault, match=text.split(" ", maxsplit=1)[0]):
        read(text)

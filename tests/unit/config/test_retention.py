# SPDX-License-Identifier: Apache-2.0
"""Settings of retention."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, Settings, parse_settings

GATE = """[gate]
data = "data"
insecure_plaintext = true

[evidence]
recording_key = "env:X"

[policy]
folder = "policies"
"""


def settings(text: str) -> Settings:
    return parse_settings((GATE + text).encode(), Path("/gate/gatebook.toml"))


def test_nothing_is_ever_due_and_nobody_consents_unless_somebody_says_so() -> None:
    retention = settings("").retention
    assert (retention.custodians, retention.erase_early, retention.classes) == ((), False, ())


def test_reads_classes_in_their_order() -> None:
    one = '[[retention.class]]\nname = "pay"\ntarget_names = ["pay"]\nkinds = ["postgres"]\nrecording_days = 9\n'
    two = '[[retention.class]]\nname = "rest"\ncontents_days = 36600\n'
    classes = settings('[retention]\ncustodians = ["alice", "bob"]\n' + one + two).retention.classes
    assert [(one.name, one.target_names, one.recording_days, one.contents_days) for one in classes] == [
        ("pay", ("pay",), 9, 0),
        ("rest", (), 0, 36_600),
    ]


@pytest.mark.parametrize(
    "words",
    ["recording_days = -1", "contents_days = 36601", 'kinds = ["oracle"]', "days = 1", 'name = "x"'],
)
def test_refuses_what_is_no_class(words: str) -> None:
    with pytest.raises(ConfigFault):
        settings(f'[[retention.class]]\nname = "pay"\n{words}\n')

# SPDX-License-Identifier: Apache-2.0
"""Values that people type."""

from __future__ import annotations

from datetime import timedelta

import click
import pytest

from gatebook.cli.names import LIFETIME, NAME


@pytest.mark.parametrize("name", ["a", "alice", "alice@example.org", "Agent-7_b.c", "x" * 63])
def test_takes_names(name: str) -> None:
    assert NAME.convert(name, None, None) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "a\n", "é", "a'b", "x" * 64, 'a"; permit'])
def test_refuses_what_could_break_out_of_a_table_a_policy_or_a_command(name: str) -> None:
    with pytest.raises(click.UsageError, match="must be 1 to 63"):
        NAME.convert(name, None, None)


@pytest.mark.parametrize(
    ("text", "length"),
    [("90m", timedelta(minutes=90)), ("12h", timedelta(hours=12)), ("366d", timedelta(days=366))],
)
def test_takes_lengths_of_time(text: str, length: timedelta) -> None:
    assert LIFETIME.convert(text, None, None) == length
    assert LIFETIME.convert(length, None, None) == length


@pytest.mark.parametrize("text", ["", "7", "0d", "-1d", "367d", "999999d", "1w", "1.5h", "9" * 30 + "d"])
def test_refuses_lengths_of_time_that_are_none_or_too_long(text: str) -> None:
    with pytest.raises(click.UsageError, match="366 days at most"):
        LIFETIME.convert(text, None, None)

# SPDX-License-Identifier: Apache-2.0
"""Claims, read strictly: what is absent, what is wrong, and what is too much."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatebook.identity.claims import ClaimFault, Claims, has_value, read_actors, read_groups, read_moment, read_name
from gatebook.model.principal import Subject


def test_reads_a_moment_also_with_a_fraction() -> None:
    assert read_moment({"exp": 0}, "exp") == datetime(1970, 1, 1, tzinfo=UTC)
    assert read_moment({"exp": 0.5}, "exp") == datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert read_moment({}, "exp") is None


@pytest.mark.parametrize("value", [None, True, "1", -1, 1 << 40, [], {}])
def test_refuses_what_is_no_moment(value: object) -> None:
    with pytest.raises(ClaimFault):
        read_moment({"exp": value}, "exp")  # type: ignore[dict-item]  # wrong on purpose


@pytest.mark.parametrize("value", [None, "", 1, "a" * 256, "a\nb", "a\u202eb", ["a"]])
def test_refuses_what_is_no_name(value: object) -> None:
    with pytest.raises(ClaimFault):
        read_name({"sub": value}, "sub")  # type: ignore[dict-item]  # wrong on purpose


def test_finds_groups_at_a_path() -> None:
    claims: Claims = {"realm_access": {"roles": ["a", "b"]}, "one": "c"}
    assert read_groups(claims, ("realm_access", "roles")) == ("a", "b")
    assert read_groups(claims, ("one",)) == ("c",)
    assert read_groups(claims, ("realm_access", "groups")) == ()


@pytest.mark.parametrize("value", [1, [1], [""], ["a"] * 201, ["a" * 200] * 50, {"a": 1}, ["a\n"], None])
def test_refuses_groups_that_are_no_names_or_too_many(value: object) -> None:
    with pytest.raises(ClaimFault):
        read_groups({"groups": value}, ("groups",))  # type: ignore[dict-item]  # wrong on purpose


def test_refuses_a_path_through_what_is_no_object() -> None:
    with pytest.raises(ClaimFault):
        read_groups({"realm_access": "a"}, ("realm_access", "roles"))


def test_reads_the_chain_of_actors_from_the_outermost() -> None:
    claims: Claims = {"act": {"sub": "outer", "act": {"sub": "inner", "iss": "https://other"}}}
    assert read_actors(claims, "https://own") == (
        Subject("https://own", "outer"),
        Subject("https://other", "inner"),
    )
    assert read_actors({}, "https://own") == ()


def test_takes_five_actors_and_refuses_a_sixth_instead_of_cutting_it_away() -> None:
    chain: dict[str, object] = {}
    for _ in range(5):
        chain = {"act": {"sub": "a", **chain}}
    assert len(read_actors(chain, "i")) == 5  # type: ignore[arg-type]  # nested as JSON is
    with pytest.raises(ClaimFault):
        read_actors({"act": {"sub": "a", **chain}}, "i")  # type: ignore[dict-item]  # as above


@pytest.mark.parametrize(
    "actor", [None, "a", [], {}, {"sub": 1}, {"sub": "a", "iss": 1}, {"sub": "a", "iss": "x|y"}, {"sub": "a", "act": 1}]
)
def test_refuses_what_is_no_actor(actor: object) -> None:
    with pytest.raises(ClaimFault):
        read_actors({"act": actor}, "i")  # type: ignore[dict-item]  # wrong on purpose


def test_a_value_is_found_as_a_string_or_in_an_array_of_strings() -> None:
    assert has_value({"aud": "a"}, "aud", "a")
    assert has_value({"aud": ["b", "a"]}, "aud", "a")
    assert not has_value({"aud": ["b", 1, "a"]}, "aud", "a")
    assert not has_value({"aud": {"a": 1}}, "aud", "a")
    assert not has_value({}, "aud", "a")
    assert not has_value({"aud": "ab"}, "aud", "a")

# SPDX-License-Identifier: Apache-2.0
"""Policy files are cut, named and checked with file and line, and nothing that cannot be enforced loads."""

from __future__ import annotations

import pytest

from gatebook.policy.source import TEXT_BYTES, parse_policies

ANY = "permit (principal, action, resource);"


def _problems(text: str) -> list[str]:
    return [str(problem) for problem in parse_policies({"p.cedar": text})[1]]


def test_policies_know_their_place_and_name() -> None:
    second = 'permit (principal, action, resource) when { "x;y" like "*;*" };'
    text = f'// a comment; with a semicolon\n\n{ANY} @id("b")\n{second}'
    policies, problems = parse_policies({"p.cedar": text})
    assert problems == []
    assert [(policy.id, policy.line) for policy in policies] == [("p.cedar:1", 3), ("b", 3)]


def test_files_are_taken_in_the_order_of_their_names() -> None:
    policies, _ = parse_policies({"b": ANY, "a": ANY})
    assert [policy.id for policy in policies] == ["a:1", "b:1"]


def test_an_error_is_told_with_the_line_of_its_token() -> None:
    text = f"{ANY}\npermit (principal, action, resource)\nwhen {{\n  foo bar\n}};"
    assert _problems(text) == ["p.cedar:4: not a policy: unexpected token `bar`"]


def test_a_last_policy_without_semicolon_is_an_error() -> None:
    assert _problems("permit (principal, action, resource)") == ["p.cedar:1: not a policy: unexpected end of input"]


def test_templates_are_refused() -> None:
    assert _problems("permit (principal == ?principal, action, resource);") == [
        "p.cedar:1: templates are not used here"
    ]


def test_ids_are_given_once() -> None:
    assert _problems(f'@id("x") {ANY}\n@id("x") {ANY}') == [
        "p.cedar:2: id `x` is already that of the policy at p.cedar:1"
    ]


@pytest.mark.parametrize("name", ["", "has space", "x" * 200, "a\\nb"])
def test_ids_are_names(name: str) -> None:
    assert _problems(f'@id("{name}") {ANY}') != []


@pytest.mark.parametrize("annotation", ['@budget("rows=1000/h")', '@budget("bytes=1/s")'])
def test_what_this_build_cannot_enforce_does_not_load(annotation: str) -> None:
    (problem,) = _problems(f"{annotation} {ANY}")
    assert problem.endswith("cannot be enforced by this build")


def test_recording_in_full_is_enforced_and_nothing_less_is() -> None:
    assert _problems(f'@record("full") {ANY}') == []
    assert _problems(f'@record("digest") {ANY}') == ["p.cedar:1: annotation `@record` cannot say `digest`"]


def test_annotations_have_a_value() -> None:
    assert _problems(f'@message("") {ANY}') == ["p.cedar:1: annotation `@message` is empty"]
    assert _problems(f"@hint {ANY}") == ["p.cedar:1: annotation `@hint` is empty"]


def test_an_unknown_annotation_is_told_with_the_nearest_known() -> None:
    _, (problem,) = parse_policies({"p": f'@mesage("x") {ANY}'})
    assert problem.reason == "unknown annotation `@mesage`"
    assert problem.hint == "did you mean `@message`?"
    _, (other,) = parse_policies({"p": f'@zzz("x") {ANY}'})
    assert other.hint.startswith("known are: @approval, @approvers, @covers, @decide, @hint, @hold, @id, @message")


def test_all_texts_together_are_bounded() -> None:
    policies, problems = parse_policies({"p": "//" + "x" * TEXT_BYTES})
    assert policies == []
    assert len(problems) == 1

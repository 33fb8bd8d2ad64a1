# SPDX-License-Identifier: Apache-2.0
# `setting` is `dataclasses.field`
"""A file of cases for `gatebook policy test`: who asks what, and what the policies are expected to say."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from gatebook.config import values
from gatebook.config.declaring import NAME, setting
from gatebook.config.secrets import ConfigFault
from gatebook.config.values import Place, read_table
from gatebook.model.errors import quoted

MAX_CASES_BYTES = 4 << 20  # LIMIT: thousands of cases fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One statement by one principal at one target, and the expected decision."""

    name: str = setting(values.text, "What the case is about; unique in its file.")
    agent: str = setting(values.text, "Subject of the agent who asks.", default="")
    person: str = setting(values.text, "Subject of the person who asks, in place of an agent.", default="")
    issuer: str = setting(values.text, "Their issuer; the gate's own if absent.", default="")
    groups: tuple[str, ...] = setting(values.texts, "Their groups.", default=())
    target: str = setting(values.name(NAME), "The target that is asked.")
    statement: str = setting(values.lines, "What is asked: one statement or several, which are decided together.")
    expect: str = setting(values.choice("allow", "refuse"), "The decision.")
    code: str = setting(values.text, "With `refuse`, the refusal code that is expected.", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cases:
    cases: tuple[Case, ...] = setting(values.tables(Case), "")


def load_cases(path: Path) -> tuple[Case, ...]:
    """Read a file of cases. ConfigFault if it cannot be read or is wrong; file and line are named."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CASES_BYTES + 1)
        text = content.decode()
        document = tomllib.loads(text)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise ConfigFault(f"cases {quoted(str(path))} cannot be read: {words}", "see the path") from fault
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as fault:
        words = " ".join(str(fault).split())[:200].lower()
        raise ConfigFault(f"{path.name}: not TOML: {words}", "a case is a table `[[case]]`") from fault
    if len(content) > MAX_CASES_BYTES:
        raise ConfigFault(f"cases {quoted(str(path))} are larger than {MAX_CASES_BYTES} bytes")
    place = Place(path.absolute().parent, path.name, text)
    cases: tuple[Case, ...] = read_table(_Cases, document, place).cases
    for index, case in enumerate(cases):
        here = place.below("case").below(index)
        if bool(case.agent) == bool(case.person):
            raise here.fault("needs `agent` or `person`, and not both")
        if case.code and case.expect == "allow":
            raise here.below("code").fault("is for refusals")
    return cases

# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a set of policy files: everything at once, each with file, line and reason."""

from __future__ import annotations

from dataclasses import dataclass

from gatebook.model.errors import OperatorFault


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that keeps a policy set from loading; `line` counts from 1."""

    file: str
    line: int
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        """Show as `file:line: reason`."""
        return f"{self.file}:{self.line}: {self.reason}"


class PolicyFault(OperatorFault):
    """The policy set does not load; the policy in force stays."""

    code = "policy"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
        super().__init__("; ".join(str(problem) for problem in problems), "; ".join(hints))
        self.problems = problems

# SPDX-License-Identifier: Apache-2.0
"""The policies as their files say them, and what they say of a statement, asked of a process of its own.

Statements are read, and targets' catalogues looked up, by `gatebook policy explain`: the console itself parses no
statement and holds no target's credential.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from gatebook import policy
from gatebook.config import Settings
from gatebook.control.problems import Problem
from gatebook.model.errors import OperatorFault, quoted
from gatebook.policy.source import Policy

EXPLAIN_S: Final = 20.0
MAX_ANSWER_BYTES: Final = 4 << 20
MAX_SQL: Final = 65_536
AT_ONCE: Final = 2  # LIMIT: explanations at a time


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The files of the policy folder, and the policies in them; `problems` where they do not load."""

    texts: dict[str, str]
    hash: str
    policies: tuple[Policy, ...]
    problems: tuple[str, ...] = ()


def read_policies(folder: Path) -> PolicyFiles:
    """Return the policies as they are on the disk now. OperatorFault if they cannot be read."""
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*.cedar")):
        try:
            texts[path.name] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise OperatorFault(f"policy {quoted(path.name)} cannot be read", "see the file") from fault
    if not texts:
        return PolicyFiles({}, "", ())
    try:
        engine = policy.load(texts)
    except policy.PolicyFault as fault:
        return PolicyFiles(texts, "", (), tuple(str(problem) for problem in fault.problems))
    return PolicyFiles(texts, engine.hash, tuple(engine.policies))


class Explainer:
    """Asks what the policies say of statements."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def explain(
        self, *, sql: str, agent: str, groups: tuple[str, ...], target: str, database: str = ""
    ) -> list[dict[str, Any]]:
        """Return one object per access. Problem 422 with what is wrong with the question, 504 if it takes too long."""
        if not sql.strip() or len(sql) > MAX_SQL or "\0" in sql:
            words = f"a statement has 1 to {MAX_SQL} characters"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "statement", words)
        options = [f"--as={agent}", f"--target={target}", *(f"--group={group}" for group in groups)]
        options += [f"--database={database}"] if database else []
        if any("\0" in option for option in options):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "explain", "a name holds what no name holds")
        command = [sys.executable, "-m", "gatebook", "policy", "explain", "--json", f"--config={self._settings.path}"]
        async with self._turn:
            status, out, err = await _run([*command, *options, "--", "-"], sql.encode("utf-8", "replace"))
        if status not in {0, 1} or not out.strip():
            told = [line.partition(": ")[2] for line in err.decode("utf-8", "replace").splitlines() if ": " in line]
            hint = told[1] if len(told) > 1 else ""
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "explain", told[0] if told else "it says nothing", hint)
        answers: list[dict[str, Any]] = json.loads(out)
        return answers


async def _run(command: list[str], content: bytes) -> tuple[int, bytes, bytes]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(EXPLAIN_S):
            out, err = await process.communicate(content)
    except TimeoutError as fault:
        raise Problem(HTTPStatus.GATEWAY_TIMEOUT, "explain", "the target does not answer in time") from fault
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if len(out) > MAX_ANSWER_BYTES:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "explain", "the statement has too many accesses")
    return process.returncode or 0, out, err

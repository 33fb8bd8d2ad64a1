# SPDX-License-Identifier: Apache-2.0
"""What commands ask of the running product. It is imported when it is called: it brings the whole gate with it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from gatebook.evidence.entry import Leaf

if TYPE_CHECKING:
    from gatebook.vault.witness import Witness


class Step(Protocol):
    """One step of a test."""

    @property
    def name(self) -> str:
        """What was tried."""

    @property
    def passed(self) -> bool:
        """Whether it went well."""

    @property
    def words(self) -> str:
        """What was seen, or what to do."""


class Application(Protocol):
    """The part of `gatebook.app` that the command line calls. Each may raise OperatorFault."""

    def serve(self, config: Path) -> None:
        """Run the gate until it is told to stop."""

    def run_witness(self, witness: Witness, host: str, port: int, opened: Callable[[str], None]) -> None:
        """Serve a witness until it is told to stop; `opened` is called with its URL."""

    def run_export(self, config: Path, name: str, *, until_input_ends: bool) -> None:
        """Send what is sealed until it is told to stop. EvidenceFault where it must not go on."""

    def send_export(self, config: Path, name: str) -> int:
        """Send what is sealed now; how many entries. EvidenceFault where it must not."""

    def run_notify(self, config: Path, *, until_input_ends: bool) -> None:
        """Tell people what waits for them until it is told to stop."""

    def test_notify(self, config: Path, name: str) -> None:
        """Send a receiver a test message."""

    def try_database(
        self,
        url: str,
        *,
        policy: Path | None,
        listen: tuple[str, int],
        data: Path | None,
        insecure_plaintext: bool,
        as_json: bool,
    ) -> None:
        """Run a throwaway gate before a database until it is told to stop."""

    def test_target(self, config: Path, name: str) -> Sequence[Step]:
        """Try logins and catalogue of a target."""

    def explain(
        self, config: Path, *, agent: str, groups: tuple[str, ...], target_name: str, sql: str, database: str = ""
    ) -> list[Leaf]:
        """Tell what the policies say of each access of a text."""

    def test_policies(self, config: Path, cases: Path, policies: Path | None) -> list[Leaf]:
        """Decide each case of a file, and tell whether that is what it expects."""


def load_application() -> Application:
    """Import the application."""
    return cast("Application", importlib.import_module("gatebook.app"))

# SPDX-License-Identifier: Apache-2.0
"""An installation with three custodians, whose keys are real, and sessions that are over."""

from __future__ import annotations

import re
from pathlib import Path

from support.data_folder import put_journal, put_recording
from support.evidence import (
    KEK,
    chunk,
    chunk_leaf,
    frame,
    intent,
    message,
    outcome,
    recording_header,
    seal_private,
    sealed_leaf,
    session_leaf,
    start,
)
from support.installation import Installation
from support.people import SshKey, make_key

WHERE = {"target": "shop", "database": "shop", "account": "shop_reader", "gateway": "gate"}
IDENTITY = {"agent": {"iss": "gatebook:gate", "sub": "reporter"}, "role": "reader"}


def held_sessions(gate: Installation, *sessions: str) -> None:
    """Put sessions of 2026-01-01 into the book, and one that is not over if `s_open` is among them."""
    entries: list[bytes | tuple[bytes, bytes]] = []
    for session in sessions:
        if session == "s_open":
            entries.append(start(session=session))
            continue
        data = chunk(0, [frame(">", message("Q", b"select 'secret'\0"))], session)
        private, commitment = seal_private(1, 1, b'{"text":"select \'secret\'"}', session)
        facts = {"identity": IDENTITY, "where": WHERE, "recording": {"id": session}, "upstream": {}, "parameters": {}}
        entries += [
            session_leaf("session.start", 0, session, **facts),
            (intent(1, 1, session, private=commitment), private),
            outcome(1, 2, session),
            session_leaf("session.end", 3, session, cause="client closed", counts={}),
            chunk_leaf(0, data, 1, session),
            sealed_leaf([data], 1, session),
        ]
        put_recording(gate.settings.recordings_path, recording_header(session) + data, session)
    put_journal(gate.settings.journal_path, entries)
    (gate.folder / "recording.key").write_text(KEK.hex())


class Custodians:
    """alice, bob and carol, and what they do."""

    def __init__(self, gate: Installation, folder: Path) -> None:
        self.gate = gate
        self._config = gate.config.read_text()
        self.configure()
        self._keys: dict[str, SshKey] = {}
        for name in ("alice", "bob", "carol"):
            if name != "alice":
                assert gate.run("person", "add", name).status == 0
            self._keys[name] = make_key(folder, name)
            told = gate.run("person", "key", "add", name, str(self._keys[name].public))
            assert told.status == 0, told.err

    def key(self, name: str) -> SshKey:
        return self._keys[name]

    def configure(self, *, contents_days: int = 0, recording_days: int = 0, erase_early: bool = False) -> None:
        """Write the settings of retention anew."""
        words = [
            '[retention]\ncustodians = ["alice", "bob", "carol"]',
            f"erase_early = {str(erase_early).lower()}",
            '[[retention.class]]\nname = "all"',
            f"contents_days = {contents_days}\nrecording_days = {recording_days}",
        ]
        self.gate.config.write_text("\n".join([self._config, *words, ""]))

    def ask(self, *words: str, reason: str = "its time has come") -> str:
        """Request a purge; its id."""
        told = self.gate.run("purge", "request", *words, "--reason", reason)
        assert told.status == 0, told.err
        return self.newest()

    def newest(self) -> str:
        """The id of the newest request."""
        requests = self.gate.run("consent", "list", "--all", "--json").json
        return str(requests[-1]["request"]["id"])

    def hold(self, *words: str) -> str:
        """Place a hold; its id."""
        told = self.gate.run("hold", "place", *words, "--reason", "court")
        found = re.search(r"hold ([0-9a-f]{16}) is in force", told.err)
        assert found is not None, told.err
        return found[1]

    def signature(self, request: str, name: str) -> Path:
        return self._keys[name].sign(self.gate.settings.retention_path / f"{request}.request")

    def consent(self, request: str, *names: str) -> None:
        for name in names:
            file = self.signature(request, name)
            told = self.gate.run("consent", "give", request, "--person", name, "--signature", str(file))
            assert told.status == 0, told.err

    def erase(self, *words: str) -> None:
        """Ask, consent and run."""
        request = self.ask(*words)
        self.consent(request, "alice", "bob")
        assert self.gate.run("purge", "run", request).status == 0

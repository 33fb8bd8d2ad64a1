# SPDX-License-Identifier: Apache-2.0
"""Signatures by `ssh-keygen`, and the files that carry votes and signatures from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.asked import ANA, NOW, REQUEST
from support.people import make_key

from gatebook.cli.signing import MAX_FILE_BYTES, read_ballot, read_signature, sign
from gatebook.evidence.approval import NAMESPACE, ballot_for
from gatebook.evidence.ssh_signature import SignatureFault
from gatebook.evidence.vote_signature import SSH, verify_vote
from gatebook.model.approval import Choice
from gatebook.model.errors import GatebookError, OperatorFault

BALLOT = ballot_for(REQUEST, "gate", choice=Choice.APPROVE, person=ANA, at=NOW)


def test_signs_as_a_person_would(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "ana")
    verify_vote(SSH, key.public.read_text(), BALLOT.message(), sign(key.file, NAMESPACE, BALLOT.message()))


def test_a_key_that_is_none_signs_nothing(tmp_path: Path) -> None:
    with pytest.raises(OperatorFault, match=r"ssh-keygen did not sign with `.*absent`"):
        sign(tmp_path / "absent", NAMESPACE, b"x")


def test_without_ssh_keygen_it_is_told_how_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperatorFault, match="ssh-keygen is not here") as raised:
        sign(tmp_path / "key", NAMESPACE, b"x")
    assert "--ballot" in raised.value.hint


def test_a_signature_that_was_made_elsewhere_is_read(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "ana")
    (tmp_path / "vote").write_bytes(BALLOT.message())
    signature = read_signature(key.sign(tmp_path / "vote", NAMESPACE))
    verify_vote(SSH, key.public.read_text(), BALLOT.message(), signature)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"x" * (MAX_FILE_BYTES + 1)])
def test_what_is_no_signature_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sig").write_bytes(content)
    with pytest.raises(SignatureFault):
        read_signature(tmp_path / "sig")


def test_a_signature_that_is_no_text_or_not_there_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "sig").write_bytes(b"\xff")
    with pytest.raises(OperatorFault, match="is no signature"):
        read_signature(tmp_path / "sig")
    with pytest.raises(OperatorFault, match="cannot be read: no such file or directory"):
        read_signature(tmp_path / "absent")


def test_a_ballot_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "vote").write_bytes(BALLOT.message())
    assert read_ballot(tmp_path / "vote") == BALLOT


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense", b"[]\n", BALLOT.message() + b"\n", b"\xff"])
def test_what_is_no_ballot_is_a_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vote").write_bytes(content)
    with pytest.raises(GatebookError, match=r"is no vote|has not its form"):
        read_ballot(tmp_path / "vote")

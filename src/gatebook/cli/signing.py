# SPDX-License-Identifier: Apache-2.0
"""Signatures of people at the command line: `ssh-keygen` makes them, so that agents and security keys can."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from gatebook.evidence.approval import Ballot
from gatebook.evidence.entry import EntryFault, decode_canonical
from gatebook.evidence.ssh_signature import unarmored
from gatebook.model.errors import OperatorFault, quoted

MAX_FILE_BYTES = 16_384


def sign(key: Path, namespace: str, message: bytes) -> bytes:
    """Return the signature, without armor, of a person's key over a message. OperatorFault if there is none."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise OperatorFault("ssh-keygen is not here", "install OpenSSH's client, or sign elsewhere with `--ballot`")
    with tempfile.TemporaryDirectory(prefix="gatebook-vote-") as folder:
        file = Path(folder) / "vote"
        file.write_bytes(message)
        # Its words, and the question for a passphrase, go to the terminal.
        done = subprocess.run(  # noqa: S603  a program of the system, arguments of our own
            [program, "-q", "-Y", "sign", "-n", namespace, "-f", str(key), str(file)], check=False
        )
        if done.returncode:
            raise OperatorFault(f"ssh-keygen did not sign with {quoted(str(key))}", "see its words above")
        return read_signature(file.with_name("vote.sig"))


def read_signature(file: Path) -> bytes:
    """Return a signature without armor. OperatorFault if the file is none."""
    try:
        return unarmored(_read(file).decode())
    except UnicodeDecodeError as fault:
        raise OperatorFault(f"{quoted(str(file))} is no signature", "make one with `ssh-keygen -Y sign`") from fault


def read_ballot(file: Path) -> Ballot:
    """Return the vote in a file that `gatebook approvals ballot` wrote. OperatorFault if it is none."""
    try:
        return Ballot.from_value(decode_canonical(_read(file).removesuffix(b"\n")))
    except EntryFault as fault:
        raise OperatorFault(f"{quoted(str(file))} is no vote", "write one with `gatebook approvals ballot`") from fault


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_FILE_BYTES)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise OperatorFault(f"{quoted(str(file))} cannot be read: {words}", "see the path") from fault

# SPDX-License-Identifier: Apache-2.0
"""The age of the newest quorum, read from the cosigned checkpoint alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.notary import ORIGIN
from support.witness import NOTARY

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.cosignature import Cosigner, with_cosignatures
from gatebook.evidence.note import Signer
from gatebook.vault.ledger import LedgerFolder
from gatebook.vault.quorum import QuorumWatch

COSIGNERS = [Cosigner(Signer.make(f"witness.example/{seed}", bytes([seed]) * 32)) for seed in (1, 2, 3)]


def watch(root: Path, quorum: int = 0) -> QuorumWatch:
    return QuorumWatch(LedgerFolder(root), ORIGIN, [one.key for one in COSIGNERS], quorum)


def publish(root: Path, size: int, *times: int, origin: str = ORIGIN) -> None:
    """A checkpoint that the first witnesses have cosigned, each at its time."""
    checkpoint = Checkpoint(origin, size, bytes(32))
    signer = NOTARY if origin == ORIGIN else Signer.make(origin, bytes(32))
    lines = [cosigner.cosign(checkpoint, time) for cosigner, time in zip(COSIGNERS, times, strict=False)]
    (root / "checkpoint.cosigned").write_bytes(with_cosignatures(sign(checkpoint, signer), lines))


def test_is_the_time_from_which_on_it_had_its_quorum(tmp_path: Path) -> None:
    publish(tmp_path, 5, 300, 100, 200)
    assert [watch(tmp_path, quorum).cosigned_at() for quorum in (1, 2, 3, 0)] == [300, 200, 100, 100]


def test_there_is_none_before_the_first_or_with_fewer(tmp_path: Path) -> None:
    assert watch(tmp_path).cosigned_at() is None
    publish(tmp_path, 5, 300, 100)
    assert watch(tmp_path).cosigned_at() is None
    assert watch(tmp_path, 2).cosigned_at() == 100


def test_moves_on_with_the_ledger_and_not_back(tmp_path: Path) -> None:
    watching = watch(tmp_path)
    for size, time, seen in ((5, 100, 100), (6, 110, 110), (4, 500, 110), (7, 120, 120)):
        publish(tmp_path, size, time, time, time)
        assert watching.cosigned_at() == seen


@pytest.mark.parametrize("content", [b"", b"no note\n", b"x" * (2 << 20)])
def test_what_is_no_checkpoint_makes_nothing_newer(tmp_path: Path, content: bytes) -> None:
    watching = watch(tmp_path)
    publish(tmp_path, 5, 100, 100, 100)
    assert watching.cosigned_at() == 100
    (tmp_path / "checkpoint.cosigned").write_bytes(content)
    assert watching.cosigned_at() == 100
    assert watch(tmp_path).cosigned_at() is None


def test_a_changed_cosignature_or_another_ledger_is_none(tmp_path: Path) -> None:
    publish(tmp_path, 5, 100, 100, 100, origin="other.example/x")
    assert watch(tmp_path).cosigned_at() is None
    publish(tmp_path, 5, 100, 100, 100)
    path = tmp_path / "checkpoint.cosigned"
    path.write_bytes(path.read_bytes().replace(b"\n5\n", b"\n6\n"))
    assert watch(tmp_path).cosigned_at() is None


def test_a_file_that_is_gone_is_none(tmp_path: Path) -> None:
    watching = watch(tmp_path)
    publish(tmp_path, 5, 100, 100, 100)
    assert watching.cosigned_at() == 100
    (tmp_path / "checkpoint.cosigned").unlink()
    assert watching.cosigned_at() is None

# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: three lines and a signature, and nothing else."""

from __future__ import annotations

import base64

import pytest
from support.ledger import ORIGIN, SIGNER, vectors

from gatebook.evidence.checkpoint import Checkpoint, CheckpointFault, open_checkpoint, parse_decimal, sign
from gatebook.evidence.note import NoteFault, Signer, sign_note
from gatebook.evidence.tree import EMPTY_ROOT

ROOT = bytes(range(32))
ROOT64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
TEXT = f"{ORIGIN}\n137\n{ROOT64}\n"


def test_says_origin_size_and_root_in_three_lines() -> None:
    checkpoint = Checkpoint(ORIGIN, 137, ROOT)
    assert checkpoint.text() == TEXT
    assert Checkpoint.parse(TEXT) == checkpoint


def test_is_the_note_that_go_signs() -> None:
    signed, root = vectors()["checkpoint"].encode(), base64.b64decode(vectors()["roots"][300])
    checkpoint = open_checkpoint(signed, SIGNER.verifier)
    assert checkpoint == Checkpoint(ORIGIN, 300, root)
    assert sign(checkpoint, SIGNER) == signed


@pytest.mark.parametrize("size", [0, 1, 9, 10, 2**63 - 1])
def test_may_have_any_size_below_2_to_the_63(size: int) -> None:
    checkpoint = Checkpoint(ORIGIN, size, EMPTY_ROOT)
    assert open_checkpoint(sign(checkpoint, SIGNER), SIGNER.verifier) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT + "extension\n",
        "\n" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("137", ""),
        TEXT.replace("137", "0137"),
        TEXT.replace("137", "00"),
        TEXT.replace("137", "+137"),
        TEXT.replace("137", "-1"),
        TEXT.replace("137", " 137"),
        TEXT.replace("137", "1_000"),
        TEXT.replace("137", "0x89"),
        TEXT.replace("137", "1.0"),
        TEXT.replace("137", "\u0661"),
        TEXT.replace("137", str(2**63)),
        TEXT.replace("137", "9" * 5000),
        TEXT.replace(ROOT64, ""),
        TEXT.replace(ROOT64, ROOT64[:-1]),
        TEXT.replace(ROOT64, ROOT64 + " "),
        TEXT.replace(ROOT64, ROOT64.replace("8=", "9=")),  # the same bytes, written in another way
        TEXT.replace(ROOT64, base64.b64encode(bytes(31)).decode()),
        TEXT.replace(ROOT64, base64.b64encode(bytes(33)).decode()),
        TEXT.replace(ORIGIN, ""),
        TEXT.replace(ORIGIN, "a b"),
        TEXT.replace(ORIGIN, "a+b"),
        TEXT.replace(ORIGIN, "a\x7fb"),
        TEXT.replace(ORIGIN, "é"),
        TEXT.replace(ORIGIN, "x" * 256),
        TEXT.replace(ORIGIN, "\ud800"),
    ],
)
def test_refuses_a_text_of_another_form(text: str) -> None:
    with pytest.raises(CheckpointFault) as caught:
        Checkpoint.parse(text)
    assert caught.value.finding == "checkpoint_form"


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [("", 0, ROOT), ("a+b", 0, ROOT), ("x" * 256, 0, ROOT), ("a", -1, ROOT), ("a", 2**63, ROOT), ("a", 0, ROOT[:31])],
)
def test_cannot_be_made_where_it_could_not_be_written(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(CheckpointFault) as caught:
        Checkpoint(origin, size, root)
    assert caught.value.finding == "checkpoint_form"


def test_refuses_a_checkpoint_of_another_ledger_under_the_same_key() -> None:
    note = sign_note(TEXT.replace(ORIGIN, "other.example"), SIGNER)
    with pytest.raises(CheckpointFault) as caught:
        open_checkpoint(note, SIGNER.verifier)
    assert caught.value.finding == "checkpoint_origin"


def test_refuses_to_sign_the_checkpoint_of_another_ledger() -> None:
    with pytest.raises(CheckpointFault) as caught:
        sign(Checkpoint("other.example", 0, EMPTY_ROOT), SIGNER)
    assert caught.value.finding == "checkpoint_origin"


def test_refuses_a_signed_text_with_an_extension_line() -> None:
    with pytest.raises(CheckpointFault) as caught:
        open_checkpoint(sign_note(TEXT + "extension\n", SIGNER), SIGNER.verifier)
    assert caught.value.finding == "checkpoint_form"


def test_refuses_a_checkpoint_that_another_key_signed() -> None:
    impostor = Signer.make(ORIGIN, bytes(32))
    with pytest.raises(NoteFault) as caught:
        open_checkpoint(sign_note(TEXT, impostor), SIGNER.verifier)
    assert caught.value.finding == "note_unsigned"


def test_refuses_a_changed_size() -> None:
    changed = sign_note(TEXT, SIGNER).replace(b"137", b"138")
    with pytest.raises(NoteFault) as caught:
        open_checkpoint(changed, SIGNER.verifier)
    assert caught.value.finding == "note_signature"


def test_a_decimal_has_one_form() -> None:
    assert [parse_decimal(text) for text in ("0", "7", "9223372036854775807")] == [0, 7, 2**63 - 1]
    assert [parse_decimal(text) for text in ("", "00", "07", "+7", "7\n", "9223372036854775808")] == [None] * 6

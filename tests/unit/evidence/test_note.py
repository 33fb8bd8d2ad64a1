# SPDX-License-Identifier: Apache-2.0
"""Signed notes and their keys: Go's forms and figures, and each thing that is refused."""

from __future__ import annotations

import base64

import pytest
from support.ledger import ORIGIN, SIGNER, vectors

from gatebook.evidence import note
from gatebook.evidence.note import Note, NoteFault, Signature, Signer, Verifier, open_note, parse_note, sign_note

# The key and note of Go's own documentation of golang.org/x/mod/sumdb/note.
PETER = Verifier.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
OTHER = Signer.make("other.example", b"\x07" * 32)
TEXT = "one\ntwo\n"


def refused(data: bytes, *verifiers: Verifier) -> str:
    with pytest.raises(NoteFault) as caught:
        open_note(data, verifiers or [SIGNER.verifier])
    return caught.value.finding


def test_opens_the_note_of_go_s_documentation() -> None:
    text, names = open_note(PETER_NOTE, [PETER])
    assert text.startswith("If you think cryptography")
    assert text.endswith("problem is.\n")
    assert names == ["PeterNeumann"]


def test_keys_and_checkpoint_are_those_that_go_makes() -> None:
    assert SIGNER.verifier.text() == vectors()["vkey"]
    assert SIGNER.text() == vectors()["skey"]
    signed = vectors()["checkpoint"]
    text, names = open_note(signed.encode(), [Verifier.parse(vectors()["vkey"])])
    assert names == [ORIGIN]
    assert sign_note(text, SIGNER).decode() == signed


def test_signs_and_opens_with_several_keys_in_the_order_of_the_lines() -> None:
    data = sign_note(TEXT, OTHER, SIGNER)
    assert open_note(data, [SIGNER.verifier, OTHER.verifier]) == (TEXT, ["other.example", ORIGIN])
    assert open_note(data, [SIGNER.verifier]) == (TEXT, [ORIGIN])


def test_a_text_may_have_empty_lines_and_what_looks_like_signatures() -> None:
    text = "\n\n— somebody AAAAAAA=\n\n"
    assert open_note(sign_note(text, SIGNER), [SIGNER.verifier]) == (text, [ORIGIN])


def test_a_text_may_be_an_empty_line() -> None:
    assert open_note(sign_note("\n", SIGNER), [SIGNER.verifier]) == ("\n", [ORIGIN])


def test_form_alone_is_parsed_without_a_key() -> None:
    parsed = parse_note("a\n\n— name AAAAAQI=\n".encode())
    assert parsed == Note("a\n", (Signature("name", b"\x00\x00\x00\x01", b"\x02"),))


def test_ignores_signatures_of_unknown_keys() -> None:
    same_id = f"— elsewhere {base64.b64encode(SIGNER.verifier.key_id + bytes(64)).decode()}\n"
    same_name = f"— {ORIGIN} {base64.b64encode(bytes(4) + bytes(64)).decode()}\n"
    data = sign_note(TEXT, SIGNER) + (same_id + same_name).encode()
    assert open_note(data, [SIGNER.verifier]) == (TEXT, [ORIGIN])


def test_ignores_a_second_signature_of_a_known_key() -> None:
    wrong = f"— {ORIGIN} {base64.b64encode(SIGNER.verifier.key_id + bytes(64)).decode()}\n".encode()
    assert open_note(sign_note(TEXT, SIGNER) + wrong, [SIGNER.verifier]) == (TEXT, [ORIGIN])
    first = TEXT.encode() + b"\n" + wrong + SIGNER.sign(TEXT).encode()
    assert refused(first) == "note_signature"


def test_refuses_a_changed_text() -> None:
    assert refused(sign_note(TEXT, SIGNER).replace(b"two", b"six")) == "note_signature"


@pytest.mark.parametrize("signature", [b"\0", bytes(63), bytes(64), bytes(65), b"\xff" * 64])
def test_refuses_a_signature_of_a_known_key_that_does_not_verify(signature: bytes) -> None:
    line = f"— {ORIGIN} {base64.b64encode(SIGNER.verifier.key_id + signature).decode()}\n"
    assert refused((TEXT + "\n" + line).encode()) == "note_signature"


def test_one_wrong_signature_of_a_known_key_refuses_the_whole_note() -> None:
    wrong = f"— other.example {base64.b64encode(OTHER.verifier.key_id + bytes(64)).decode()}\n".encode()
    assert refused(sign_note(TEXT, SIGNER) + wrong, SIGNER.verifier, OTHER.verifier) == "note_signature"


def test_refuses_a_note_without_a_signature_of_a_known_key() -> None:
    assert refused(sign_note(TEXT, OTHER)) == "note_unsigned"
    with pytest.raises(NoteFault) as caught:
        open_note(sign_note(TEXT, OTHER), [])
    assert caught.value.finding == "note_unsigned"


GOOD = sign_note(TEXT, SIGNER).decode()
LINE = SIGNER.sign(TEXT)
SIGNATURE = LINE.split(" ")[2].strip()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT.encode(),
        LINE.encode(),
        ("\n" + LINE).encode(),
        (TEXT + LINE).encode(),
        GOOD[:-1].encode(),
        (GOOD + "\n").encode(),
        (GOOD + "more\n").encode(),
        (GOOD + "\nmore\n").encode(),
        (TEXT + "\n").encode(),
        GOOD.encode() + b"\xff\n",
        GOOD.encode().replace(b"one", b"\xed\xa0\x80"),
        GOOD.replace("one", "o\te").encode(),
        GOOD.replace("one", "o\0e").encode(),
        GOOD.replace("one\n", "one\r\n").encode(),
        GOOD.replace("— ", "- ").encode(),
        GOOD.replace("— ", "—  ").encode(),
        GOOD.replace("— ", "—").encode(),
        GOOD.replace("— ", " — ").encode(),
        GOOD.replace("— ", "—\u00a0").encode(),
        GOOD.replace(ORIGIN, "").encode(),
        GOOD.replace(ORIGIN, "a+b").encode(),
        GOOD.replace(ORIGIN, "a\u2003b").encode(),
        GOOD.replace(ORIGIN + " ", ORIGIN).encode(),
        GOOD.replace(SIGNATURE, "").encode(),
        GOOD.replace(SIGNATURE, "AAAAAA==").encode(),
        GOOD.replace(SIGNATURE, SIGNATURE + " ").encode(),
        GOOD.replace(SIGNATURE, SIGNATURE.rstrip("=")).encode(),
        GOOD.replace(SIGNATURE, SIGNATURE + "=").encode(),
        GOOD.replace(SIGNATURE, "AAAAAAB=").encode(),  # bits behind the end that are not zero
        GOOD.replace(SIGNATURE, "_____w==").encode(),
        (TEXT + "\n" + LINE * 101).encode(),
        ("x" * (1 << 20) + GOOD).encode(),
    ],
)
def test_refuses_a_note_of_another_form(data: bytes) -> None:
    assert refused(data) == "note_form"


def test_opens_a_note_of_a_hundred_signatures() -> None:
    assert open_note((TEXT + "\n" + LINE * 100).encode(), [SIGNER.verifier]) == (TEXT, [ORIGIN])


@pytest.mark.parametrize("text", ["", "one", "o\te\n", "o\0e\n", "\ud800\n", "x" * (1 << 20) + "\n"])
def test_refuses_to_sign_what_no_note_can_hold(text: str) -> None:
    with pytest.raises(NoteFault) as caught:
        sign_note(text, SIGNER)
    assert caught.value.finding == "note_form"


@pytest.mark.parametrize("count", [0, 101])
def test_refuses_to_write_a_note_of_no_signature_or_too_many(count: int) -> None:
    with pytest.raises(NoteFault) as caught:
        sign_note(TEXT, *[SIGNER] * count)
    assert caught.value.finding == "note_form"


def test_two_keys_with_one_name_and_id_cannot_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(note, "KEY_ID_BYTES", 0)  # every id is the same now
    double = Verifier(ORIGIN, OTHER.verifier.public_key)
    assert refused(GOOD.encode(), SIGNER.verifier, double) == "note_key"
    assert refused(GOOD.encode(), double, double) != "note_key"


VKEY = SIGNER.verifier.text()
KEY64 = VKEY.split("+", 2)[2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "++",
        ORIGIN,
        VKEY + "\n",
        VKEY + "+",
        " " + VKEY,
        VKEY.replace(ORIGIN, ""),
        VKEY.replace(ORIGIN, "other.example"),
        VKEY.replace(ORIGIN, "a b"),
        VKEY.replace(ORIGIN, "a\u2028b"),
        VKEY.replace(ORIGIN, "\ud800"),
        VKEY.replace(ORIGIN, "x" * 1025),
        VKEY.upper(),
        VKEY.replace(SIGNER.verifier.key_id.hex(), SIGNER.verifier.key_id.hex().upper()),
        VKEY.replace(SIGNER.verifier.key_id.hex(), "00000000"),
        VKEY.replace(SIGNER.verifier.key_id.hex(), "\ud800"),
        VKEY.replace("+AQ", "+BA"),
        VKEY.replace(KEY64, ""),
        VKEY.replace(KEY64, base64.b64encode(b"\x01" + bytes(31)).decode()),
        VKEY.replace(KEY64, base64.b64encode(b"\x01" + bytes(33)).decode()),
        VKEY.replace(KEY64, base64.b64encode(b"\x02" + SIGNER.verifier.public_key).decode()),
        VKEY.replace(KEY64, KEY64 + "\n"),
        "x" * 100_000 + VKEY,
        SIGNER.text(),
    ],
)
def test_refuses_a_verifier_key_of_another_form(text: str) -> None:
    with pytest.raises(NoteFault) as caught:
        Verifier.parse(text)
    assert caught.value.finding == "note_key"


SKEY = SIGNER.text()
SEED64 = SKEY.split("+", 4)[4]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PRIVATE+KEY",
        "PRIVATE+KEY+++",
        VKEY,
        SKEY + "\n",
        SKEY.replace("PRIVATE", "private"),
        SKEY.replace("PRIVATE+KEY", "PUBLIC+KEY"),
        SKEY.replace(ORIGIN, "other.example"),
        SKEY.replace(ORIGIN, ""),
        SKEY.replace(SIGNER.verifier.key_id.hex(), "00000000"),
        SKEY.replace(SIGNER.verifier.key_id.hex(), "\ud800"),
        SKEY.replace(SEED64, ""),
        SKEY.replace(SEED64, base64.b64encode(b"\x02" + bytes(range(32))).decode()),
        SKEY.replace(SEED64, base64.b64encode(b"\x01" + bytes(31)).decode()),
        SKEY.replace(SEED64, base64.b64encode(b"\x01" + bytes(32)).decode()),
        "x" * 100_000 + SKEY,
    ],
)
def test_refuses_a_signer_key_of_another_form_and_shows_none_of_it(text: str) -> None:
    with pytest.raises(NoteFault) as caught:
        Signer.parse(text)
    assert caught.value.finding == "note_key"
    assert SEED64[:20] not in caught.value.message


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_refuses_a_seed_of_another_length(seed: bytes) -> None:
    with pytest.raises(NoteFault) as caught:
        Signer.make(ORIGIN, seed)
    assert caught.value.finding == "note_key"


def test_refuses_a_public_key_of_another_length() -> None:
    with pytest.raises(NoteFault) as caught:
        Verifier(ORIGIN, bytes(31))
    assert caught.value.finding == "note_key"


def test_a_public_key_that_is_no_point_verifies_nothing() -> None:
    nonsense = Verifier(ORIGIN, b"\xff" * 32)
    with pytest.raises(NoteFault) as caught:
        nonsense.verify(TEXT, bytes(64))
    assert caught.value.finding == "note_signature"


def test_keys_are_read_back_from_their_texts() -> None:
    assert Verifier.parse(VKEY) == SIGNER.verifier
    read = Signer.parse(SKEY)
    assert (read.name, read.verifier, read.text(), read.sign(TEXT)) == (ORIGIN, SIGNER.verifier, SKEY, LINE)


def test_showing_a_signer_shows_its_name_and_no_key() -> None:
    for shown in (repr(SIGNER), str(SIGNER), f"{SIGNER}"):
        assert shown == f"Signer('{ORIGIN}', ***)"


@pytest.mark.parametrize(
    "text",
    ["A", "AA", "AAA", "AB==", "A===", "====", "AAAA=", "AA=A", "AA==AA==", "é", "-_AA", "AA==\n", " AAA", "\ud800"],
)
def test_base64_has_one_form(text: str) -> None:
    assert note.decode_base64(text) is None

# SPDX-License-Identifier: Apache-2.0
"""Signatures that the real ssh-keygen makes, and every way in which they are not good."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.people import NAMESPACE, make_key, security_key, string

from gatebook.evidence.ssh_signature import PersonKey, SignatureFault, parse_public_key, unarmored, verify_signature

MESSAGE = b'{"id":"00"}\n'


@pytest.fixture(params=["ed25519", "ecdsa"])
def signed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[PersonKey, bytes]:
    key = make_key(tmp_path / "keys", "alice", request.param)
    file = tmp_path / "message"
    file.write_bytes(MESSAGE)
    return parse_public_key(key.public.read_text()), unarmored(key.sign(file).read_text())


def test_takes_what_ssh_keygen_signs(signed: tuple[PersonKey, bytes]) -> None:
    key, signature = signed
    verify_signature(key, NAMESPACE, MESSAGE, signature)


def test_names_a_key_as_ssh_keygen_does(tmp_path: Path) -> None:
    key = make_key(tmp_path, "alice")
    listed = subprocess.run(["ssh-keygen", "-l", "-f", str(key.public)], capture_output=True, text=True, check=True)
    parsed = parse_public_key(key.public.read_text())
    assert listed.stdout.split()[1] == parsed.fingerprint
    assert parsed.text == " ".join(key.public.read_text().split()[:2])


def test_refuses_each_changed_byte(signed: tuple[PersonKey, bytes]) -> None:
    key, signature = signed
    for place in range(len(signature)):
        changed = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        with pytest.raises(SignatureFault):
            verify_signature(key, NAMESPACE, MESSAGE, changed)


def test_refuses_each_length_but_its_own(signed: tuple[PersonKey, bytes]) -> None:
    key, signature = signed
    for changed in [*(signature[:end] for end in range(len(signature))), signature + b"\0", signature + bytes(4096)]:
        with pytest.raises(SignatureFault):
            verify_signature(key, NAMESPACE, MESSAGE, changed)


def test_refuses_another_message_namespace_or_key(signed: tuple[PersonKey, bytes], tmp_path: Path) -> None:
    key, signature = signed
    with pytest.raises(SignatureFault, match="not good"):
        verify_signature(key, NAMESPACE, MESSAGE + b" ", signature)
    with pytest.raises(SignatureFault, match="another purpose"):
        verify_signature(key, "file", MESSAGE, signature)
    other = parse_public_key(make_key(tmp_path / "others", "bob").public.read_text())
    with pytest.raises(SignatureFault, match="another key"):
        verify_signature(other, NAMESPACE, MESSAGE, signature)


def test_takes_a_security_key_that_was_touched() -> None:
    public, signature = security_key(MESSAGE)
    verify_signature(parse_public_key(public), NAMESPACE, MESSAGE, signature)


def test_refuses_a_security_key_that_was_not_touched() -> None:
    public, signature = security_key(MESSAGE, flags=4)
    with pytest.raises(SignatureFault, match="not touched"):
        verify_signature(parse_public_key(public), NAMESPACE, MESSAGE, signature)


@pytest.mark.parametrize("kind", ["ssh-rsa", "ssh-dss", "ecdsa-sha2-nistp384", "ssh-ed25519-cert-v01@openssh.com"])
def test_refuses_keys_of_other_kinds(kind: str) -> None:
    with pytest.raises(SignatureFault, match="no public key of a kind that is taken"):
        parse_public_key(f"{kind} AAAA")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 %%%",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 " + "A" * 4000,
    ],
)
def test_refuses_what_is_no_key(text: str) -> None:
    with pytest.raises(SignatureFault):
        parse_public_key(text)


def _blob(change: Callable[[bytes], bytes]) -> str:
    plain = string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\x04" + bytes(64))
    return "ecdsa-sha2-nistp256 " + base64.b64encode(change(plain)).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda blob: blob,  # zeros are no point of the curve
        lambda blob: blob.replace(b"nistp256", b"nistp384"),
        lambda blob: blob + b"\0",
        lambda blob: blob[:-1],
    ],
)
def test_refuses_keys_that_are_not_what_they_say(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SignatureFault):
        parse_public_key(_blob(change))


def test_refuses_files_that_are_no_signature() -> None:
    for text in ("", "hello", "-----BEGIN SSH SIGNATURE-----\n%%\n-----END SSH SIGNATURE-----", "A" * 100):
        with pytest.raises(SignatureFault):
            unarmored(text)

# SPDX-License-Identifier: Apache-2.0
"""The ring of keys: new files under the current one, older ones opened by their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from gatebook.model.errors import OperatorFault
from gatebook.model.secret import Secret
from gatebook.vault.keys import KeyFault, parse_key, parse_key_file
from gatebook.vault.keystore import KeyRing, open_ring
from gatebook.vault.transit import TransitKey

INNER = Secret(b"\x02" * 32)
OLD, NEW = parse_key(Secret("11" * 32)), parse_key(Secret("22" * 32))


@dataclass(frozen=True)
class Ref:
    scheme: str
    locator: str


@dataclass(frozen=True)
class Vault:
    name: str
    token: Ref = Ref("env", "TOKEN")
    url: str = "https://vault.example"
    mount: str = "transit"
    key: str = "rec"
    namespace: str = ""
    tls_roots: Path | None = None


@dataclass(frozen=True)
class Keys:
    recording_key: Ref
    older_recording_keys: tuple[Ref, ...] = ()
    vaults: tuple[Vault, ...] = ()


def read(reference: Ref) -> Secret:
    return Secret({"OLD": "11" * 32, "NEW": "22" * 32, "BAD": "x", "TOKEN": "t"}[reference.locator])


def test_wraps_under_the_current_key_and_opens_with_each() -> None:
    ring = KeyRing(NEW, (OLD,))
    assert (ring.id, ring.is_remote) == (NEW.id, False)
    assert parse_key_file("s_1", ring.wrap("s_1", INNER)).kek == NEW.id
    assert ring.unwrap("s_1", OLD.wrap("s_1", INNER)) == INNER
    assert ring.unwrap("s_1", NEW.wrap("s_1", INNER)) == INNER


def test_does_not_open_what_none_of_its_keys_wrapped() -> None:
    with pytest.raises(KeyFault, match="made under another key") as caught:
        KeyRing(NEW).unwrap("s_1", OLD.wrap("s_1", INNER))
    assert "older_recording_keys" in caught.value.hint
    with pytest.raises(KeyFault, match="of another session"):
        KeyRing(NEW).unwrap("s_2", NEW.wrap("s_1", INNER))


def test_opens_the_keys_of_a_configuration() -> None:
    ring = open_ring(Keys(Ref("env", "NEW"), (Ref("file", "OLD"),)), read)
    assert (ring.current.id, [store.id for store in ring.older]) == (NEW.id, [OLD.id])


def test_a_vault_is_named_and_not_asked_yet() -> None:
    ring = open_ring(Keys(Ref("vault", "main"), (Ref("env", "OLD"),), (Vault("main"),)), read)
    assert isinstance(ring.current, TransitKey)
    assert (ring.id, ring.is_remote) == ("vault:main", True)
    assert ring.current.place.token().reveal() == b"t"
    assert ring.unwrap("s_1", OLD.wrap("s_1", INNER)) == INNER


def test_refuses_keys_that_are_none_or_there_twice() -> None:
    with pytest.raises(OperatorFault, match="is not 32 bytes"):
        open_ring(Keys(Ref("env", "BAD")), read)
    with pytest.raises(OperatorFault, match="there twice"):
        open_ring(Keys(Ref("env", "NEW"), (Ref("file", "NEW"),)), read)
    with pytest.raises(OperatorFault, match="no vault `absent`"):
        open_ring(Keys(Ref("vault", "absent")), read)

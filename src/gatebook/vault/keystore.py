# SPDX-License-Identifier: Apache-2.0
"""Where key-encryption keys are: what every key store does, and the ring of the current one and those of before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.secret import Secret
from gatebook.vault.keys import KeyEncryptionKey, made_under_another, parse_key, parse_key_file
from gatebook.vault.transit import TransitKey, TransitPlace

VAULT = "vault"


class KeyStore(Protocol):
    """A place that wraps recording keys. Implementers bind what they wrap to its session, and keep no copy of it.

    Methods may be called from several threads. They block where `is_remote`, for a bounded time: then no event loop
    calls them. Each call that is not answered raises; nothing is tried again within.
    """

    @property
    def id(self) -> str:
        """Name of the key in key files; never given to another key."""

    @property
    def is_remote(self) -> bool:
        """Whether another machine is asked."""

    def wrap(self, session: str, recording_key: Secret) -> bytes:
        """Return the content of a session's key file. KeyStoreFault if the store does not answer or refuses."""

    def unwrap(self, session: str, head: bytes) -> Secret:
        """Return the recording key from a key file.

        KeyFault if it is not this session's or not under this key, KeyStoreFault as `wrap`.
        """


@dataclass(frozen=True, slots=True)
class KeyRing:
    """A key store of several: what is new is wrapped under the current one, what is older is opened by its own."""

    current: KeyStore
    older: tuple[KeyStore, ...] = ()

    @property
    def id(self) -> str:
        """See `KeyStore`: the current one's."""
        return self.current.id

    @property
    def is_remote(self) -> bool:
        """See `KeyStore`: of what is new."""
        return self.current.is_remote

    def wrap(self, session: str, recording_key: Secret) -> bytes:
        """See `KeyStore`."""
        return self.current.wrap(session, recording_key)

    def unwrap(self, session: str, head: bytes) -> Secret:
        """See `KeyStore`. Only the store that the file names is asked."""
        kek = parse_key_file(session, head).kek
        for store in (self.current, *self.older):
            if store.id == kek:
                return store.unwrap(session, head)
        raise made_under_another()


class Reference(Protocol):
    """A reference of the configuration, `scheme:locator`."""

    @property
    def scheme(self) -> str:
        """Before the colon."""

    @property
    def locator(self) -> str:
        """Behind the colon."""


R_co = TypeVar("R_co", bound=Reference, covariant=True)
R = TypeVar("R", bound=Reference)


class ConfiguredVault(Protocol[R_co]):
    """A vault as the configuration names it."""

    @property
    def name(self) -> str:
        """Its name in references and key files."""

    @property
    def url(self) -> str:
        """The server."""

    @property
    def mount(self) -> str:
        """Where the engine is mounted."""

    @property
    def key(self) -> str:
        """Name of the key in the engine."""

    @property
    def namespace(self) -> str:
        """Empty where there is none."""

    @property
    def tls_roots(self) -> Path | None:
        """The system's if None."""

    @property
    def token(self) -> R_co:
        """Where the token is."""


class ConfiguredKeys(Protocol[R_co]):
    """The keys of recordings as the configuration names them."""

    @property
    def recording_key(self) -> R_co:
        """The current one."""

    @property
    def older_recording_keys(self) -> Sequence[R_co]:
        """Those of before."""

    @property
    def vaults(self) -> Sequence[ConfiguredVault[R_co]]:
        """The vaults that may be meant."""


def open_ring(keys: ConfiguredKeys[R], read: Callable[[R], Secret]) -> KeyRing:
    """Return the ring of a configuration: `vault:NAME` is one of its vaults, everything else is read as a local key.

    OperatorFault for a key that is none, or is there twice; and what `read` raises. No vault is asked yet.
    """
    vaults = {vault.name: vault for vault in keys.vaults}

    def opened(reference: R) -> KeyEncryptionKey | TransitKey:
        if reference.scheme != VAULT:
            return parse_key(read(reference))
        vault = vaults.get(reference.locator)
        if vault is None:
            raise OperatorFault(f"there is no vault {quoted(reference.locator)}", "name it in an `[[evidence.vault]]`")
        return TransitKey(
            TransitPlace(
                name=vault.name,
                url=vault.url,
                mount=vault.mount,
                key=vault.key,
                namespace=vault.namespace,
                tls_roots=vault.tls_roots,
                token=partial(read, vault.token),
            )
        )

    ring = KeyRing(opened(keys.recording_key), tuple(map(opened, keys.older_recording_keys)))
    ids = [store.id for store in (ring.current, *ring.older)]
    if len(set(ids)) < len(ids):
        raise OperatorFault("a recording key is there twice", "an older key is another than the current one")
    return ring

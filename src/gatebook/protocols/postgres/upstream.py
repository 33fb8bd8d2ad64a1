# SPDX-License-Identifier: Apache-2.0
"""From a role to a login at the server: which start-up parameters a client may bring, and what the gate sends.

Source: PostgreSQL documentation, "Message Formats", StartupMessage; "Connection Settings" for `options`. Every setting
a client brings is an access of its own, as if it had said SET; options that cannot be read are `opaque`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gatebook.model.errors import ClientFault, quoted
from gatebook.model.operation import Access, ObjectKind, ObjectRef
from gatebook.model.target import Account, Address, Target, TlsMode
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.names import Names
from gatebook.protocols.postgres.reading import Reading
from gatebook.protocols.postgres.settings import set_setting
from gatebook.session.gate import Place

# What the gate reads statements by; a client that asks for another value needs a permit for the setting.
PINNED: Final = (("client_encoding", "UTF8"), ("standard_conforming_strings", "on"))
_NOT_SETTINGS: Final = frozenset({"user", "database", "options", "replication"})
# The server takes any beginning of these words; whatever is not one of them counts as a yes here.
_NO: Final = frozenset({"", "0", "off", "of", "no", "n", *("false"[:length] for length in range(1, 6))})
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$.]{0,127}")
_TLS: Final = {TlsMode.VERIFY_FULL: "full", TlsMode.VERIFY_CA: "chain", TlsMode.INSECURE_REQUIRE: "insecure_none"}


class StartupFault(ClientFault):
    """The start-up parameters cannot be read."""

    code = "protocol.malformed"


@dataclass(frozen=True, slots=True)
class Startup:
    """What a client asked for, read: `settings` in order, those of `options` first, as the server takes them.

    `unread` is an `options` that holds more than settings.
    """

    user: str
    database: str
    settings: tuple[tuple[str, str], ...]
    replication: str
    unread: str = ""

    @property
    def is_replication(self) -> bool:
        """Whether the client wants to speak the replication protocol, as the server reads the parameter."""
        return self.replication.lower() not in _NO

    @property
    def is_physical(self) -> bool:
        """Whether it wants the whole server's log and not that of a database."""
        return self.is_replication and self.replication.lower() != "database"


def read_startup(parameters: Sequence[tuple[str, str]]) -> Startup:
    """Read start-up parameters; names were checked to be unique. StartupFault if a name is malformed."""
    named = dict(parameters)
    options = named.get("options", "")
    read = _read_options(options)
    settings = [*(read or ())]
    for name, value in parameters:
        if name in _NOT_SETTINGS:
            continue
        if not _SETTING.fullmatch(name):
            raise StartupFault(f"start-up parameter {quoted(name)} is not the name of a setting")
        settings.append((name, value))
    return Startup(
        user=named.get("user", ""),
        database=named.get("database", "") or named.get("user", ""),
        settings=tuple(settings),
        replication=named.get("replication", ""),
        unread=options if read is None else "",
    )


def startup_accesses(startup: Startup, place: Place) -> tuple[Access, ...]:
    """The accesses that start-up parameters need, each as if the client had said SET."""
    target, database = place.target, place.database
    names = Names(target.name, database, CatalogueView(), None)
    reading = Reading(names, {}, {}, lambda _text: b"", columns=False)
    for name, value in startup.settings:
        set_setting(reading, name, value)
    if startup.unread:
        reading.on_database("opaque")
    accesses = list(reading.accesses)
    if startup.is_replication:
        here = ObjectRef(ObjectKind.DATABASE, (target.name, database))
        accesses.append(Access("replicate", here))
    return tuple(accesses)


def upstream_parameters(startup: Startup, database: str) -> list[tuple[str, str]]:
    """The parameters of the gate's own StartupMessage, without `user`."""
    asked = {name.lower() for name, _ in startup.settings}
    parameters = [("database", database), *startup.settings]
    parameters += [(name, value) for name, value in PINNED if name not in asked]
    if startup.unread:
        parameters.append(("options", startup.unread))
    if startup.replication:
        parameters.append(("replication", startup.replication))
    return parameters


def upstream_tls(target: Target, account: Account) -> tuple[str, str, bytes, bytes, bytes] | None:
    """Server name, how far to check, roots, and what the gate shows: the account's certificate and its key.

    None for plaintext, which only a local address may have.
    """
    if target.tls is TlsMode.DISABLE:
        return None
    key = account.certificate_key.reveal() if account.certificate_key else b""
    return (target.address.host, _TLS[target.tls], target.tls_roots, account.certificate, key)


def upstream_address(address: Address) -> tuple[str, int]:
    """Host and port for the dial; the folder of a unix socket becomes the socket's path."""
    if address.host.startswith("/"):
        return (f"{address.host}/.s.PGSQL.{address.port}", address.port)
    return (address.host, address.port)


def _read_options(options: str) -> list[tuple[str, str]] | None:
    """Read `-c name=value` and `--name=value`; None if there is anything else, which only the server understands."""
    settings: list[tuple[str, str]] = []
    words = iter(_split(options))
    for word in words:
        if word == "-c":
            word = next(words, "")  # noqa: PLW2901  the value stands in the next word
        elif word.startswith("-c"):
            word = word[2:]  # noqa: PLW2901  or in the same
        elif word.startswith("--"):
            word = word[2:]  # noqa: PLW2901  or in the long form
        else:
            return None
        name, equals, value = word.partition("=")
        name = name.replace("-", "_")
        if not equals or not _SETTING.fullmatch(name):
            return None
        settings.append((name, value))
    return settings


def _split(options: str) -> list[str]:
    """Split at white space as the server does (`pg_split_opts`): a backslash takes the next character as it is."""
    words: list[str] = []
    word = ""
    inside = escaped = False
    for character in options:
        if escaped:
            word, escaped, inside = word + character, False, True
        elif character == "\\":
            escaped = inside = True
        elif character.isspace():
            if inside:
                words.append(word)
            word, inside = "", False
        else:
            word, inside = word + character, True
    return [*words, word] if inside else words

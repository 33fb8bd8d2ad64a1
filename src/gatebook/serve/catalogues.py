# SPDX-License-Identifier: Apache-2.0
"""The catalogues of all databases behind the gate, kept current on the gate's own connections.

A database is read when its first session asks, polled each second while it has sessions, and read at once after DDL
through the gate. While it cannot be read its view is empty: no name resolves, which narrow policies refuse.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import asyncpg
import structlog

from gatebook.model.errors import UpstreamFault
from gatebook.model.secret import Secret
from gatebook.model.target import Account, Address, Target, TlsMode
from gatebook.process.tasks import Tasks
from gatebook.protocols.postgres.catalogue import DEFINITIONS_QUERY, STARTUP, Catalogue, CatalogueView

POLL_S = 1.0
CONNECT_S = 5.0
QUERY_S = 30.0

_log = structlog.get_logger("gatebook.catalogue")


class DatabaseCatalogue:
    """One database: its connection, its view, and the lock under which both change."""

    def __init__(self, target: Target, database: str) -> None:
        self.target = target
        self.database = database
        self.sessions = 0
        self._catalogue = Catalogue()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._lock = asyncio.Lock()
        # Readings asked for, and how many of them the view answers: one that is under way does not count yet.
        self._wanted = 1
        self._answered = 0

    @property
    def view(self) -> CatalogueView:
        """The view in force."""
        return self._catalogue.view

    def mark_due(self) -> None:
        """Read again before the next decision: something may have changed."""
        self._wanted += 1

    async def current(self) -> CatalogueView:
        """Return the view, after a reading that is due, also where somebody else has just begun it."""
        if self._answered < self._wanted:
            async with self._lock:
                if self._answered < self._wanted:
                    await self._read()
        return self._catalogue.view

    async def reread(self) -> CatalogueView:
        """Return the view as of now, after a reading that begins now at the earliest."""
        self.mark_due()
        return await self.current()

    async def definitions(self, relations: Sequence[int]) -> str:
        """Return a digest of what these relations do beside holding rows, as of now. Raises what asyncpg raises."""
        oids = "{" + ",".join(str(oid) for oid in relations) + "}"
        async with self._lock:
            if self._connection is None or self._connection.is_closed():
                await self._read()
            if self._connection is None:
                raise UpstreamFault("the catalogue cannot be read")
            return str(await self._connection.fetchval(DEFINITIONS_QUERY, oids, timeout=QUERY_S))

    async def read_ahead(self) -> None:
        """Make a reading that is due before it is waited for. A failure is that of the reading."""
        await self.current()

    async def poll(self) -> bool:
        """Read the catalogue if it changed; True if the view is another now. A failure is logged and empties it."""
        async with self._lock:
            before = self._catalogue.view.revision
            await self._read()
            return before != self._catalogue.view.revision

    async def _read(self) -> None:
        wanted = self._wanted
        try:
            if self._connection is None or self._connection.is_closed():
                account = self.target.catalogue or self.target.roles[0].account
                self._connection = await connect(self.target, self.database, account, dict(STARTUP))
                self._catalogue.forget()
            await self._catalogue.refresh(partial(_run, self._connection))
            self._answered = wanted
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, UpstreamFault, TimeoutError) as fault:
            _log.warning(
                "catalogue cannot be read", target=self.target.name, database=self.database, fault=str(fault)[:200]
            )
            self._catalogue.view = CatalogueView()
            self._catalogue.forget()
            self._answered = 0
            # Who has locked the catalogue keeps it locked for a new connection too, and its login waits longer.
            if not isinstance(fault, asyncpg.LockNotAvailableError):
                await self._disconnect()

    async def close(self) -> None:
        """Close the connection, after a reading that is under way; the next reading opens another."""
        async with self._lock:
            await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await connection.close(timeout=1)


class Catalogues:
    """All databases with sessions. `changed` is called whenever a view is replaced: kept verdicts are void then."""

    def __init__(self, tasks: Tasks, changed: Callable[[], None]) -> None:
        # By address too: after a reload a target of the same name may be another server.
        self._databases: dict[tuple[str, Address, str], DatabaseCatalogue] = {}
        self._changed = changed
        tasks.start("catalogues", self._poll())

    def enter(self, target: Target, database: str) -> DatabaseCatalogue:
        """A session begins there."""
        key = (target.name, target.address, database)
        found = self._databases.setdefault(key, DatabaseCatalogue(target, database))
        found.target = target
        found.sessions += 1
        return found

    async def leave(self, database: DatabaseCatalogue) -> None:
        """A session ended there; the last one takes the connection with it."""
        database.sessions -= 1
        if database.sessions <= 0:
            self._databases.pop((database.target.name, database.target.address, database.database), None)
            await database.close()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            for database in list(self._databases.values()):
                if database.sessions > 0 and await database.poll():
                    self._changed()


async def _run(
    connection: asyncpg.Connection[asyncpg.Record], statement: str, *parameters: str
) -> Sequence[Sequence[bytes | None]]:
    rows = await connection.fetch(statement, *parameters, timeout=QUERY_S)
    return [[None if value is None else str(value).encode() for value in row.values()] for row in rows]


async def connect(
    target: Target, database: str, account: Account, settings: Mapping[str, str]
) -> asyncpg.Connection[asyncpg.Record]:
    """Log in at a target as the gate does. Raises what asyncpg raises: OSError, TimeoutError, PostgresError."""
    return await asyncpg.connect(
        host=target.address.host,
        port=target.address.port,
        user=account.name,
        password=account.password.reveal().decode() if account.password else None,
        database=database,
        ssl=tls_context(target, account),
        timeout=CONNECT_S,
        server_settings={"application_name": "gatebook", **settings},
    )


def tls_context(target: Target, account: Account) -> ssl.SSLContext | bool:
    """TLS as the target's settings demand, with the account's certificate; False for plaintext."""
    if target.tls is TlsMode.DISABLE:
        return False
    roots = target.tls_roots.decode() or None
    context = ssl.create_default_context(cadata=roots)
    context.check_hostname = target.tls is TlsMode.VERIFY_FULL
    if target.tls is TlsMode.INSECURE_REQUIRE:
        context.verify_mode = ssl.CERT_NONE
    if account.certificate and account.certificate_key:
        _show(context, account.certificate, account.certificate_key)
    return context


def _show(context: ssl.SSLContext, certificate: bytes, key: Secret) -> None:
    """Load a certificate and its key, which the library takes from a file only: one that has no name and no disk."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + b"\n" + key.reveal())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)

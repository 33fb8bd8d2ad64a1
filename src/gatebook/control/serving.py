# SPDX-License-Identifier: Apache-2.0
"""The process of the console: its store, its own journal, and the server, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn

from gatebook import __version__
from gatebook.config import ConfigFault, Secrets, Settings, load_settings
from gatebook.control.assembly import Console, assemble
from gatebook.control.passkeys import WRITER
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.model.errors import OperatorFault, quoted
from gatebook.process.logs import configure_logs
from gatebook.process.tasks import Tasks
from gatebook.store.console import open_console
from gatebook.store.sqlite import open_store
from gatebook.vault.journal import JournalWriter

DRAIN_S: Final = 5
KEEP_ALIVE_S: Final = 15
BACKLOG: Final = 128
CONNECTIONS: Final = 500  # LIMIT: at a time; beyond, 503


def serve(config: Path, opened: Callable[[str], None]) -> None:
    """Serve the console of a configuration until SIGINT or SIGTERM; `opened` is called with its address.

    OperatorFault if it cannot start.
    """
    configure_logs()
    settings = load_settings(config)
    if not settings.store_path.exists():
        raise OperatorFault("there is no store yet in the data folder", "make one with `gatebook init`")
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(contextlib.closing(open_store(settings.store_path)))
        console = stack.enter_context(contextlib.closing(open_console(settings.console_path)))
        journal = stack.enter_context(JournalWriter.open(settings.journal_path, WRITER, sync="every"))
        made = assemble(settings, store=store, console=console, journal=journal, now=_now)
        listener = stack.enter_context(_listen(settings))
        url = settings.control.origin
        journal.append(
            builders.console_start(Stamp(WRITER, _now()), version=__version__, config_hash=settings.digest, url=url)
        )
        try:
            asyncio.run(_run(made, settings, listener, lambda: opened(url)))
        finally:
            journal.append(builders.console_stop(Stamp(WRITER, _now()), cause="told to stop"))


async def _run(made: Console, settings: Settings, listener: socket.socket, opened: Callable[[], None]) -> None:
    with _certificate(settings) as tls:
        server = uvicorn.Server(
            uvicorn.Config(
                made.app,
                http="h11",
                ws="none",
                lifespan="off",
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=DRAIN_S,
                h11_max_incomplete_event_size=32_768,
                ssl_certfile=tls[0],
                ssl_keyfile=tls[1],
            )
        )
        tasks = Tasks()
        for keep in made.keep_keys:
            tasks.start("keys of issuers", keep())
        if server.config.ssl_certfile:
            server.config.load()
            assert server.config.ssl is not None
            server.config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: setattr(server, "should_exit", True))
        opened()
        await server.serve(sockets=[listener])
        await tasks.stop()


def _listen(settings: Settings) -> socket.socket:
    control = settings.control
    try:
        family = socket.AF_INET6 if ":" in control.host else socket.AF_INET
        return socket.create_server((control.host, control.port), family=family, backlog=BACKLOG)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        where = f"{control.host}:{control.port}"
        raise OperatorFault(f"the console cannot listen on {quoted(where)}: {words}", "see `[control]`") from fault


@contextlib.contextmanager
def _certificate(settings: Settings) -> Iterator[tuple[str | None, str | None]]:
    """Give the files of certificate and key: the server takes files only, so that the key is in one of ours."""
    control = settings.control
    if control.tls_certificate is None or control.tls_key is None:
        yield None, None
        return
    key = Secrets.beside(settings.path.parent).read(control.tls_key)
    with tempfile.NamedTemporaryFile(prefix="gatebook-") as file:  # mode 0600
        file.write(key.reveal())
        file.flush()
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(control.tls_certificate, file.name)
        except (OSError, ssl.SSLError) as fault:
            hint = "see `tls_certificate` and `tls_key` of `[control]`"
            raise ConfigFault("the console's certificate and key cannot be used", hint) from fault
        yield str(control.tls_certificate), file.name


def _now() -> datetime:
    return datetime.now(UTC)

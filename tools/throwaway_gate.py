# SPDX-License-Identifier: Apache-2.0
"""A gate in a folder, made and run through the `gatebook` command, for the demo, the benchmark and the tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OPEN_S = 30.0
STOP_S = 30.0
OWNER = "robin"
PERMIT_ALL = '@id("permit-all")\npermit (principal, action, resource);\n'


@dataclass(frozen=True, slots=True)
class Key:
    """An agent's key: its public id, the secret token, and the agent's name."""

    id: str
    token: str
    agent: str


@dataclass(frozen=True, slots=True)
class Login:
    """An account at a target and the groups of agents that have its role."""

    role: str
    account: str
    password: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What the gate stands before."""

    name: str
    database: str
    port: int
    roles: tuple[Login, ...]
    catalogue: tuple[str, str] | None = None
    host: str = "127.0.0.1"
    tls_root: Path | None = None

    def toml(self) -> str:
        """Return the target as it stands in a configuration; passwords are in files beside it."""
        lines = ["", "[[target]]", f'name = "{self.name}"', f'host = "{self.host}"', f"port = {self.port}"]
        lines += [f'database = "{self.database}"', f'tls = "{"verify-full" if self.tls_root else "disable"}"']
        if self.tls_root:
            lines.append(f'tls_roots = "{self.tls_root}"')
        if self.catalogue:
            account, _ = self.catalogue
            lines.append(f'catalogue = {{ account = "{account}", password = "file:{self._file(account)}" }}')
        for role in self.roles:
            lines += ["", "  [[target.role]]", f'  name = "{role.role}"', f'  account = "{role.account}"']
            lines += [f'  password = "file:{self._file(role.account)}"', f"  groups = {json.dumps(list(role.groups))}"]
        return "\n".join(lines) + "\n"

    def write_passwords(self, folder: Path) -> None:
        """Write the password of each account into a file that only we may read."""
        (folder / "passwords").mkdir(mode=0o700, exist_ok=True)
        accounts = [(role.account, role.password) for role in self.roles]
        for account, password in [*accounts, *([self.catalogue] if self.catalogue else [])]:
            file = folder / self._file(account)
            file.touch(mode=0o600)
            file.write_text(password)

    def _file(self, account: str) -> str:
        return f"passwords/{self.name}-{account}"


@dataclass(slots=True)
class Gate:
    """A gate's folder and, while it serves, its process."""

    folder: Path
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "gatebook.toml"

    @property
    def root(self) -> Path:
        """The certificate that clients trust."""
        return self.folder / "root.crt"

    @property
    def data(self) -> Path:
        """The data folder: store, journals, recordings."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the serving process printed."""
        return self.folder / "serve.log"

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `gatebook` command with this configuration. RuntimeError with what it said if it fails and `check`."""
        command = [gatebook(), *arguments, "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command[1:])} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done

    def ask(self, *arguments: str, check: bool = True) -> object:
        """Run a `gatebook` command with `--json` and return what it printed. RuntimeError as `run`."""
        return json.loads(self.run(*arguments, "--json", check=check).stdout)

    def create_key(self, agent: str, groups: Iterable[str] = ("agents",), *, expires: str = "1d") -> Key:
        """Make an agent's key, owned by a person."""
        words = [word for group in groups for word in ("--group", group)]
        made = self.ask("key", "create", "--agent", agent, "--owner", OWNER, "--expires", expires, *words)
        assert isinstance(made, dict)
        return Key(made["key"], made["token"], agent)

    def write_policies(self, policies: Mapping[str, str]) -> None:
        """Replace the policies; a gate that serves loads them when it starts again."""
        shutil.rmtree(self.folder / "policies")
        (self.folder / "policies").mkdir()
        for name, text in policies.items():
            (self.folder / "policies" / name).write_text(text)

    def set(self, section: str, **settings: object) -> None:
        """Put settings into a section of the configuration, before those that are there; a given name is replaced."""
        lines = self.config.read_text().splitlines()
        lines = [line for line in lines if line.split("=")[0].strip() not in settings or not line.strip()]
        if f"[{section}]" not in lines:
            lines[0:0] = [f"[{section}]"]
        at = lines.index(f"[{section}]") + 1
        lines[at:at] = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def serve(self, command: Sequence[str] = ()) -> None:
        """Start to serve and wait until connections are accepted. RuntimeError with its log if it does not.

        `command` goes before `gatebook serve`, to run it under something.
        """
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, gatebook(), "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | self.environment,
            )
        wait_for_port(self.port, self.process, self.log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop serving and return the exit status; SIGKILL is a crash. 0 if it does not serve."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def conninfo(self, key: Key, database: str, **more: object) -> str:
        """Return the connection string of an agent without its key, over TLS with the gate's own root."""
        words = {"host": "localhost", "port": self.port, "user": key.agent, "dbname": database}
        words |= {"sslmode": "verify-full", "sslrootcert": self.root, **more}
        return " ".join(f"{name}={value}" for name, value in words.items() if value is not None)

    def sessions(self) -> list[dict[str, object]]:
        """Return the sessions of the book, oldest first."""
        listed = self.ask("sessions", "list", "--last", "100000")
        assert isinstance(listed, list)
        return listed


def make_gate(folder: Path, *targets: Target, policies: Mapping[str, str] | None = None, port: int = 0) -> Gate:
    """Make a gate in a new folder by `gatebook init`, with an owner of keys, targets, and policies: all if none."""
    port = port or _free_port()
    command = [gatebook(), "init", str(folder), "--admin", OWNER, "--port", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"gatebook init failed: {done.stderr}")
    gate = Gate(folder, port)
    for target in targets:
        target.write_passwords(folder)
        with gate.config.open("a", encoding="utf-8") as file:
            file.write(target.toml())
    gate.write_policies(policies or {"permit_all.cedar": PERMIT_ALL})
    return gate


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a process accepts connections. RuntimeError with the end of its log if it ends or takes too long."""
    deadline = time.monotonic() + OPEN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            pass
        else:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the gate did not open:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.02)


def gatebook() -> str:
    """Return the command of this environment. FileNotFoundError if it is not installed."""
    command = Path(sys.executable).parent / "gatebook"
    if not command.exists():
        raise FileNotFoundError(f"{command} is not there: run `make setup`")
    return str(command)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

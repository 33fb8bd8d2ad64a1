# SPDX-License-Identifier: Apache-2.0
"""`gatebook try`: a whole gate of one's own in a folder, made from a database URL. app.py runs it."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from gatebook.cli.certificates import make_certificates
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.identity.api_key import RANDOM_BYTES, local_issuer, mint
from gatebook.model.credential import Person
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.principal import Subject
from gatebook.model.target import Address, TlsMode
from gatebook.serve.fresh import now
from gatebook.store.base import Store
from gatebook.vault.journal import JournalWriter

NAME = "try"
TARGET = "db"
AGENT = "agent"
KEY_LIFETIME = timedelta(days=30)
# LIMIT: the largest that can be set: whoever tries the gate should not meet a bound that the server does not have.
MESSAGE_BYTES = 256 << 20

_SCHEMES = frozenset({"postgresql", "postgres"})
_SECRET = 0o600
_SERVED = {
    "disable": TlsMode.DISABLE,
    "require": TlsMode.INSECURE_REQUIRE,
    "verify-ca": TlsMode.VERIFY_CA,
    "verify-full": TlsMode.VERIFY_FULL,
}


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database as its URL names it."""

    address: Address
    user: str
    password: str
    database: str
    tls: TlsMode
    tls_roots: Path | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A throwaway gate on disk: its folder, its configuration, and the database it stands before."""

    folder: Path
    config: Path
    database: str


def parse_url(url: str) -> DatabaseUrl:
    """Read `postgresql://user:password@host:port/database?sslmode=...&sslrootcert=...&host=...`.

    Without `sslmode` the server's certificate and name are verified, except on loopback and unix sockets, where
    plaintext is spoken. OperatorFault if it is no such URL or asks for a mode that the gate does not serve.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError as fault:
        raise OperatorFault("the URL cannot be read", "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE") from fault
    if parts.scheme not in _SCHEMES:
        raise OperatorFault(
            f"{quoted(parts.scheme)} is not served", "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - {"host", "port", "user", "password", "dbname", "sslmode", "sslrootcert"})
    if unknown:
        raise OperatorFault(f"option {quoted(unknown[0])} of the URL is not served", "leave it out")
    address = Address(options.get("host") or unquote(parts.hostname or "localhost"), int(options.get("port", port)))
    user = options.get("user") or unquote(parts.username or "") or getpass.getuser()
    mode = options.get("sslmode", "disable" if address.is_local else "verify-full")
    if mode not in _SERVED:
        raise OperatorFault(
            f"sslmode {quoted(mode)} lets an attacker choose", f"say one of {', '.join(sorted(_SERVED))}"
        )
    roots = options.get("sslrootcert", "")
    return DatabaseUrl(
        address=address,
        user=user,
        password=options.get("password") or unquote(parts.password or "") or os.environ.get("PGPASSWORD", ""),
        database=options.get("dbname") or unquote(parts.path.removeprefix("/")) or user,
        tls=_SERVED[mode],
        tls_roots=Path(roots).absolute() if roots and roots != "system" else None,
    )


def make_trial(
    url: DatabaseUrl, *, policy: Path | None, listen: tuple[str, int], data: Path | None, insecure_plaintext: bool
) -> Trial:
    """Write the folder of a throwaway gate. A folder of an earlier trial keeps its book and its recording key."""
    folder = data.absolute() if data else Path(tempfile.mkdtemp(prefix="gatebook-try-"))
    (folder / "policies").mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in (folder / "policies").glob("*.cedar"):
        old.unlink()
    permit_all = resources.files("gatebook.policy").joinpath("permit_all.cedar").read_text("utf-8")
    _write(
        folder / "policies" / (policy.name if policy else "permit_all.cedar"), _read(policy) if policy else permit_all
    )
    if not (folder / "recording.key").exists():
        _write(folder / "recording.key", secrets.token_hex(32) + "\n")
    _write(folder / "target.password", url.password + "\n")
    made = make_certificates(NAME, () if Address(*listen).is_local else (listen[0],), now())
    for name, content in (("root.crt", made.root), ("server.crt", made.server), ("server.key", made.server_key)):
        _write(folder / name, content.decode())
    config = folder / "gatebook.toml"
    _write(config, _config(url, listen, insecure_plaintext=insecure_plaintext))
    return Trial(folder, config, url.database)


def make_key(store: Store, journal: JournalWriter) -> str:
    """Make a key for the trial's agent, owned by whoever runs the trial; return the token."""
    issuer = local_issuer(NAME)
    owner = Subject(issuer, getpass.getuser())
    stamp = Stamp(NAME, now())
    if store.find_person(owner) is None:
        person = Person(owner, admin=True, created_at=stamp.now)
        journal.append(builders.person_added(stamp, person, by=owner.subject))
        store.add_person(person)
    key = mint(
        secrets.token_bytes(RANDOM_BYTES),
        agent=Subject(issuer, AGENT),
        owner=owner,
        groups=(NAME,),
        now=stamp.now,
        expires_at=stamp.now + KEY_LIFETIME,
    )
    journal.append(builders.key_created(stamp, key.record, by=owner.subject))
    store.add_key(key.record)
    return key.token.reveal().decode()


def how_to_connect(trial: Trial, host: str, port: int, token: str, *, plaintext: bool) -> dict[str, str | int]:
    """The members of the connection, by their libpq names."""
    everywhere = host in {"0.0.0.0", "::", "127.0.0.1", "::1"}  # noqa: S104  compared, not bound
    return {
        "host": "localhost" if everywhere else host,
        "port": port,
        "user": AGENT,
        "password": token,
        "dbname": trial.database,
        "sslmode": "disable" if plaintext else "verify-full",
        "sslrootcert": "" if plaintext else str(trial.folder / "root.crt"),
    }


def psql_command(connection: dict[str, str | int]) -> str:
    """The command line for stock psql."""
    words = " ".join(
        f"{name}={_conninfo(str(value))}" for name, value in connection.items() if name != "password" and value != ""
    )
    return f'PGPASSWORD={connection["password"]} psql "{words}"'


def _config(url: DatabaseUrl, listen: tuple[str, int], *, insecure_plaintext: bool) -> str:
    tls = 'tls_certificate = "server.crt"\ntls_key = "file:server.key"\ntls_root = "root.crt"'
    password = 'password = "file:target.password"' if url.password else ""
    # Who writes sslmode=disable for another machine has said so in so many words.
    plaintext = "insecure_plaintext = true" if url.tls is TlsMode.DISABLE and not url.address.is_local else ""
    roots = f"tls_roots = {_toml(str(url.tls_roots))}" if url.tls_roots else ""
    return f"""# Made by `gatebook try`.

[gate]
name = "{NAME}"
data = "data"
host = {_toml(listen[0])}
port = {listen[1]}
{"insecure_plaintext = true" if insecure_plaintext else tls}

[evidence]
recording_key = "file:recording.key"

[policy]
folder = "policies"

[limits]
message_bytes = {MESSAGE_BYTES}

[[target]]
name = "{TARGET}"
host = {_toml(url.address.host)}
port = {url.address.port}
database = {_toml(url.database)}
tls = "{url.tls.value}"
{plaintext}
{roots}

  [[target.role]]
  name = "{NAME}"
  account = {_toml(url.user)}
  {password}
  groups = ["{NAME}"]
"""


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=True)  # a JSON string is a TOML basic string


def _conninfo(value: str) -> str:
    if value and not set(value) & set(" '\\"):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise OperatorFault(f"policy {quoted(str(path))} cannot be read", "see the path") from fault


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _SECRET)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)

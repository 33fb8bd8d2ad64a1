# SPDX-License-Identifier: Apache-2.0
"""The contract of the native module: everything Rust does for Python, and nothing else.

Only `gatebook.native.pure` and `gatebook.native.carrier` import this module.
"""

from typing import Self, final

__all__ = [
    "Admission",
    "Cancel",
    "Carrier",
    "CatalogueChanged",
    "Ended",
    "Fault",
    "Forgotten",
    "Hello",
    "Journal",
    "NativeError",
    "NotSecured",
    "OperationFacts",
    "PostgresConversation",
    "Question",
    "Refusal",
    "Verdict",
    "journal_leaves",
    "parse_sql",
    "private_open",
    "private_seal",
    "sql_literal_free",
    "sql_password_literals",
    "sql_shape",
    "sql_tokens",
]

class NativeError(Exception):
    """A parser or file of the native module refused; the message is safe to show."""

# ── pure ────────────────────────────────────────────────────────────────────────────────────

def parse_sql(text: bytes) -> bytes:
    """Parse with PostgreSQL's own grammar; canonical JSON of libpg_query. NativeError if it cannot."""

def sql_shape(text: bytes) -> bytes | None:
    """The cache key shape; None where the lexer is not sure (then only exact text may be a key)."""

def sql_literal_free(text: bytes) -> str:
    """The statement without literals and comments, for leaves; never fails, unclear bytes become `?`."""

def sql_password_literals(text: bytes) -> list[tuple[int, int]]:
    """Byte ranges (quotes included) of literals that are passwords, ascending; never fails."""

def sql_tokens(text: bytes) -> list[tuple[str, int, int]]:
    """PostgreSQL's scanner: (kind, start, end) in bytes; NativeError if it cannot."""

def journal_leaves(segment: bytes, start: int, previous: bytes, most: int) -> tuple[bytes, bytes, int, int, bytes, str]:
    """Leaves of at most `most` records of a segment's bytes from `start` on, behind the link `previous`.

    Bundle (u16 BE length and bytes of each), leaf hashes of RFC 6962 (32 bytes each), how many, offset behind their
    records, the last link, and why there are no more: empty, `end`, `unfinished`, or words for what is wrong.
    """

def private_seal(key: bytes, session: str, seq: int, operation: int, private: bytes) -> tuple[bytes, str]:
    """Blob of a private part, sealed, and its commitment `sha256:...` (docs/spec/entry.md)."""

def private_open(key: bytes, session: str, seq: int, sealed: bytes) -> bytes:
    """Salt and JSON of a sealed private part. NativeError if it does not authenticate."""

@final
class PostgresConversation:
    """The PostgreSQL conversation without sockets, for playbooks and property tests.

    Every method takes the moment (microseconds) and returns the turn's output in order, as tuples:
    ("journal", leaf, private), ("record", direction, bytes), ("client", bytes), ("upstream", bytes), and one
    tuple per command: ("start_client_tls", begun), ("not_secured", check, reason), ("dial", host, port),
    ("start_upstream_tls", server_name), ("ask", ticket, Hello | Question), ("cancel", ticket, key),
    ("forget", ticket), ("open_recording", session), ("register", bytes), ("signal", bytes), ("errand", bytes),
    ("catalogue_changed", session), ("end", cause, note, Ended).
    Entries are taken as written at once unless `hold_journal` is set; then `written` releases.
    """

    def __new__(
        cls, *, insecure_plaintext: bool = False, hold_journal: bool = False, bearer: bytes | None = None
    ) -> Self: ...
    def client(self, data: bytes, at: int = 0) -> list[tuple[object, ...]]: ...
    def client_tls(
        self, at: int = 0, alpn: str = "", certificates: list[bytes] | None = None
    ) -> list[tuple[object, ...]]: ...
    def client_closed(self, at: int = 0) -> list[tuple[object, ...]]: ...
    def upstream_open(self, at: int = 0) -> list[tuple[object, ...]]: ...
    def upstream_tls(self, at: int = 0, end_point: bytes | None = None) -> list[tuple[object, ...]]: ...
    def upstream_failed(self, words: str, at: int = 0) -> list[tuple[object, ...]]: ...
    def upstream(self, data: bytes, at: int = 0) -> list[tuple[object, ...]]: ...
    def upstream_closed(self, at: int = 0) -> list[tuple[object, ...]]: ...
    def admit(self, ticket: int, admission: Admission, at: int = 0) -> list[tuple[object, ...]]: ...
    def refuse(self, ticket: int, refusal: Refusal, at: int = 0) -> list[tuple[object, ...]]: ...
    def answer(self, ticket: int, verdict: Verdict, at: int = 0) -> list[tuple[object, ...]]: ...
    def hold(self, ticket: int, verdict: Verdict, notice: Refusal, at: int = 0) -> list[tuple[object, ...]]: ...
    def resume(self, ticket: int, at: int = 0) -> list[tuple[object, ...]]: ...
    def note(self, ticket: int, at: int = 0) -> list[tuple[object, ...]]: ...
    def silence(self, ticket: int, at: int = 0) -> list[tuple[object, ...]]: ...
    def written(self, at: int = 0) -> list[tuple[object, ...]]: ...
    def tick(self, at: int = 0) -> list[tuple[object, ...]]: ...
    def end(self, cause: str, note: str = "", at: int = 0) -> list[tuple[object, ...]]: ...
    def signal(self, at: int = 0) -> list[tuple[object, ...]]: ...
    def raise_epoch(self, kind: str) -> None: ...
    def wants_client(self) -> bool: ...
    def wants_upstream(self) -> bool: ...

# ── values that cross the seam ───────────────────────────────────────────────────────────────

@final
class Hello:
    """A connection asks to become a session."""

    ticket: int
    listener: int
    peer: tuple[str, int]
    tls: tuple[str, str, str] | None
    parameters: list[tuple[str, str]]
    certificates: list[bytes]
    def password(self) -> bytes:
        """The password as sent; readable once, wiped then."""

@final
class Question:
    """A message asks to run."""

    ticket: int
    session: str
    via: str
    text: bytes
    tree: bytes | None
    parse_error: str
    operation: int
    types: bytes
    arguments: bytes
    facts: list[bytes | None]
    facts_known: bool
    transaction: str
    prepared: list[tuple[bytes, bytes]]

@final
class Cancel:
    """A connection presents a cancel key; `session` is whose it is, if anybody's. Answer with `note` or `silence`."""

    ticket: int
    peer: tuple[str, int]
    session: str | None

@final
class NotSecured:
    """A client never came inside TLS: the check that failed and the reason, in the words of docs/spec/entry.md.

    Those that came faster than they were drained are one, with the number of `times` and without `peer` and reason.
    """

    peer: tuple[str, int] | None
    check: str
    reason: str
    times: int

@final
class Ended:
    """A connection is over."""

    session: str
    cause: str
    operations: int
    refused: int
    rows: int
    client_bytes: tuple[int, int]
    last_seq: int

@final
class Forgotten:
    """A ticket whose answer nobody waits for any more."""

    ticket: int

@final
class CatalogueChanged:
    """A statement of this session may have changed its database's catalogue."""

    session: str

@final
class Fault:
    """The carrier met something the operator should know (journal failed, listener lost)."""

    what: str
    note: str

@final
class Admission:
    """Consent to a session; see rust/wire/src/seam/admission.rs for each field. Times in microseconds."""

    def __new__(
        cls,
        *,
        session: str,
        host: str,
        port: int,
        tls: tuple[str, str, bytes, bytes, bytes] | None,
        account: str,
        password: bytes,
        nonce: str,
        startup: list[tuple[str, str]],
        scope: bytes,
        principal: str,
        facts_query: bytes,
        cancel_secret: bytes,
        recording_key: bytes,
        recording_head: bytes,
        identity: bytes,
        source: bytes,
        place: bytes,
        ends_at_us: int = 0,
        statement_bytes: int = 0,
        message_bytes: int = 0,
        names: int = 0,
        pipeline: int = 0,
        idle_us: int = 0,
        journal_bytes_per_hour: int = 0,
        recording_bytes_per_hour: int = 0,
        insecure_md5: bool = False,
    ) -> Self:
        """`tls` is (server name, `full` | `chain` | `insecure_none`, roots, own certificate, its key); three are PEM.

        Zero limits mean the defaults.
        """

@final
class Refusal:
    def __new__(cls, *, sqlstate: str, message: str, detail: str, hint: str, code: str) -> Self: ...

@final
class OperationFacts:
    def __new__(
        cls, *, action: bytes, decision: bytes, privileged: bool, effects: list[tuple[str, str]], whole: bool = False
    ) -> Self:
        """`whole`: it stands for a message of which nobody knows how many statements it holds."""

@final
class Verdict:
    def __new__(
        cls,
        *,
        operations: list[OperationFacts],
        refusal: Refusal | None,
        cache: str,
        ttl_us: int,
        blots: list[tuple[int, int]],
        salt: str = "",
    ) -> Self:
        """`salt` stands in the private part of its entries, unless empty."""

# ── files and sockets ────────────────────────────────────────────────────────────────────────

@final
class Journal:
    """The writer of one journal folder (docs/spec/journal.md). One per process and folder."""

    @staticmethod
    def open(folder: str, writer: str, *, sync: str, segment_bytes: int = 67108864, fault: str = "") -> Journal:
        """Take the lock, recover, preallocate. `sync` is `privileged` or `every`. NativeError if it cannot.

        `fault` makes a chosen system call fail, for tests: `<step>:<n>:<fails|persists|short>`.
        """

    def recovery(self) -> tuple[int, int, str]:
        """Entries kept, bytes set aside, name of the aside file (empty if none)."""

    def append(self, leaf: bytes, private: bytes = b"", *, durable: bool = False) -> int:
        """Append one entry; return its number (from 1). NativeError if the writer has failed."""

    def entries(self) -> int: ...
    def failure(self) -> str: ...
    def close(self) -> None: ...

@final
class Carrier:
    """Sockets, TLS and threads. Drives one conversation per connection and asks the desk."""

    def __new__(
        cls,
        journal: Journal,
        *,
        recordings: str,
        writer: str,
        threads: int = 0,
        desk_deadline_ms: int = 10_000,
        record_queue_bytes: int = 67_108_864,
    ) -> Self: ...
    def listen(
        self,
        host: str,
        port: int,
        *,
        protocol: str,
        certificate: bytes,
        key: bytes,
        client_roots: bytes | None = None,
        client_required: bool = False,
        insecure_plaintext: bool = False,
        bearer: bytes | None = None,
    ) -> tuple[int, int]:
        """Bind and accept; return (listener id, port). Certificate chain, key and roots are PEM.

        With `client_roots` clients are asked for a certificate that one of them vouches for, and with
        `client_required` none is served without. Who shows one is asked for no password.
        With `bearer` the client logs in by SASL OAUTHBEARER; it is the JSON object of a refusal (RFC 7628).
        """

    def desk_fd(self) -> int:
        """Readable while something waits in `drain`."""

    def drain(
        self, most: int
    ) -> list[Hello | Question | Cancel | NotSecured | Ended | Forgotten | CatalogueChanged | Fault]:
        """Take up to `most` waiting things, fair over principals, without blocking."""

    def admit(self, ticket: int, admission: Admission) -> None: ...
    def refuse(self, ticket: int, refusal: Refusal) -> None: ...
    def answer(self, ticket: int, verdict: Verdict) -> None: ...
    def hold(self, ticket: int, verdict: Verdict, notice: Refusal, wait_ms: int) -> bool:
        """Have a question wait for a person: it is entered as held with the facts of `verdict`, and the client is told.

        The ticket stays open: `answer` it, or `resume` it. After `wait_ms` it is refused, and `Forgotten`; given up by
        the client it is `Forgotten` at once. False where nobody waits for it, or it is held already.
        """

    def resume(self, ticket: int) -> bool:
        """Have what is held asked again: a new ticket, the same operation. False if it is not held."""
    def note(self, ticket: int) -> None:
        """Let a cancel request through: it is in the book."""

    def silence(self, ticket: int) -> None: ...
    def end(self, session: str, cause: str, note: str = "") -> bool:
        """End a live session; False if it is not here."""

    def raise_epoch(self, kind: str) -> None:
        """`policy`, `grants` or `catalogue`: void kept verdicts."""

    def reload_tls(
        self,
        listener: int,
        certificate: bytes,
        key: bytes,
        *,
        client_roots: bytes | None = None,
        client_required: bool = False,
    ) -> None: ...
    def stop(self, drain_ms: int) -> None:
        """Stop accepting, let running operations end for so long, end the rest, seal recordings."""

    def metrics(self) -> dict[str, int]:
        """Counters: sessions, questions, cache hits and misses, bytes, entries."""

# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF009  # `setting` is `dataclasses.field`
"""The settings of the file: name, type, default and meaning of each, from which the reference page is generated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatebook.config import values
from gatebook.config.approval import ApprovalSettings
from gatebook.config.control import ControlSettings
from gatebook.config.declaring import NAME, setting
from gatebook.config.identities import CertificateAuthoritySettings, IssuerSettings
from gatebook.config.ledger import LedgerSettings
from gatebook.config.notify import NotifySettings
from gatebook.config.retention import RetentionSettings
from gatebook.config.secrets import SecretRef
from gatebook.model.target import TlsMode

DEFAULT_PORT = 5433


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """The gate itself: where it keeps its state, where it listens."""

    name: str = setting(
        values.name(NAME), "Name of this gate in evidence and in the issuer of its own identities.", default="gatebook"
    )
    data: Path = setting(values.path, "Folder of store, journals and recordings; relative to this file.")
    host: str = setting(values.text, "Address to listen on.", default="127.0.0.1")
    port: int = setting(values.integer(0, 65_535), "Port to listen on; 0 takes a free one.", default=DEFAULT_PORT)
    public_host: str = setting(
        values.text,
        "Host name that clients use, for the commands that Gatebook prints; the certificate must name it.",
        default="localhost",
    )
    tls_certificate: Path | None = setting(
        values.path, "Certificate chain shown to clients, PEM. Needed unless `insecure_plaintext`.", default=None
    )
    tls_key: SecretRef | None = setting(values.reference, "Private key of the certificate, PEM.", default=None)
    tls_root: Path | None = setting(
        values.path, "Root certificate that clients trust, PEM, for the commands that Gatebook prints.", default=None
    )
    insecure_plaintext: bool = setting(
        values.boolean,
        "Let clients on loopback log in without TLS. Keys then cross the wire readable; for tests only.",
        default=False,
    )
    client_certificates: str = setting(
        values.choice("optional", "required"),
        "With a `[[certificate_authority]]`: whether clients may log in without a certificate, by key or token.",
        default="optional",
    )
    login: str = setting(
        values.choice("password", "oauthbearer"),
        "How clients show their credential: as `password`, or by SASL `OAUTHBEARER`, which libpq speaks from 18 on. "
        "One listener cannot offer both.",
        default="password",
    )
    oauth_issuer: str = setting(
        values.text,
        "With `oauthbearer`, name of the issuer where clients are told to get a token; the first one if absent.",
        default="",
    )
    oauth_scope: str = setting(values.text, "The scope that they are told to ask it for.", default="openid")
    metrics_host: str = setting(
        values.text, "Address to serve metrics on; whoever reaches it reads them.", default="127.0.0.1"
    )
    metrics_port: int = setting(
        values.integer(0, 65_535), "Port of the metrics for Prometheus, at `/metrics`; 0 serves none.", default=0
    )
    threads: int = setting(values.integer(0, 1024), "Threads that carry traffic; 0 takes one per core.", default=0)
    sync: str = setting(
        values.choice("privileged", "every"),
        "When evidence must be on disk before an operation is forwarded: for `privileged` operations (all others are "
        "in the kernel by then and survive the death of the process) or for `every` one.",
        default="privileged",
    )
    drain_s: int = setting(
        values.integer(0, 3600), "Seconds that running operations may take when the gate stops.", default=10
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """A key in the transit engine of HashiCorp Vault or OpenBao, which wraps the keys of recordings and stays there.

    `recording_key = "vault:NAME"` takes it into use: [operate](../how-to/operate.md#the-recording-key).
    """

    name: str = setting(values.name(NAME), "Name of the key in key files. It must stay, also where the server moves.")
    url: str = setting(values.text, "The server: `https://host:port`. The token is never sent along a redirect.")
    mount: str = setting(values.segments, "Where the transit engine is mounted.", default="transit")
    key: str = setting(values.segments, "Name of the key in the engine, of a type such as `aes256-gcm96`.")
    namespace: str = setting(values.text, "Namespace at the server.", default="")
    token: SecretRef = setting(
        values.reference, "Token for `encrypt` and `decrypt` with that key alone; read anew for each request."
    )
    tls_roots: Path | None = setting(
        values.path, "Root certificates for the server's certificate, PEM; the system's if absent.", default=None
    )
    insecure_loopback: bool = setting(
        values.boolean, "Let `url` be `http://` on loopback: a Vault agent of this machine.", default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSettings:
    """Journal and recordings."""

    recording_key: SecretRef = setting(
        values.reference,
        "Key-encryption key that wraps the keys of recordings: 32 bytes as 64 hex digits or base64, kept outside the "
        "data folder; or `vault:NAME`, a key that stays in an `[[evidence.vault]]`.",
    )
    older_recording_keys: tuple[SecretRef, ...] = setting(
        values.references,
        "Keys of before, which open what they wrapped; `gatebook evidence rewrap` makes them needless.",
        default=(),
    )
    vaults: tuple[VaultSettings, ...] = setting(
        values.tables(VaultSettings), "The vaults that `vault:NAME` means.", default=()
    )
    segment_bytes: int = setting(
        values.integer(65_536, 1 << 30), "Size of a journal segment, taken from the disk ahead.", default=64 << 20
    )
    queue_bytes: int = setting(
        values.integer(1 << 20, 1 << 32),
        "Bytes that may wait to be recorded, over all sessions, before sessions read no more.",
        default=64 << 20,
    )
    heartbeat_s: int = setting(
        values.integer(1, 3600), "Seconds between entries that say that the gate lives.", default=60
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """The index of the ledger for `gatebook search`: `index.db` in the data folder, which can always be made anew."""

    follow: str = setting(
        values.choice("serve", "off"),
        "Whether `gatebook serve` starts a process that keeps the index up with the ledger, at low priority, or "
        "nobody does: then `gatebook search` takes up what little is missing, and `gatebook index update` all.",
        default="serve",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """An export: everything that is sealed goes to a receiver, such as a SIEM, in order, until it acknowledges.

    What is sent, and what the receiver must do: [export](../spec/export.md).
    """

    name: str = setting(values.name(NAME), "Name of the export in commands and entries; at most 57 characters.")
    url: str = setting(
        values.text,
        "Where records are posted, `https://...` (`http://` on loopback only); or `file:PATH`, a file of JSON lines "
        "that grows, relative to this file.",
    )
    token: SecretRef | None = setting(
        values.reference, "Sent as bearer token with each request; read anew for each.", default=None
    )
    tls_roots: Path | None = setting(
        values.path, "Root certificates for the receiver's certificate, PEM; the system's if absent.", default=None
    )
    batch_entries: int = setting(values.integer(1, 10_000), "Most entries in one request.", default=1000)
    lag_alarm_s: int = setting(
        values.integer(1, 86_400), "Seconds that a sealed entry may wait before a failure is entered.", default=60
    )
    events: tuple[str, ...] = setting(
        values.texts,
        'Prefixes of the kinds of entries that are sent, such as `["operation.", "authn"]`; every one if absent.',
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """Who may do what."""

    folder: Path = setting(values.path, "Folder of the policies: every `*.cedar` file in it.")
    verdict_ttl_s: int = setting(
        values.integer(0, 3600),
        "Seconds that a decision may serve the same statement again. A changed policy voids it at once.",
        default=300,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds of one session. There is no `unlimited`."""

    statement_bytes: int = setting(
        values.integer(1024, 256 << 10), "Longest statement that is parsed; longer ones are opaque.", default=256 << 10
    )
    message_bytes: int = setting(
        values.integer(65_536, 256 << 20), "Longest message of a client that is held whole.", default=16 << 20
    )
    names: int = setting(
        values.integer(16, 1_000_000), "Prepared statements, and open portals, of a session.", default=10_000
    )
    pipeline: int = setting(
        values.integer(16, 1_000_000), "Answers outstanding in a pipeline of a session.", default=100_000
    )
    idle_s: int = setting(
        values.integer(1, 30 * 86_400), "Seconds without any traffic after which a session ends.", default=8 * 3600
    )
    session_s: int = setting(
        values.integer(1, 365 * 86_400), "Seconds after which a session ends, however busy.", default=24 * 3600
    )
    journal_bytes_per_hour: int = setting(
        values.integer(1 << 16, 1 << 50),
        "Bytes of journal that one identity may make in an hour, over all its sessions. Beyond, its statements are "
        "refused until the hour is over.",
        default=64 << 30,
    )
    recording_bytes_per_hour: int = setting(
        values.integer(1 << 16, 1 << 50),
        "Bytes that may be recorded of one identity in an hour, before they are packed; beyond, as above.",
        default=256 << 30,
    )
    decision_ms: int = setting(
        values.integer(10, 600_000), "Milliseconds a decision may take; silence refuses.", default=10_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """A login at a target. No agent ever sees it."""

    account: str = setting(values.text, "Name of the account at the target.")
    password: SecretRef | None = setting(
        values.reference, "Its password; absent where the target asks for none.", default=None
    )
    certificate: Path | None = setting(
        values.path, "Client certificate that the target asks for, with its chain, PEM.", default=None
    )
    certificate_key: SecretRef | None = setting(values.reference, "Private key of that certificate.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """What a principal may be at the target: the first role with a group of the principal is taken."""

    name: str = setting(values.name(NAME), "Name of the role, unique within its target.")
    account: str = setting(values.text, "Account at the target that acts for this role; give it least privilege.")
    password: SecretRef | None = setting(
        values.reference, "The account's password; absent where the target asks for none.", default=None
    )
    certificate: Path | None = setting(
        values.path, "Client certificate that the target asks for, with its chain, PEM.", default=None
    )
    certificate_key: SecretRef | None = setting(values.reference, "Private key of that certificate.", default=None)
    groups: tuple[str, ...] = setting(
        values.texts, "Groups whose members have this role, or may ask for it where it has `approvers`."
    )
    approvers: str = setting(
        values.text,
        "Group of people who give the role for a time; nobody has it without. Asked for by `gatebook request role`.",
        default="",
    )
    approvers_needed: int = setting(values.integer(1, 9), "How many of them must consent.", default=1)
    longest_minutes: int = setting(values.integer(1, 1440), "For how long it is given at most.", default=60)
    break_glass: bool = setting(
        values.boolean,
        "Members of `groups` may take the role at once by `gatebook request break-glass`. Approvers are told, and "
        "nobody does it twice without their review.",
        default=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """A database behind the gate. Clients name it as their database."""

    name: str = setting(values.name(NAME), "Name of the target: what clients ask for, what policies name.")
    kind: str = setting(values.choice("postgres"), "What it speaks.", default="postgres")
    host: str = setting(values.text, "Where it listens: host name, address, or folder of a unix socket.")
    port: int = setting(values.integer(1, 65_535), "Port it listens on.", default=5432)
    database: str = setting(values.text, "Database at the target.")
    any_database: bool = setting(
        values.boolean,
        "Let clients ask for any other database of the server too, as `NAME/DATABASE`.",
        default=False,
    )
    tls: TlsMode = setting(
        values.member(TlsMode),
        "How the gate speaks to it. `disable` is for loopback and unix sockets; `require` checks no certificate.",
        default=TlsMode.VERIFY_FULL,
    )
    insecure_plaintext: bool = setting(
        values.boolean,
        "Let `tls` be `disable` for a target on another machine. Passwords and rows then cross the network readable.",
        default=False,
    )
    tls_roots: Path | None = setting(
        values.path, "Root certificates for the target's certificate, PEM; the public ones if absent.", default=None
    )
    insecure_md5: bool = setting(
        values.boolean,
        "Answer a target that asks for an md5 hash of the password. Whoever sees the hash can use it as the password.",
        default=False,
    )
    catalogue: AccountSettings | None = setting(
        values.table(AccountSettings),
        "Account with which the gate reads the catalogue; the first role's if absent.",
        default=None,
    )
    labels: tuple[tuple[str, str], ...] = setting(values.labels, "Labels for policies.", default=())
    roles: tuple[RoleSettings, ...] = setting(values.tables(RoleSettings), "The roles, in order of preference.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the file says. `path` is the file, `digest` the SHA-256 of its content, as in evidence."""

    gate: GateSettings = setting(values.table(GateSettings), "")
    evidence: EvidenceSettings = setting(values.table(EvidenceSettings), "")
    ledger: LedgerSettings = setting(values.table(LedgerSettings), "", default=LedgerSettings())
    exports: tuple[ExportSettings, ...] = setting(values.tables(ExportSettings), "", default=())
    approval: ApprovalSettings = setting(values.table(ApprovalSettings), "", default=ApprovalSettings())
    notify: NotifySettings = setting(values.table(NotifySettings), "", default=NotifySettings())
    retention: RetentionSettings = setting(values.table(RetentionSettings), "", default=RetentionSettings())
    index: IndexSettings = setting(values.table(IndexSettings), "", default=IndexSettings())
    policy: PolicySettings = setting(values.table(PolicySettings), "")
    limits: LimitSettings = setting(values.table(LimitSettings), "", default=LimitSettings())
    targets: tuple[TargetSettings, ...] = setting(values.tables(TargetSettings), "", default=())
    issuers: tuple[IssuerSettings, ...] = setting(values.tables(IssuerSettings), "", default=())
    authorities: tuple[CertificateAuthoritySettings, ...] = setting(
        values.tables(CertificateAuthoritySettings), "", default=()
    )
    control: ControlSettings = setting(values.table(ControlSettings), "", default=ControlSettings())
    path: Path
    digest: str

    @property
    def oauth_issuer(self) -> IssuerSettings | None:
        """The issuer where clients are told to get a token; None where they log in by password."""
        if self.gate.login != "oauthbearer":
            return None
        named = self.gate.oauth_issuer
        return next((issuer for issuer in self.issuers if named in {"", issuer.name}), None)

    @property
    def store_path(self) -> Path:
        """File of the embedded store."""
        return self.gate.data / "gatebook.db"

    @property
    def index_path(self) -> Path:
        """File of the search index."""
        return self.gate.data / "index.db"

    @property
    def console_path(self) -> Path:
        """File of the console's web sessions, sign-ins and enrolments."""
        return self.gate.data / "console.sqlite"

    @property
    def journal_path(self) -> Path:
        """Folder of the journals, one sub-folder per writer."""
        return self.gate.data / "journal"

    @property
    def recordings_path(self) -> Path:
        """Folder of the recordings."""
        return self.gate.data / "recordings"

    @property
    def retention_path(self) -> Path:
        """Folder of requests to purge and to release holds, and of their lists."""
        return self.gate.data / "retention"

    @property
    def ledger_path(self) -> Path:
        """Folder of the ledger, as outsiders read it."""
        return self.gate.data / "ledger"

    @property
    def notary_path(self) -> Path:
        """Folder of the notary: its key and state."""
        return self.gate.data / "notary"

    @property
    def export_path(self) -> Path:
        """Folder of the cursors of exports."""
        return self.gate.data / "export"

    @property
    def outbox_path(self) -> Path:
        """File of the messages that wait to be taken by receivers."""
        return self.gate.data / "notify" / "outbox.db"

    @property
    def ledger_origin(self) -> str:
        """Name of the ledger and of the notary's key."""
        return self.ledger.origin or f"{self.gate.public_host}/{self.gate.name}"

// SPDX-License-Identifier: Apache-2.0
//! The desk's consent to a session: where to dial, how to verify, as whom, within which bounds.

/// Facts of a TLS connection, for evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// SHA-256 of the peer's end-entity certificate, lower-case hex; empty if it gave none.
    pub peer_sha256: String,
    /// Certificates that a client showed and the handshake verified, its own first, each DER; empty
    /// if it showed none, and for an upstream. LIMIT: one handshake message, 64 KiB in all.
    pub shown: Vec<Vec<u8>>,
    /// The protocol's name as both sides agreed on it (ALPN); empty if the peer named none.
    pub alpn: String,
    /// The peer's certificate under the hash of its own signature, for the channel binding
    /// `tls-server-end-point` (RFC 5929, section 4.1); empty where that hash is not known.
    pub end_point: Vec<u8>,
}

/// How the upstream's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsVerify {
    /// Encrypt only; named `insecure` wherever a person sets it.
    InsecureNone,
    /// Chain to the roots, any name.
    Chain,
    /// Chain and name.
    Full,
}

/// Upstream TLS as admission demands it. Absent means plaintext.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsDemand {
    /// Name sent as SNI and checked under [`TlsVerify::Full`].
    pub server_name: String,
    /// How far to check.
    pub verify: TlsVerify,
    /// Trusted roots, PEM; empty means the public roots compiled in.
    pub roots_pem: Vec<u8>,
    /// Certificate chain and private key that the gate shows, PEM; both empty where it has none.
    pub identity_pem: (Vec<u8>, Vec<u8>),
    /// What the protocol is called (ALPN).
    pub alpn: Vec<u8>,
}

impl TlsDemand {
    /// The same without the gate's private key: for connections that carry no login.
    #[must_use]
    pub fn without_identity(self) -> Self {
        Self { identity_pem: Default::default(), ..self }
    }
}

impl std::fmt::Debug for TlsDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlsDemand({}, {:?})", self.server_name, self.verify)
    }
}

/// Where to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Host name or address; a path beginning with `/` is a unix socket.
    pub host: String,
    /// TCP port; unused for a unix socket.
    pub port: u16,
}

/// Bounds of one session. Zero is not "unlimited"; there is no unlimited.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest text of one statement or message that is parsed.
    pub statement_bytes: u32,
    /// Longest client message that must be held whole (Parse, Bind, Query).
    pub message_bytes: u32,
    /// Prepared statements, and open portals, each.
    pub names: u32,
    /// Answers outstanding in a pipeline.
    pub pipeline: u32,
    /// Microseconds without a byte of either side outside any operation.
    pub idle_us: u64,
    /// Microseconds from accept to the end of the login.
    pub login_us: u64,
    /// Bytes of journal that the principal may make in an hour, over all its sessions.
    pub journal_bytes_per_hour: u64,
    /// Bytes that may be recorded for it in an hour, before they are packed.
    pub recording_bytes_per_hour: u64,
}

impl Limits {
    /// What holds where the desk says nothing else.
    pub const USUAL: Self = Self {
        statement_bytes: 256 * 1024,
        message_bytes: 16 * 1024 * 1024,
        names: 10_000,
        pipeline: 100_000,
        idle_us: 8 * 3_600_000_000,
        login_us: 60_000_000,
        journal_bytes_per_hour: 64 << 30,
        recording_bytes_per_hour: 256 << 30,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// The desk's consent to a session. Secrets are wiped after the upstream login.
#[derive(Clone)]
pub struct Admission {
    /// Session id, unique for ever, at most 64 ASCII characters of `[A-Za-z0-9_]`.
    pub session: String,
    /// Where the target listens.
    pub dial: Dial,
    /// Upstream TLS; `None` is plaintext.
    pub tls: Option<TlsDemand>,
    /// Upstream account.
    pub account: String,
    /// Upstream password; empty when the account has none.
    pub password: Vec<u8>,
    /// Answer a server that asks for an md5 hash of the password: the hash is as good as the
    /// password to whoever sees it, and is soon guessed.
    pub insecure_md5: bool,
    /// 18 or more unpredictable ASCII characters for SCRAM, without comma.
    pub nonce: String,
    /// Startup parameters for the upstream, in order, without `user`.
    pub startup: Vec<(String, String)>,
    /// SHA-256 over target, database, account and entitlement: the constant part of a cache key.
    pub scope: [u8; 32],
    /// The principal's key for fair queueing at the desk.
    pub principal: String,
    /// The constant statement that reads the facts of the session; empty asks for none.
    pub facts_query: Vec<u8>,
    /// The secret half of the cancel key shown to the client: all of it from protocol 3.2 on, the
    /// first four bytes before.
    pub cancel_secret: [u8; 32],
    /// Key of recording and private parts.
    pub recording_key: [u8; 32],
    /// Wrapped `recording_key` and manifest head, written beside the recording; opaque here.
    pub recording_head: Vec<u8>,
    /// `identity` object of every entry: canonical JSON.
    pub identity: Vec<u8>,
    /// `source` object of every entry: canonical JSON.
    pub source: Vec<u8>,
    /// `where` object of every entry: canonical JSON.
    pub place: Vec<u8>,
    /// Microseconds since the epoch at which the session ends; 0 for none.
    pub ends_at_us: u64,
    /// Bounds.
    pub limits: Limits,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admission({})", self.session)
    }
}

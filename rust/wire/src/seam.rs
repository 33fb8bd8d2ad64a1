// SPDX-License-Identifier: Apache-2.0
//! What passes between a conversation and whoever drives it: events in, output out.
//!
//! The driver's turn, in this order, for each event: `conversation.on(event, moment, &mut out)`;
//! write `out.batch()` to the journal and, once it reached what it needs, give
//! [`Event::Written`] with the token (which releases staged upstream bytes into `out`); hand
//! `out.frames()` to the recorder; send `out.client()` and `out.upstream()`; carry out
//! `out.commands` in order; `out.clear()`. A batch that cannot be written ends the session and
//! nothing of that turn is sent.

use std::sync::Arc;

use crate::proof::{Batch, Cleared, Forwardable, MaskPlan, Token};

/// The time the driver gives with each event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since the Unix epoch, UTC.
    pub unix_us: u64,
    /// Monotonic microseconds since process start.
    pub mono_us: u64,
}

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// Bytes from the client, of any split; never empty. Given only while
    /// [`Conversation::wants_client`] says so.
    ClientBytes(&'a [u8]),
    /// The handshake after [`Command::StartClientTls`] is complete.
    ClientTls(TlsFacts),
    /// The client closed its sending side or was lost.
    ClientClosed,
    /// The dial succeeded.
    UpstreamOpen,
    /// The handshake after [`Command::StartUpstreamTls`] is complete and verified as demanded.
    UpstreamTls(TlsFacts),
    /// Dial or handshake failed; words for the operator, without secrets.
    UpstreamFailed(String),
    /// Bytes from the upstream, of any split; never empty. Given only while
    /// [`Conversation::wants_upstream`] says so.
    UpstreamBytes(&'a [u8]),
    /// The upstream closed or was lost.
    UpstreamClosed,
    /// The desk answered, by ticket; an unknown or spent ticket is ignored.
    Answered(u64, Answer),
    /// The batch of this turn is in the journal.
    Written(Token),
    /// At least every 500 ms while the session lives.
    Tick,
    /// The operator, a lock, an expiry or the carrier ends the session.
    End(Cause),
    /// Another connection presented this session's registered key ([`Command::Register`]).
    Signal,
}

/// What the desk answered.
#[derive(Debug)]
pub enum Answer {
    /// To `Hello`: come in.
    Admitted(Box<Admission>),
    /// To `Hello`: stay out.
    Refused(Refusal),
    /// To `Question`.
    Verdict(Arc<Verdict>),
    /// To `Cancel`: it is in the book and may be carried out.
    Noted,
    /// The desk was slow, raised or is gone: treated as a refusal.
    Silence,
}

/// Facts of a TLS connection, for evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// IANA name of the cipher suite.
    pub cipher: String,
    /// SHA-256 of the peer's end-entity certificate, lower-case hex; empty if it gave none.
    pub peer_sha256: String,
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement_bytes: 256 * 1024,
            message_bytes: 16 * 1024 * 1024,
            names: 10_000,
            pipeline: 100_000,
            idle_us: 8 * 3_600_000_000,
            login_us: 60_000_000,
        }
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

/// A no, in the protocol's own fields; the conversation adds the operation id to `detail`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// SQLSTATE, five characters.
    pub sqlstate: String,
    /// One line.
    pub message: String,
    /// JSON object for agents, complete but for `{operation}`, which is replaced by the id.
    pub detail: String,
    /// What to do next.
    pub hint: String,
    /// Stable refusal code of `docs/spec/refusals.md`, for evidence.
    pub code: String,
}

/// Whether and how a verdict serves more than its own ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheScope {
    /// Its own ticket only.
    None,
    /// The same text with the same types in the same context.
    Exact,
    /// The same shape too.
    Shape,
}

/// What an operation changes in the session, once the server confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// SQL-level PREPARE: the name now means this statement's text.
    Prepare(String),
    /// SQL-level DEALLOCATE of a name.
    Deallocate(String),
    /// DEALLOCATE ALL, DISCARD ALL.
    DeallocateAll,
    /// Names may now resolve otherwise: read the facts again when idle.
    FactsStale,
    /// The committed catalogue may have changed: tell the desk.
    CatalogueChanged,
}

/// The parts of an entry that Python fixed at the verdict, for one operation.
#[derive(Clone, Debug, Default)]
pub struct OperationFacts {
    /// `action` object: canonical JSON.
    pub action: Vec<u8>,
    /// `decision` object: canonical JSON.
    pub decision: Vec<u8>,
    /// Writes, defines, administers: fsynced before it is forwarded where `sync` says so.
    pub privileged: bool,
    /// Confirmed effects.
    pub effects: Vec<Effect>,
    /// It stands for its message as a whole: how many statements that holds, nobody could tell.
    pub whole: bool,
}

/// What Python decided about one message.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// One per statement, in order; empty for an empty query.
    pub operations: Vec<OperationFacts>,
    /// `None` allows.
    pub refusal: Option<Refusal>,
    /// Whom else it serves.
    pub cache: CacheScope,
    /// Microseconds it may be kept.
    pub ttl_us: u64,
    /// What the result must suffer.
    pub mask: MaskPlan,
    /// Byte ranges of the text that hold literals of passwords, ascending; blotted out in
    /// recording and private part.
    pub blots: Vec<(u32, u32)>,
}

/// Asked once per connection, before anything is dialled.
#[derive(Clone, Default)]
pub struct Hello {
    /// `SSLRequest` was answered and the handshake is done.
    pub tls: Option<TlsFacts>,
    /// What the client said, in its order: startup parameters.
    pub parameters: Vec<(String, String)>,
    /// The password as sent. Never recorded.
    pub password: Vec<u8>,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hello({:?})", self.parameters)
    }
}

/// Asked when no live verdict is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Session id.
    pub session: String,
    /// Principal's key, for fairness.
    pub principal: String,
    /// `query`, `parse`, `bind` or `function`.
    pub via: &'static str,
    /// Statement text (for `function`: empty).
    pub text: Vec<u8>,
    /// Number that the message's first operation will have in its session.
    pub operation: u64,
    /// Declared parameter types, as on the wire (i16 count, then i32 OIDs); may be empty.
    pub types: Vec<u8>,
    /// Bind: formats, values as on the wire after the statement name; else empty.
    pub arguments: Vec<u8>,
    /// First row of the facts query; empty when none was read.
    pub facts: Vec<Option<Vec<u8>>>,
    /// False while the facts are stale: names cannot be resolved for sure.
    pub facts_known: bool,
    /// `I`, `T` or `E` as the server last said; `?` while answers are outstanding.
    pub transaction: char,
    /// Known prepared statements (name, text), only if the text may contain EXECUTE.
    pub prepared: Vec<(Vec<u8>, Vec<u8>)>,
    /// The text is longer than the session's bound: it is not parsed, and judged as unread.
    pub too_long: bool,
}

/// What is asked of the desk.
#[derive(Clone, Debug)]
pub enum Ask {
    /// May this connection become a session?
    Hello(Box<Hello>),
    /// May this message run?
    Question(Box<Question>),
    /// A connection presents a cancel key. It is entered before anything comes of it, whether a
    /// session has that key or none.
    Cancel(Vec<u8>),
}

/// Why a session ended. The text is the stable word of `docs/spec/entry.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Stable word: `client closed`, `upstream lost`, `protocol violation`, ...
    pub word: &'static str,
    /// One line more, without secrets; may be empty.
    pub note: String,
}

impl Cause {
    /// A cause without a note.
    pub fn of(word: &'static str) -> Self {
        Self { word, note: String::new() }
    }

    /// A cause with a note.
    pub fn with(word: &'static str, note: impl Into<String>) -> Self {
        Self { word, note: note.into() }
    }
}

/// Told to the desk when a connection is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Empty if it never became a session.
    pub session: String,
    /// Stable word.
    pub cause: String,
    /// Operations allowed.
    pub operations: u64,
    /// Operations refused.
    pub refused: u64,
    /// Rows sent to the client.
    pub rows: u64,
    /// Bytes from and to the client.
    pub client_bytes: (u64, u64),
    /// Last `seq` of the session's entries.
    pub last_seq: u64,
}

/// A side connection to the same upstream that sends a few bytes and closes (a cancel request).
#[derive(Clone, Debug)]
pub struct Errand {
    /// Where.
    pub dial: Dial,
    /// Sent in plaintext first, with the exact answer expected; both empty without TLS.
    pub preface: (Vec<u8>, Vec<u8>),
    /// Handshake after the preface.
    pub tls: Option<TlsDemand>,
    /// Sent last.
    pub bytes: Vec<u8>,
}

/// What the driver is to do, besides bytes, batch and frames.
#[derive(Debug)]
pub enum Command {
    /// Send what is for the client, then speak TLS with it as server. The bytes are the beginning
    /// of its handshake that was read already.
    StartClientTls(Vec<u8>),
    /// Open the upstream connection.
    Dial(Dial),
    /// Send what is for the upstream, then speak TLS with it as client.
    StartUpstreamTls(TlsDemand),
    /// Put a question; answer with [`Event::Answered`] and the same ticket.
    Ask(u64, Ask),
    /// A ticket that is no longer wanted.
    Forget(u64),
    /// The session is admitted: open its recording. Comes before its first frame.
    OpenRecording {
        /// Session id: names the files.
        session: String,
        /// AES-256 key.
        key: Box<[u8; 32]>,
        /// Opaque head, stored beside the chunks.
        head: Vec<u8>,
    },
    /// Another connection that presents these bytes means this session.
    Register(Vec<u8>),
    /// Give [`Event::Signal`] to the session registered under these bytes, if any.
    Signal(Vec<u8>),
    /// Send a few bytes to the upstream on a connection of its own.
    Errand(Box<Errand>),
    /// The desk should look at the catalogue of this session's database now.
    CatalogueChanged(String),
    /// Flush what is for the client (bounded wait), close everything, seal the recording. Last.
    End(Cause, Box<Ended>),
}

/// One recorded frame, as the client saw or sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// `>` from the client, `<` to the client.
    pub direction: u8,
    /// When, microseconds since the epoch.
    pub unix_us: u64,
    /// Length of its bytes in [`Out::frame_bytes`].
    pub len: u32,
}

/// What one turn produced. Reused: the driver clears it.
#[derive(Debug, Default)]
pub struct Out {
    to_client: Vec<u8>,
    to_upstream: Vec<u8>,
    batch: Batch,
    frames: Vec<Frame>,
    frame_bytes: Vec<u8>,
    /// In order, after the bytes of this turn have been handed to the sockets.
    pub commands: Vec<Command>,
}

impl Out {
    /// Bytes for the client.
    pub fn client(&self) -> &[u8] {
        &self.to_client
    }

    /// Bytes for the upstream.
    pub fn upstream(&self) -> &[u8] {
        &self.to_upstream
    }

    /// Entries to write before anything of this turn is sent.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The same, for the conversation that fills and the journal that writes it.
    pub fn batch_mut(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Frames of this turn; their bytes lie back to back in [`Out::frame_bytes`].
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Bytes of the frames.
    pub fn frame_bytes(&self) -> &[u8] {
        &self.frame_bytes
    }

    /// The only way to the upstream.
    #[allow(clippy::needless_pass_by_value)] // a proof is spent by showing it
    pub fn send_upstream(&mut self, bytes: Forwardable<'_>) {
        self.to_upstream.append(bytes.0);
    }

    /// The only way to the client.
    pub fn send_client(&mut self, bytes: Cleared<'_>) {
        self.to_client.extend_from_slice(bytes.0);
    }

    /// Adds a frame to the recording.
    pub fn record(&mut self, direction: u8, unix_us: u64, bytes: &[u8]) {
        let Ok(len) = u32::try_from(bytes.len()) else { return };
        if len == 0 {
            return;
        }
        self.frame_bytes.extend_from_slice(bytes);
        match self.frames.last_mut() {
            Some(last)
                if last.direction == direction
                    && last.unix_us == unix_us
                    && last.len.checked_add(len).is_some() =>
            {
                last.len += len;
            }
            _ => self.frames.push(Frame { direction, unix_us, len }),
        }
    }

    /// Empties everything, keeping the memory up to a bound.
    pub fn clear(&mut self) {
        const KEEP: usize = 256 * 1024;
        self.to_client.clear();
        self.to_client.shrink_to(KEEP);
        self.to_upstream.clear();
        self.to_upstream.shrink_to(KEEP);
        self.frame_bytes.clear();
        self.frame_bytes.shrink_to(KEEP);
        self.frames.clear();
        self.commands.clear();
    }
}

/// A protocol, sans I/O.
pub trait Conversation: Send {
    /// Takes one event and fills `out`.
    fn on(&mut self, event: Event<'_>, at: Moment, out: &mut Out);

    /// Whether client bytes may be given now. False while a question is open, while too much
    /// waits, and after the end.
    fn wants_client(&self) -> bool;

    /// Whether upstream bytes may be given now.
    fn wants_upstream(&self) -> bool;

    /// True once [`Command::End`] was given.
    fn is_over(&self) -> bool;

    /// Whether ending now would cut nothing short: before the login, and between operations
    /// outside a transaction. A gate that stops ends such sessions at once and gives the others
    /// time.
    fn is_idle(&self) -> bool {
        false
    }
}

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

use crate::proof::{MaskPlan, Token};

mod admission;
mod out;
mod tls_fault;

pub use admission::{Admission, Dial, Limits, TlsDemand, TlsFacts, TlsVerify};
pub use out::{Frame, Out};
pub use tls_fault::TlsFault;

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
    /// To `Question`: a person has to consent first. The ticket stays open.
    Held(Box<Held>),
    /// To a `Question` that is held: put it again, with what the session knows by then.
    Resume,
    /// To `Cancel`: it is in the book and may be carried out.
    Noted,
    /// The desk was slow, raised or is gone: treated as a refusal.
    Silence,
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

/// A message that waits for a person's consent.
#[derive(Clone, Debug)]
pub struct Held {
    /// What is known of it: facts of its operations, blots, salt. Allows nothing.
    pub verdict: Arc<Verdict>,
    /// What the client is told meanwhile, once it is in the book; nothing if its message is empty.
    pub notice: Refusal,
    /// Microseconds that it may wait; no answer by then is silence, which refuses.
    pub wait_us: u64,
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
    /// Stands in the private part of its entries, unless empty.
    pub salt: String,
}

impl Verdict {
    /// About a message of which nothing is known but that it is one.
    pub fn unread() -> Self {
        Self {
            operations: vec![OperationFacts::default()],
            refusal: None,
            cache: CacheScope::None,
            ttl_us: 0,
            mask: MaskPlan::empty(),
            blots: Vec::new(),
            salt: String::new(),
        }
    }
}

/// Asked once per connection, before anything is dialled.
#[derive(Clone, Default)]
pub struct Hello {
    /// `SSLRequest` was answered and the handshake is done.
    pub tls: Option<TlsFacts>,
    /// What the client said, in its order: startup parameters.
    pub parameters: Vec<(String, String)>,
    /// The password as sent; empty where none was asked for. Never recorded.
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
    /// Tell the desk that the client did not come inside TLS where it has to be: a failed login,
    /// told before the end. Of a handshake that fails the driver itself tells.
    NotSecured(TlsFault),
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

/// A protocol, sans I/O.
pub trait Conversation: Send {
    /// Takes one event and fills `out`.
    fn on(&mut self, event: Event<'_>, at: Moment, out: &mut Out);

    /// Whether client bytes may be given now. False while a question is open, while too much
    /// waits, and after the end. While a message is held, some bytes behind it are taken.
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

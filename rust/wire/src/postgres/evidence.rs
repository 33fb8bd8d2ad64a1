// SPDX-License-Identifier: Apache-2.0
//! The entries a session writes: start, holds, intents, refusals, outcomes, end (docs/spec/entry.md).

use std::sync::Arc;

use ring::digest::{Context, SHA256};

use super::message::Diagnostics;
use super::parts::{put_bounded, put_effect, put_error, put_operation, put_private};
use crate::entry::{put_time, Object, Sealer};
use crate::proof::Durability;
use crate::quota::Quota;
use crate::seam::{Admission, Cause, Effect, Ended, Moment, Out, Refusal, Verdict};

/// An operation that was forwarded and has no outcome yet.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its number in the session.
    pub operation: u64,
    /// When it was forwarded, monotonic microseconds.
    pub since_us: u64,
    /// Which Execute of its portal, from 1; 0 for what is not a portal.
    pub execution: u32,
    /// What was decided, and which operation of it this is.
    pub verdict: Arc<Verdict>,
    /// Index into the verdict's operations.
    pub index: usize,
    /// The message's text, where the operation is an SQL-level PREPARE.
    pub prepares: Option<Arc<[u8]>>,
}

impl Running {
    /// Whether it stands for its message as a whole, however many statements that holds.
    pub fn is_whole(&self) -> bool {
        self.verdict.operations.get(self.index).is_some_and(|facts| facts.whole)
    }
}

/// What the client has seen of the running operation so far.
#[derive(Default)]
pub struct Progress {
    /// `DataRow` messages.
    pub rows: u64,
    /// Bytes of `DataRow` and `CopyData` messages.
    pub bytes: u64,
    /// Hash over them.
    pub hash: Option<Context>,
    /// Bytes of `CopyData` from the client, and their hash.
    pub received: u64,
    /// Hash over them.
    pub received_hash: Option<Context>,
}

impl Progress {
    /// Counts result bytes the client is about to see.
    pub fn add(&mut self, bytes: &[u8], rows: u64) {
        self.rows += rows;
        self.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        self.hash.get_or_insert_with(|| Context::new(&SHA256)).update(bytes);
    }

    /// Counts COPY data the client sent.
    pub fn add_received(&mut self, bytes: &[u8]) {
        self.received += u64::try_from(bytes.len()).unwrap_or(0);
        self.received_hash.get_or_insert_with(|| Context::new(&SHA256)).update(bytes);
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug)]
pub enum Status<'a> {
    /// With this command tag.
    Done(&'a [u8]),
    /// The portal stays open behind a row limit.
    Suspended,
    /// With the server's error.
    Error(Diagnostics<'a>),
    /// The server skipped it behind an error.
    Skipped,
    /// Forwarded, but the server never came to it, or it was bound and never executed.
    NotExecuted,
    /// The connection was lost before the server said.
    Unknown,
}

/// Everything about one message that its intents need.
pub struct Subject<'a> {
    /// `query`, `parse`, `bind`, `function`.
    pub via: &'static str,
    /// Statement text with passwords blotted out.
    pub text: &'a [u8],
    /// Formats, values and result formats of a Bind.
    pub arguments: &'a [u8],
}

/// The message at the front, from its `operation.held` until it is intended or refused.
pub struct HeldMessage {
    /// What was known of it when it was first held.
    pub verdict: Arc<Verdict>,
    /// `query`, `parse`, `bind`, `function`.
    pub via: &'static str,
    /// Bytes of frames recorded before it.
    offset: u64,
}

/// The writer of one session's entries.
pub struct Evidence {
    session: Box<str>,
    writer: Arc<str>,
    sealer: Sealer,
    identity: Box<[u8]>,
    source: Box<[u8]>,
    place: Box<[u8]>,
    seq: u64,
    operations: u64,
    /// Bytes of frames recorded so far.
    pub recorded: u64,
    /// What is held.
    pub held: Option<HeldMessage>,
    /// The message at the front was recorded when it was held.
    pub is_front_recorded: bool,
    /// Counts for the end.
    pub counts: Ended,
    /// What the principal may still make.
    pub quota: Arc<Quota>,
    leaf: Vec<u8>,
    private: Vec<u8>,
    sealed: Vec<u8>,
}

impl Evidence {
    /// `None` only if the crypto library refuses the keys.
    pub fn new(admission: &Admission, writer: Arc<str>, quota: Arc<Quota>) -> Option<Self> {
        Some(Self {
            session: admission.session.as_str().into(),
            writer,
            sealer: Sealer::new(&admission.recording_key, &admission.session)?,
            identity: admission.identity.as_slice().into(),
            source: admission.source.as_slice().into(),
            place: admission.place.as_slice().into(),
            seq: 0,
            operations: 0,
            recorded: 0,
            held: None,
            is_front_recorded: false,
            counts: Ended { session: admission.session.clone(), ..Ended::default() },
            quota,
            leaf: Vec::with_capacity(2048),
            private: Vec::new(),
            sealed: Vec::new(),
        })
    }

    /// Session id.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The number the next operation will have.
    pub fn next_operation(&self) -> u64 {
        self.operations + 1
    }

    /// The id of an operation.
    pub fn operation_id(&self, operation: u64) -> String {
        format!("{}.{operation}", self.session)
    }

    /// Whether `session.start` was written.
    pub fn has_started(&self) -> bool {
        self.seq > 0
    }

    /// `session.start`.
    pub fn start(
        &mut self,
        parameters: &[(String, String)],
        upstream: &[u8],
        at: Moment,
        out: &mut Out,
    ) {
        self.leaf.clear();
        let mut parameters = parameters.to_vec();
        parameters.sort();
        parameters.dedup_by(|later, earlier| later.0 == earlier.0);
        let mut leaf = Object::open(&mut self.leaf);
        leaf.text("event", "session.start").raw("identity", &self.identity);
        leaf.with("parameters", |out| {
            let mut object = Object::open(out);
            for (name, value) in &parameters {
                object.with(name, |out| put_bounded(out, value.as_bytes()));
            }
            object.close();
        });
        let session = &self.session;
        leaf.with("recording", |out| Object::open(out).text("id", session).close());
        leaf.number("seq", self.seq).text("session", session).raw("source", &self.source);
        leaf.with("time", |out| put_time(out, at.unix_us)).raw("upstream", upstream);
        leaf.number("v", 1).raw("where", &self.place).text("writer", &self.writer).close();
        self.push(&[], Durability::Kernel, out);
    }

    /// `operation.held` for each statement of a message, one at least: the numbers stay those of the
    /// next operations.
    pub fn hold(
        &mut self,
        subject: &Subject<'_>,
        verdict: &Arc<Verdict>,
        at: Moment,
        out: &mut Out,
    ) {
        let before = self.operations;
        let held =
            HeldMessage { verdict: Arc::clone(verdict), via: subject.via, offset: self.recorded };
        for index in 0..verdict.operations.len().max(1) {
            self.decided("operation.held", subject, verdict, index, None, at, out);
        }
        self.operations = before;
        self.held = Some(held);
    }

    /// `operation.intent` for each statement of an allowed message; returns them as running.
    pub fn intents(
        &mut self,
        subject: &Subject<'_>,
        verdict: &Arc<Verdict>,
        at: Moment,
        out: &mut Out,
    ) -> Vec<Running> {
        let mut running = Vec::with_capacity(verdict.operations.len());
        let text: Option<Arc<[u8]>> = (prepared(verdict) > 0).then(|| subject.text.into());
        for index in 0..verdict.operations.len() {
            let operation =
                self.decided("operation.intent", subject, verdict, index, None, at, out);
            running.push(Running {
                operation,
                since_us: at.mono_us,
                execution: 0,
                verdict: Arc::clone(verdict),
                index,
                prepares: text.clone().filter(|_| prepares(verdict, index)),
            });
            self.counts.operations += 1;
        }
        self.held = None;
        running
    }

    /// `operation.refused` for each statement of a refused message, one at least; returns the
    /// first operation's number. Without a verdict of its own it has that under which it was held.
    pub fn refused(
        &mut self,
        subject: &Subject<'_>,
        verdict: Option<&Arc<Verdict>>,
        refusal: &Refusal,
        at: Moment,
        out: &mut Out,
    ) -> u64 {
        let first = self.next_operation();
        let held = self.held.as_ref().map(|held| Arc::clone(&held.verdict));
        let known = verdict.cloned().or(held).filter(|verdict| !verdict.operations.is_empty());
        let verdict = known.unwrap_or_else(|| Arc::new(Verdict::unread()));
        for index in 0..verdict.operations.len() {
            self.decided("operation.refused", subject, &verdict, index, Some(refusal), at, out);
            self.counts.refused += 1;
        }
        self.held = None;
        first
    }

    /// `operation.outcome`.
    pub fn outcome(
        &mut self,
        running: &Running,
        status: Status<'_>,
        progress: &mut Progress,
        at: Moment,
        out: &mut Out,
    ) {
        self.counts.rows += progress.rows;
        let has_error = matches!(status, Status::Error(_));
        let commitment = has_error.then(|| {
            self.private.clear();
            if let Status::Error(error) = status {
                put_error(&mut self.private, &error);
            }
            self.seal(running.operation)
        });
        self.leaf.clear();
        let mut leaf = Object::open(&mut self.leaf);
        leaf.with("effect", |out| put_effect(out, running, status, progress, at));
        leaf.text("event", "operation.outcome");
        if running.execution > 0 {
            leaf.number("execution", running.execution.into());
        }
        leaf.raw("identity", &self.identity);
        let (session, operation) = (&self.session, running.operation);
        leaf.with("operation", |out| put_operation(out, session, operation));
        if let Some(commitment) = commitment {
            leaf.hash("private", &commitment);
        }
        let recorded = self.recorded;
        leaf.with("recording", |out| Object::open(out).number("offset", recorded).close());
        leaf.number("seq", self.seq).text("session", session).raw("source", &self.source);
        leaf.with("time", |out| put_time(out, at.unix_us)).number("v", 1);
        leaf.raw("where", &self.place).text("writer", &self.writer).close();
        let sealed = std::mem::take(&mut self.sealed);
        self.push(if has_error { &sealed } else { &[] }, Durability::Soon, out);
        self.sealed = sealed;
        *progress = Progress::default();
    }

    /// `session.end`, the last entry; fills what the desk is told.
    pub fn end(&mut self, cause: &Cause, at: Moment, out: &mut Out) -> Ended {
        cause.word.clone_into(&mut self.counts.cause);
        self.counts.last_seq = self.seq;
        self.leaf.clear();
        let counts = &self.counts;
        let mut leaf = Object::open(&mut self.leaf);
        leaf.text("cause", cause.word);
        leaf.with("counts", |out| {
            Object::open(out)
                .number("client_bytes_in", counts.client_bytes.0)
                .number("client_bytes_out", counts.client_bytes.1)
                .number("operations", counts.operations)
                .number("refused", counts.refused)
                .number("rows", counts.rows)
                .close();
        });
        leaf.text("event", "session.end").raw("identity", &self.identity);
        if !cause.note.is_empty() {
            leaf.text("note", &cause.note);
        }
        leaf.number("seq", self.seq).text("session", &self.session).raw("source", &self.source);
        leaf.with("time", |out| put_time(out, at.unix_us)).number("v", 1);
        leaf.raw("where", &self.place).text("writer", &self.writer).close();
        self.push(&[], Durability::Kernel, out);
        self.counts.clone()
    }

    /// One entry of a decision; returns the operation's number.
    #[allow(clippy::too_many_arguments)] // the parts of one entry, all of them used once
    fn decided(
        &mut self,
        event: &str,
        subject: &Subject<'_>,
        verdict: &Verdict,
        index: usize,
        refusal: Option<&Refusal>,
        at: Moment,
        out: &mut Out,
    ) -> u64 {
        self.operations += 1;
        let operation = self.operations;
        let facts = verdict.operations.get(index);
        // The text stands once, with the first statement of its message: otherwise a message of
        // many statements would write the square of its size.
        let commitment = (index == 0).then(|| {
            self.private.clear();
            put_private(&mut self.private, subject, &verdict.salt);
            self.seal(operation)
        });
        self.leaf.clear();
        let mut leaf = Object::open(&mut self.leaf);
        if let Some(facts) = facts.filter(|facts| !facts.action.is_empty()) {
            leaf.raw("action", &facts.action).raw("decision", &facts.decision);
        }
        leaf.text("event", event).raw("identity", &self.identity);
        let session = &self.session;
        leaf.with("operation", |out| put_operation(out, session, operation));
        if let Some(commitment) = commitment {
            leaf.hash("private", &commitment);
        }
        let begins = self.held.as_ref().map_or(self.recorded, |held| held.offset);
        leaf.with("recording", |out| Object::open(out).number("offset", begins).close());
        if let Some(refusal) = refusal {
            leaf.with("refusal", |out| {
                Object::open(out)
                    .text("code", &refusal.code)
                    .text("sqlstate", &refusal.sqlstate)
                    .close();
            });
        }
        leaf.number("seq", self.seq).text("session", session).raw("source", &self.source);
        leaf.with("statement", |out| {
            let count = u64::try_from(verdict.operations.len()).unwrap_or(0);
            let index = u64::try_from(index).unwrap_or(0);
            Object::open(out).number("count", count).number("index", index).close();
        });
        leaf.with("time", |out| put_time(out, at.unix_us)).number("v", 1).text("via", subject.via);
        leaf.raw("where", &self.place).text("writer", &self.writer).close();
        let privileged = facts.is_some_and(|facts| facts.privileged);
        let need = if event == "operation.intent" && privileged {
            Durability::Disk
        } else {
            Durability::Kernel
        };
        let sealed = std::mem::take(&mut self.sealed);
        self.push(if commitment.is_some() { &sealed } else { &[] }, need, out);
        self.sealed = sealed;
        operation
    }

    /// Seals `self.private` into `self.sealed`.
    fn seal(&mut self, operation: u64) -> [u8; 32] {
        self.sealed.clear();
        // The crypto library refuses nothing of these sizes; if it did, the entry would carry a
        // commitment that opens to nothing, which a verifier reports.
        self.sealer.seal(self.seq, operation, &self.private, &mut self.sealed).unwrap_or_default()
    }

    fn push(&mut self, private: &[u8], need: Durability, out: &mut Out) {
        self.quota.add_journal(self.leaf.len() + private.len());
        out.batch_mut().push(&self.leaf, private, need);
        self.seq += 1;
    }
}

/// Whether an operation is an SQL-level PREPARE.
pub fn prepares(verdict: &Verdict, index: usize) -> bool {
    verdict.operations.get(index).is_some_and(|facts| {
        facts.effects.iter().any(|effect| matches!(effect, Effect::Prepare(_)))
    })
}

/// How many of a verdict's operations are a PREPARE.
pub fn prepared(verdict: &Verdict) -> usize {
    (0..verdict.operations.len()).filter(|index| prepares(verdict, *index)).count()
}

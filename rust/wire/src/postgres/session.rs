// SPDX-License-Identifier: Apache-2.0
//! The state of a logged-in session, and how a message comes to its verdict.

use std::sync::Arc;

use super::evidence::{Evidence, Progress, Running, Status};
use super::names::{Names, Portal, Statement};
use super::queue::{Expect, Queue};
use super::refusal::gate_refusal;
use super::{message, Setup};
use crate::cache::{EpochValues, Kept, KeyKind, KeyRef};
use crate::entry::sha256;
use crate::proof::{Authorized, Housekeeping, Stage};
use crate::seam::{
    Admission, Ask, CacheScope, Cause, Command, Dial, Effect, Limits, Moment, Out, Question,
    Refusal, TlsDemand, Verdict,
};
use crate::shape;

/// LIMIT: how often a message is asked again because epochs moved while it was decided.
const ASKED_AGAIN: u8 = 3;
/// LIMIT: bytes of the facts row.
const FACTS_BYTES: usize = 256 * 1024;
/// Name under which the gate's own question is prepared, for as long as it is asked.
const FACTS_NAME: &[u8] = b"gatebook facts";
/// Goes before it, for the transaction that both make: settings of the session under which every
/// plan looks dear (`enable_seqscan = off`) would have the server compile it, for half a second.
const FACTS_PRELUDE: &[u8] = b"SELECT pg_catalog.set_config('jit', 'off', true)";
/// LIMIT: statements in one message; each writes an entry.
pub const STATEMENTS: usize = 1_000;

/// What happens to client messages until the next Sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// They are served.
    Nothing,
    /// They are dropped; the gate answers the Sync, the server knows nothing of the error.
    Alone,
    /// They are dropped; the Sync goes to the server, which skips too.
    Server,
}

/// What became of one client message.
#[derive(Debug)]
pub enum Step {
    /// Served; go on with the next.
    Done,
    /// It cannot be served before the desk or the upstream says something; it stays in the buffer.
    Wait,
    /// Epochs moved under it; look at it again.
    Again,
    /// The session ends.
    End(Cause),
}

/// Facts of the session that resolve names, read on its own upstream connection.
#[derive(Debug, Default)]
pub struct Facts {
    /// The row as last read.
    pub row: Vec<Option<Vec<u8>>>,
    /// Whether it still holds.
    pub known: bool,
    /// A reading is under way: cells so far.
    pub reading: Option<Vec<Option<Vec<u8>>>>,
    /// Hash over scope and row: the context of a cache key.
    pub context: [u8; 32],
}

impl Facts {
    /// The next statement is answered: what counts is the row of the last.
    pub fn begin_answer(&mut self) {
        self.reading = Some(Vec::new());
    }

    /// Takes the first row of the answer; later rows and oversized ones are ignored.
    pub fn take_row(&mut self, body: &[u8]) {
        let Some(reading) = self.reading.as_mut().filter(|cells| cells.is_empty()) else { return };
        if body.len() > FACTS_BYTES {
            return;
        }
        let mut reader = message::Reader(body);
        for _ in 0..reader.short().unwrap_or(0) {
            let Some(value) = reader.value() else { break };
            reading.push(value.map(<[u8]>::to_vec));
        }
    }

    /// The answer is complete.
    pub fn finish(&mut self, scope: &[u8; 32]) {
        self.row = self.reading.take().unwrap_or_default();
        self.known = !self.row.is_empty();
        self.rehash(scope);
    }

    /// Computes the context anew.
    pub fn rehash(&mut self, scope: &[u8; 32]) {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(scope);
        text.push(u8::from(self.known));
        for cell in &self.row {
            let cell = cell.as_deref();
            let length = cell.map_or(u64::MAX, |cell| u64::try_from(cell.len()).unwrap_or(0));
            text.extend_from_slice(&length.to_be_bytes());
            text.extend_from_slice(cell.unwrap_or_default());
        }
        self.context = sha256(&text);
    }
}

/// A question that is open.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    asked: EpochValues,
}

/// How a message was ruled on.
#[derive(Debug)]
pub enum Ruling {
    /// Allowed, by this verdict made under these epochs.
    Allow(Arc<Verdict>, EpochValues),
    /// Refused; with the verdict if Python made one.
    Refuse(Refusal, Option<Arc<Verdict>>),
    /// Not yet.
    Wait,
}

/// A message as the desk judges it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matter<'a> {
    /// `query`, `parse`, `bind`, `function`.
    pub via: &'static str,
    /// Statement text.
    pub text: &'a [u8],
    /// Declared parameter types as on the wire.
    pub types: &'a [u8],
    /// What follows the names in a Bind, or a `FunctionCall`'s body.
    pub arguments: &'a [u8],
    /// The text is the beginning of one that was too long to keep.
    pub cut: bool,
    /// The name is not known to the gate: code and words of a no.
    pub unknown: Option<(&'static str, &'static str)>,
}

/// What the upstream told at login, for cancel requests.
#[derive(Debug)]
pub struct Upstream {
    /// Where it was dialled.
    pub dial: Dial,
    /// Under which TLS.
    pub tls: Option<TlsDemand>,
    /// Process id and secret, as in `BackendKeyData`.
    pub key: [u8; 8],
    /// It said FATAL: it goes, and the client has been told why.
    pub is_leaving: bool,
}

/// A logged-in session.
pub struct Session {
    pub(super) evidence: Evidence,
    pub(super) limits: Limits,
    pub(super) names: Names,
    pub(super) queue: Queue,
    pub(super) stage: Stage,
    pub(super) progress: Progress,
    pub(super) facts: Facts,
    pub(super) upstream: Upstream,
    /// `I`, `T` or `E` as the last `ReadyForQuery` said.
    pub(super) transaction: u8,
    /// Messages of an extended group were forwarded and no Sync yet.
    pub(super) group_open: bool,
    /// Groups forwarded, and groups answered by `ReadyForQuery`.
    pub(super) groups: (u64, u64),
    pub(super) skip: Skip,
    /// The server reads COPY data from the client.
    pub(super) copy_in: bool,
    /// Syncs sent while a COPY read data that failed: each may be answered beyond what is owed.
    pub(super) spare_readies: u64,
    /// A confirmed statement may have changed the catalogue; told when the transaction ends.
    pub(super) catalogue_dirty: bool,
    pub(super) ends_at_us: u64,
    own_epoch: u64,
    scope: [u8; 32],
    principal: String,
    facts_query: Vec<u8>,
    waiting: Option<Waiting>,
    answered: Option<(Option<Arc<Verdict>>, EpochValues)>,
    asked_again: u8,
    shape: Vec<u8>,
}

impl Session {
    /// A session whose upstream login is complete.
    pub(super) fn new(admission: Admission, evidence: Evidence, key: [u8; 8]) -> Self {
        let mut facts = Facts::default();
        facts.rehash(&admission.scope);
        Self {
            evidence,
            names: Names::default(),
            queue: Queue::default(),
            stage: Stage::default(),
            progress: Progress::default(),
            facts,
            upstream: Upstream {
                dial: admission.dial,
                tls: admission.tls.map(TlsDemand::without_identity),
                key,
                is_leaving: false,
            },
            transaction: b'I',
            group_open: false,
            groups: (0, 0),
            skip: Skip::Nothing,
            copy_in: false,
            spare_readies: 0,
            catalogue_dirty: false,
            ends_at_us: admission.ends_at_us,
            own_epoch: 0,
            limits: admission.limits,
            scope: admission.scope,
            principal: admission.principal,
            facts_query: admission.facts_query,
            waiting: None,
            answered: None,
            asked_again: 0,
            shape: Vec::new(),
        }
    }

    /// Whether a question is open.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The desk answered (`None`: it was silent). False if nobody waits for this ticket.
    pub(super) fn answer(&mut self, ticket: u64, verdict: Option<Arc<Verdict>>) -> bool {
        match self.waiting.take() {
            Some(waiting) if waiting.ticket == ticket => {
                self.answered = Some((verdict, waiting.asked));
                true
            }
            other => {
                self.waiting = other;
                false
            }
        }
    }

    /// The open ticket, given up.
    pub(super) fn give_up_question(&mut self) -> Option<u64> {
        self.waiting.take().map(|waiting| waiting.ticket)
    }

    /// Rules on a message: by the answer that came for it, by a kept verdict, or by asking.
    pub(super) fn rule(
        &mut self,
        setup: &Setup,
        ticket: &mut u64,
        matter: &Matter<'_>,
        at: Moment,
        out: &mut Out,
    ) -> Ruling {
        let now = setup.epochs.now(self.own_epoch);
        if let Some((verdict, asked)) = self.answered.take() {
            match self.take_answer(setup, matter, verdict, asked, now, at) {
                Some(ruling) => return ruling,
                None => return self.ask(setup, ticket, matter, out),
            }
        }
        if self.reads_facts() {
            return Ruling::Wait;
        }
        let kept = self.find_kept(setup, matter, now, at);
        setup.cache.count(kept.is_some());
        match kept {
            Some(verdict) => Ruling::Allow(verdict, now),
            None => self.ask(setup, ticket, matter, out),
        }
    }

    /// The answer to the question put for this message; `None` if it has to be asked again.
    fn take_answer(
        &mut self,
        setup: &Setup,
        matter: &Matter<'_>,
        verdict: Option<Arc<Verdict>>,
        asked: EpochValues,
        now: EpochValues,
        at: Moment,
    ) -> Option<Ruling> {
        let Some(verdict) = verdict else {
            self.asked_again = 0;
            let refusal = gate_refusal("desk.silent", "the decision did not come in time");
            return Some(Ruling::Refuse(refusal, None));
        };
        if asked != now {
            self.asked_again += 1;
            if self.asked_again <= ASKED_AGAIN {
                return None;
            }
            // Others may define objects all the time. A verdict that is younger than the question is
            // good for this message then: the server runs it a moment later still, among the same
            // definitions. It is not kept. Policy and grants have to hold at the moment itself.
            if !asked.differs_by_catalogue(now) {
                self.asked_again = 0;
                let words = "policy kept changing while this was decided";
                return Some(Ruling::Refuse(gate_refusal("desk.stale", words), None));
            }
        }
        self.asked_again = 0;
        if let Some(refusal) = &verdict.refusal {
            return Some(Ruling::Refuse(refusal.clone(), Some(Arc::clone(&verdict))));
        }
        if verdict.operations.len() > STATEMENTS {
            let words = format!("{} statements in one message", verdict.operations.len());
            return Some(Ruling::Refuse(gate_refusal("limit.statement", &words), None));
        }
        if asked == now {
            self.keep(setup, matter, &verdict, now, at);
        }
        Some(Ruling::Allow(verdict, now))
    }

    fn keep(
        &mut self,
        setup: &Setup,
        matter: &Matter<'_>,
        verdict: &Arc<Verdict>,
        now: EpochValues,
        at: Moment,
    ) {
        let kind = match verdict.cache {
            CacheScope::None => return,
            CacheScope::Shape if shape::shape(matter.text, &mut self.shape) => KeyKind::Shape,
            CacheScope::Exact | CacheScope::Shape => KeyKind::Exact,
        };
        let text = if kind == KeyKind::Shape { &self.shape } else { matter.text };
        let key = KeyRef { context: &self.facts.context, kind, types: matter.types, text };
        let kept = Kept {
            verdict: Arc::clone(verdict),
            decided: now.shared(),
            expires_us: at.mono_us.saturating_add(verdict.ttl_us),
        };
        setup.cache.keep(&key, kept);
    }

    fn find_kept(
        &mut self,
        setup: &Setup,
        matter: &Matter<'_>,
        now: EpochValues,
        at: Moment,
    ) -> Option<Arc<Verdict>> {
        let context = &self.facts.context;
        let (now, types) = (now.shared(), matter.types);
        let exact = KeyRef { context, kind: KeyKind::Exact, types, text: matter.text };
        if let Some(kept) = setup.cache.find(&exact, now, at.mono_us) {
            return Some(kept.verdict);
        }
        if !shape::shape(matter.text, &mut self.shape) {
            return None;
        }
        let shape = KeyRef { context, kind: KeyKind::Shape, types, text: &self.shape };
        setup.cache.find(&shape, now, at.mono_us).map(|kept| kept.verdict)
    }

    fn ask(
        &mut self,
        setup: &Setup,
        ticket: &mut u64,
        matter: &Matter<'_>,
        out: &mut Out,
    ) -> Ruling {
        *ticket += 1;
        let limit = usize::try_from(self.limits.statement_bytes).unwrap_or(usize::MAX);
        let executes = contains_ignoring_case(matter.text, b"execute");
        let question = Question {
            session: self.evidence.session().to_owned(),
            principal: self.principal.clone(),
            via: matter.via,
            text: matter.text.to_vec(),
            operation: self.evidence.next_operation(),
            types: matter.types.to_vec(),
            arguments: matter.arguments.to_vec(),
            facts: self.facts.row.clone(),
            facts_known: self.facts.known,
            transaction: if self.queue.is_empty() { char::from(self.transaction) } else { '?' },
            prepared: if executes { self.names.texts() } else { Vec::new() },
            too_long: matter.cut || matter.text.len() > limit,
        };
        self.waiting = Some(Waiting { ticket: *ticket, asked: setup.epochs.now(self.own_epoch) });
        out.commands.push(Command::Ask(*ticket, Ask::Question(Box::new(question))));
        Ruling::Wait
    }

    /// Starts reading the facts again where they are stale and the session is idle outside a
    /// transaction. True if the message has to wait for them.
    fn reads_facts(&mut self) -> bool {
        if self.facts.known || self.facts_query.is_empty() {
            return false;
        }
        if self.facts.reading.is_some() {
            return true;
        }
        let idle = self.queue.is_empty() && self.transaction == b'I' && !self.group_open;
        if idle {
            self.facts.reading = Some(Vec::new());
            let proof = Authorized::housekeeping(Housekeeping::Facts);
            self.stage
                .push(proof, &message::group(FACTS_NAME, &[FACTS_PRELUDE, &self.facts_query]));
            self.queue.push(Expect::Facts);
            self.groups.0 += 1;
        }
        idle
    }

    /// The answer to the facts query is complete.
    pub(super) fn finish_facts(&mut self) {
        self.facts.finish(&self.scope);
        if !self.facts.known {
            // The server would not say: names stay unresolved, and are asked for no more often
            // than statements come.
            self.facts_query.clear();
        }
    }

    /// What a forwarded operation may do to the names of the session, before it is confirmed.
    pub(super) fn expect_effects(&mut self, verdict: &Verdict) {
        let stale = verdict
            .operations
            .iter()
            .flat_map(|operation| &operation.effects)
            .any(|effect| *effect == Effect::FactsStale);
        if stale {
            self.facts.known = false;
            self.facts.rehash(&self.scope);
            self.own_epoch += 1;
        }
    }

    /// Proof that a verdict is live now; `None` if epochs moved.
    pub(super) fn authorize(
        &self,
        setup: &Setup,
        verdict: &Verdict,
        decided: EpochValues,
    ) -> Option<Authorized> {
        Authorized::by(verdict, decided, &setup.epochs, self.own_epoch)
    }

    /// The session's own epoch: raised when its names may resolve otherwise.
    pub(super) fn session_epoch(&self) -> u64 {
        self.own_epoch
    }

    /// Writes the outcome of the operation at the front, and applies its effects where it is done.
    pub(super) fn conclude(
        &mut self,
        running: &Running,
        status: Status<'_>,
        at: Moment,
        out: &mut Out,
    ) {
        let mut progress = std::mem::take(&mut self.progress);
        self.evidence.outcome(running, status, &mut progress, at, out);
        if matches!(status, Status::Done(_)) {
            self.apply_effects(running);
        }
    }

    /// Writes the outcome of an operation that the server never came to.
    pub(super) fn conclude_aside(
        &mut self,
        running: &Running,
        status: Status<'_>,
        at: Moment,
        out: &mut Out,
    ) {
        self.evidence.outcome(running, status, &mut Progress::default(), at, out);
    }

    /// A portal that is gone without an Execute.
    pub(super) fn never_executed(&mut self, portal: &Portal, at: Moment, out: &mut Out) {
        let Some(operation) = portal.operation.filter(|_| portal.executions == 0) else { return };
        let running = Running {
            operation,
            since_us: at.mono_us,
            execution: 0,
            verdict: Arc::clone(&portal.verdict),
            index: 0,
            prepares: None,
        };
        self.conclude_aside(&running, Status::NotExecuted, at, out);
    }

    fn apply_effects(&mut self, running: &Running) {
        let Some(facts) = running.verdict.operations.get(running.index) else { return };
        for effect in &facts.effects {
            match effect {
                Effect::Prepare(name) => {
                    let text = running.prepares.as_deref().unwrap_or_default();
                    self.names.prepare(name.as_bytes(), Arc::new(Statement::prepared(text)));
                }
                Effect::Deallocate(name) => self.names.forget(name.as_bytes()),
                Effect::DeallocateAll => self.names.forget_all(),
                Effect::FactsStale => {}
                Effect::CatalogueChanged => self.catalogue_dirty = true,
            }
        }
    }

    /// Adds to the recording.
    pub(super) fn record(&mut self, direction: u8, bytes: &[u8], at: Moment, out: &mut Out) {
        out.record(direction, at.unix_us, bytes);
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        self.evidence.recorded += length;
        let counts = &mut self.evidence.counts.client_bytes;
        if direction == b'>' {
            counts.0 += length;
        } else {
            counts.1 += length;
        }
    }
}

/// Whether `text` holds `word` (lower case) in any case; keywords are ASCII.
fn contains_ignoring_case(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

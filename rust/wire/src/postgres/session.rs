// SPDX-License-Identifier: Apache-2.0
//! The state of a logged-in session, and what the end of an operation changes in it.

use std::sync::Arc;

use super::evidence::{Evidence, Progress, Running, Status};
use super::facts::Facts;
use super::names::{Names, Portal, Statement};
use super::question::{Came, Waiting};
use super::queue::Queue;
use crate::proof::Stage;
use crate::seam::{Admission, Cause, Dial, Effect, Limits, Moment, Out, TlsDemand, Verdict};

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
    pub(super) own_epoch: u64,
    pub(super) scope: [u8; 32],
    pub(super) principal: String,
    pub(super) facts_query: Vec<u8>,
    pub(super) waiting: Option<Waiting>,
    /// What came for the message at the front. INVARIANT: it serves none behind that.
    pub(super) answered: Option<Came>,
    /// What the client is to be told of a held message, once no other stands half-sent.
    pub(super) notice: Option<Vec<u8>>,
    pub(super) asked_again: u8,
    pub(super) shape: Vec<u8>,
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
            notice: None,
            asked_again: 0,
            shape: Vec::new(),
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
                    let text = running.prepares.clone().unwrap_or_default();
                    self.names.prepare(name.as_bytes(), Arc::new(Statement::prepared(text)));
                }
                Effect::Deallocate(name) => self.names.forget(name.as_bytes()),
                Effect::DeallocateAll => self.names.forget_all(),
                Effect::FactsStale => {}
                Effect::CatalogueChanged => self.catalogue_dirty = true,
            }
        }
    }

    /// Adds to the recording; what the client sent once, though it was held meanwhile.
    pub(super) fn record(&mut self, direction: u8, bytes: &[u8], at: Moment, out: &mut Out) {
        if direction == b'>' && std::mem::take(&mut self.evidence.is_front_recorded) {
            return;
        }
        out.record(direction, at.unix_us, bytes);
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        self.evidence.recorded += length;
        self.evidence.quota.add_recording(length);
        let counts = &mut self.evidence.counts.client_bytes;
        if direction == b'>' {
            counts.0 += length;
        } else {
            counts.1 += length;
        }
    }
}

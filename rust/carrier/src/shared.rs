// SPDX-License-Identifier: Apache-2.0
//! What all sessions of one carrier share, and what it counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use gatebook_wire::Cause;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::desk::Desk;
use crate::journal::{Journal, JournalFault};
use crate::recorder::Recorder;
use crate::registry::Registry;
use crate::tls::UpstreamTls;

/// Shared by the sessions of one carrier.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) desk: Arc<Desk>,
    pub(crate) registry: Registry,
    pub(crate) journal: Arc<Journal>,
    pub(crate) recorder: Recorder,
    pub(crate) upstream_tls: UpstreamTls,
    /// Microseconds within which the desk answers.
    pub(crate) desk_deadline_us: u64,
    /// Connections that have not logged in yet.
    pub(crate) before_login: Arc<Semaphore>,
    /// Connections at once, by the descriptors that the process may open.
    pub(crate) most_connections: usize,
    pub(crate) tally: Tally,
}

/// Running counters; sessions add to them twice a second.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    pub(crate) admitted: AtomicU64,
    pub(crate) client_in: AtomicU64,
    pub(crate) client_out: AtomicU64,
    pub(crate) upstream_in: AtomicU64,
    pub(crate) upstream_out: AtomicU64,
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted since start.
    pub connections: u64,
    /// Connections closed at once because too many had not logged in, or were there.
    pub turned_away: u64,
    /// Sessions admitted since start.
    pub admitted: u64,
    /// Connections now.
    pub live: u64,
    /// Sessions now.
    pub sessions: u64,
    /// Asks put to the desk since start.
    pub questions: u64,
    /// Asks that the carrier answered with silence.
    pub silences: u64,
    /// Asks open now.
    pub open_tickets: u64,
    /// Bytes from clients.
    pub client_in: u64,
    /// Bytes to clients.
    pub client_out: u64,
    /// Bytes from upstreams.
    pub upstream_in: u64,
    /// Bytes to upstreams.
    pub upstream_out: u64,
    /// Journal entries since it was opened.
    pub entries: u64,
}

impl Shared {
    /// Tells the operator, and ends every session where the journal itself is lost.
    pub(crate) fn evidence_failed(&self, fault: &EvidenceFault) {
        let is_first = self.desk.fault(fault.what, &fault.note);
        if is_first && fault.is_for_all {
            let cause = Cause::with(EVIDENCE_FAILED, fault.note.clone());
            self.registry.tell_all(|mailbox| mailbox.end(cause.clone()));
        }
    }

    /// The counters now.
    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (live, sessions) = self.registry.counts();
        let (questions, silences, open_tickets) = self.desk.counts();
        Counts {
            connections: read(&self.tally.connections),
            turned_away: read(&self.tally.turned_away),
            admitted: read(&self.tally.admitted),
            live: wide(live),
            sessions: wide(sessions),
            questions,
            silences,
            open_tickets: wide(open_tickets),
            client_in: read(&self.tally.client_in),
            client_out: read(&self.tally.client_out),
            upstream_in: read(&self.tally.upstream_in),
            upstream_out: read(&self.tally.upstream_out),
            entries: self.journal.entries(),
        }
    }
}

/// Cause word of a session whose evidence could not be written.
pub(crate) const EVIDENCE_FAILED: &str = "evidence failed";

/// Journal or recording cannot be written.
#[derive(Clone, Debug)]
pub(crate) struct EvidenceFault {
    /// `journal` or `recording`.
    pub(crate) what: &'static str,
    /// The writer's words.
    pub(crate) note: String,
    /// Whether no session can go on.
    pub(crate) is_for_all: bool,
}

impl EvidenceFault {
    /// The journal; where its writer is lost, nothing can be entered any more.
    #[allow(clippy::needless_pass_by_value)] // fits `map_err`
    pub(crate) fn journal(fault: JournalFault) -> Self {
        Self { what: "journal", note: fault.to_string(), is_for_all: fault.is_final() }
    }

    /// The recording of one session.
    pub(crate) fn recording(error: impl std::fmt::Display) -> Self {
        Self { what: "recording", note: error.to_string(), is_for_all: false }
    }
}

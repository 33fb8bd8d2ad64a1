// SPDX-License-Identifier: Apache-2.0
//! A message that is held until a person consents: it stays at the front, what the client sends
//! behind it waits in order, and the client may give it up.
//!
//! It is in the book (`operation.held`) and in the recording before the client is told. When the desk
//! resumes it, it is ruled on from the start, under a new ticket and the same operation numbers.

use super::end::cancel_errand;
use super::evidence::Subject;
use super::message::{self, Message};
use super::question::{Came, Matter, Waiting};
use super::refusal::gate_refusal;
use super::ruling::blotted;
use super::session::Session;
use super::{Phase, Postgres};
use crate::seam::{Command, Held, Moment, Out, Refusal};

/// LIMIT: bytes behind a held message that are taken from the client, so that its end is noticed.
pub const BEHIND_BYTES: usize = 64 * 1024;

impl Postgres {
    /// The desk holds what was asked.
    pub(super) fn held(&mut self, ticket: u64, held: Box<Held>, at: Moment, out: &mut Out) {
        let Phase::Session(session) = &mut self.phase else { return };
        let open = |waiting: &mut Waiting| waiting.ticket == ticket && !waiting.is_held;
        let Some(waiting) = session.waiting.take_if(open) else { return };
        session.answered = Some(Came::Held(waiting, held));
        self.looked = 0;
        self.pump_client(&[], at, out);
        self.tell_held(at, out);
        self.look_behind(at, out);
    }

    /// What the desk held is to be asked again. Nothing if it is not held.
    pub(super) fn resumed(&mut self, ticket: u64, at: Moment, out: &mut Out) {
        let Phase::Session(session) = &mut self.phase else { return };
        let held = |waiting: &mut Waiting| waiting.ticket == ticket && waiting.is_held;
        if session.waiting.take_if(held).is_some() {
            session.notice = None;
            self.pump_client(&[], at, out);
        }
    }

    /// Says that the message waits, unless a row is on its way: no message cuts another.
    pub(super) fn tell_held(&mut self, at: Moment, out: &mut Out) {
        if self.inflow.is_mid_message() {
            return;
        }
        let Phase::Session(session) = &mut self.phase else { return };
        if let Some(notice) = session.notice.take() {
            session.show(&notice, at, out);
        }
    }

    /// Another connection presents this session's key: what runs is cancelled at the upstream, and
    /// what is held is given up.
    pub(super) fn signalled(&mut self, at: Moment, out: &mut Out) {
        let Phase::Session(session) = &mut self.phase else { return };
        let is_held = session.evidence.held.is_some();
        if !is_held || !session.queue.is_empty() {
            out.commands.push(Command::Errand(Box::new(cancel_errand(session))));
        }
        if is_held {
            session.forget_question(out);
            session.answered = Some(Came::Cancelled);
            self.last_us = at.mono_us;
            self.pump_client(&[], at, out);
        }
    }

    /// Whether the client is read although a message waits: only so that its end is noticed.
    pub(super) fn reads_behind(&self) -> bool {
        self.bound_behind().is_some_and(|bound| self.input.len() < bound)
    }

    /// Ends the session where the client says goodbye behind a held message: nobody waits for it.
    pub(super) fn look_behind(&mut self, at: Moment, out: &mut Out) {
        let Some(bound) = self.bound_behind() else { return };
        while let Some(Ok((kind, body))) =
            message::header(self.input.get(self.looked..).unwrap_or_default())
        {
            let end = self.looked.saturating_add(5).saturating_add(body);
            if end > bound.min(self.input.len()) {
                return;
            }
            self.looked = end;
            if kind == b'X' {
                self.has_terminated = true;
                self.client_closed(at, out);
                return;
            }
        }
    }

    /// Bytes of `input` that are taken while its first message is held; `None` if it is not.
    fn bound_behind(&self) -> Option<usize> {
        let Phase::Session(session) = &self.phase else { return None };
        session.evidence.held.as_ref()?;
        let (_, body) = message::header(&self.input)?.ok()?;
        Some(BEHIND_BYTES.saturating_add(5).saturating_add(body))
    }
}

impl Session {
    /// Writes the entries of a message that the desk holds and records it, unless it was held before,
    /// and says what the client is to be told.
    pub(super) fn enter_held(
        &mut self,
        matter: &Matter<'_>,
        place: (Message<'_>, usize),
        held: &Held,
        at: Moment,
        out: &mut Out,
    ) {
        if self.evidence.held.is_none() {
            let text = blotted(matter.text, 0, &held.verdict.blots);
            let subject = Subject { via: matter.via, text: &text, arguments: matter.values() };
            self.evidence.hold(&subject, &held.verdict, at, out);
            self.record_blotted(place, &held.verdict.blots, at, out);
            self.evidence.is_front_recorded = true;
        }
        if !held.notice.message.is_empty() {
            let id = self.evidence.operation_id(self.evidence.next_operation());
            let detail = held.notice.detail.replace("{operation}", &id);
            self.notice = Some(message::notice(&held.notice, &detail));
        }
    }

    /// The server skips what is held, behind an error: that is given up with it. The client has been
    /// told the error.
    pub(super) fn refuse_skipped(&mut self, at: Moment, out: &mut Out) {
        let Some(held) = &self.evidence.held else { return };
        let subject = Subject { via: held.via, text: b"", arguments: &[] };
        self.evidence.refused(&subject, None, &cancelled(), at, out);
        self.notice = None;
    }
}

/// The no to what its client gave up.
pub fn cancelled() -> Refusal {
    gate_refusal("approval.cancelled", "the request for approval was cancelled by its client")
}

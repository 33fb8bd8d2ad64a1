// SPDX-License-Identifier: Apache-2.0
//! An operation that is held until a person consents: it stays at the front, what the client sends
//! behind it waits in order, and the client may give up.

use super::message;
use super::refusal::gate_refusal;
use super::{Phase, Postgres};
use crate::seam::{Command, Held, Moment, Out};

/// LIMIT: bytes behind a held message that are taken from the client, so that its end is noticed.
pub const BEHIND_BYTES: usize = 64 * 1024;

impl Postgres {
    /// The desk holds what was asked. The client is told once its own messages are whole.
    pub(super) fn held(&mut self, ticket: u64, held: Held, at: Moment, out: &mut Out) {
        let Phase::Session(session) = &mut self.phase else { return };
        if !session.hold(ticket, held.verdict) {
            return;
        }
        let id = session.evidence.operation_id(session.evidence.next_operation());
        let detail = held.notice.detail.replace("{operation}", &id);
        self.notice = Some(message::notice(&held.notice, &detail));
        self.tell_held(at, out);
    }

    /// Says that the operation waits, unless a row is on its way: a message is never cut by another.
    pub(super) fn tell_held(&mut self, at: Moment, out: &mut Out) {
        if self.inflow.is_mid_message() {
            return;
        }
        let Phase::Session(session) = &mut self.phase else { return };
        if let Some(notice) = self.notice.take() {
            session.show(&notice, at, out);
        }
    }

    /// What the desk held is to be asked again.
    pub(super) fn resumed(&mut self, ticket: u64, at: Moment, out: &mut Out) {
        let Phase::Session(session) = &mut self.phase else { return };
        if session.resume(ticket) {
            self.notice = None;
            self.pump_client(&[], at, out);
        }
    }

    /// Another connection asks to cancel what this session waits for. False if it waits for nobody.
    pub(super) fn cancel_held(&mut self, at: Moment, out: &mut Out) -> bool {
        let Phase::Session(session) = &mut self.phase else { return false };
        let words = "the request for approval was cancelled by its client";
        let refusal = gate_refusal("approval.cancelled", words);
        let now = self.setup.epochs.now(session.session_epoch());
        let Some(ticket) = session.cancel_held(refusal, now) else { return false };
        out.commands.push(Command::Forget(ticket));
        self.notice = None;
        self.pump_client(&[], at, out);
        true
    }

    /// Whether the client is read although a message waits: only so its end is noticed.
    pub(super) fn reads_behind(&self) -> bool {
        let Phase::Session(session) = &self.phase else { return false };
        session.is_held() && self.input.len() < BEHIND_BYTES
    }
}

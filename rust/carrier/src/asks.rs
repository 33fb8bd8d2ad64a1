// SPDX-License-Identifier: Apache-2.0
//! What one session has asked of the desk: one thing at a time, each with its deadline.

use std::collections::VecDeque;

use gatebook_wire::Ask;

use crate::desk::Desk;

/// The open ask of a session and those that wait behind it.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    open: Option<Open>,
    behind: VecDeque<(u64, Ask)>,
}

/// An ask that the desk has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// The conversation's ticket.
    pub(crate) local: u64,
    /// The desk's ticket.
    pub(crate) ticket: u64,
    /// After this, silence. Monotonic microseconds.
    pub(crate) deadline_us: u64,
    /// After this, it goes to Python unparsed; `None` once it has.
    pub(crate) parse_until_us: Option<u64>,
}

impl Asks {
    /// Waits behind what is open. INVARIANT: bounded by the conversation, which asks for a
    /// message and then takes no more from the client.
    pub(crate) fn push(&mut self, local: u64, ask: Ask) {
        self.behind.push_back((local, ask));
    }

    /// The next to put to the desk, if nothing is open.
    pub(crate) fn next(&mut self) -> Option<(u64, Ask)> {
        if self.open.is_some() {
            return None;
        }
        self.behind.pop_front()
    }

    /// The desk has it.
    pub(crate) fn opened(&mut self, open: Open) {
        self.open = Some(open);
    }

    /// The conversation has the answer.
    pub(crate) fn closed(&mut self, local: u64) {
        if self.open.is_some_and(|open| open.local == local) {
            self.open = None;
        }
    }

    /// A person has to consent: it may take until then. Monotonic microseconds.
    pub(crate) fn held(&mut self, local: u64, until_us: u64) {
        if let Some(open) = self.open.as_mut().filter(|open| open.local == local) {
            open.deadline_us = until_us;
        }
    }

    /// The conversation wants no answer any more.
    pub(crate) fn forget(&mut self, desk: &Desk, local: u64) {
        self.behind.retain(|(waiting, _)| *waiting != local);
        if let Some(open) = self.open.take_if(|open| open.local == local) {
            desk.forget(open.ticket);
        }
    }

    /// The session is over.
    pub(crate) fn forget_all(&mut self, desk: &Desk) {
        self.behind.clear();
        if let Some(open) = self.open.take() {
            desk.forget(open.ticket);
        }
    }

    /// Lets a question whose parse takes too long go on without it.
    pub(crate) fn hurry(&mut self, desk: &Desk, now_us: u64) {
        let Some(open) = &mut self.open else { return };
        if open.parse_until_us.take_if(|until| *until <= now_us).is_some() {
            desk.parsed(open.ticket, crate::parser::Parsed::failed("too slow"));
        }
    }

    /// The conversation's ticket if its deadline has passed.
    pub(crate) fn give_up(&mut self, desk: &Desk, now_us: u64) -> Option<u64> {
        let open = self.open.take_if(|open| open.deadline_us <= now_us)?;
        desk.give_up(open.ticket);
        Some(open.local)
    }

    /// When to look again.
    pub(crate) fn due_us(&self) -> Option<u64> {
        let open = self.open.as_ref()?;
        Some(open.parse_until_us.map_or(open.deadline_us, |until| until.min(open.deadline_us)))
    }
}

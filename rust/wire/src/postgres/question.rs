// SPDX-License-Identifier: Apache-2.0
//! The question about the message at the front: how it is put to the desk, and what comes for it.

use std::sync::Arc;

use ring::digest::{Context, SHA256};

use super::ruling::Ruling;
use super::session::Session;
use super::Setup;
use crate::cache::EpochValues;
use crate::seam::{Ask, Command, Held, Out, Question, Verdict};

/// A question that is open.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Its ticket.
    pub ticket: u64,
    /// The epochs under which it was asked.
    pub asked: EpochValues,
    /// What it was about: names may come to mean something else meanwhile.
    pub matter: [u8; 32],
    /// The desk waits for a person.
    pub is_held: bool,
}

/// What came for the message at the front.
#[derive(Debug)]
pub enum Came {
    /// The desk's verdict on this question; `None`: it was silent.
    Verdict(Waiting, Option<Arc<Verdict>>),
    /// The desk holds what was asked; the question stays open.
    Held(Waiting, Box<Held>),
    /// The client gave up what was held.
    Cancelled,
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

impl Matter<'_> {
    /// Formats, values and result formats, as a Bind has them.
    pub fn values(&self) -> &[u8] {
        match self.via {
            "function" => self.arguments.get(4..).unwrap_or_default(), // behind the oid
            _ => self.arguments,
        }
    }

    /// What a question is about, to see later whether it still is.
    pub fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        for part in [self.via.as_bytes(), self.text, self.types, self.arguments] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        context.update(&[u8::from(self.cut), u8::from(self.unknown.is_some())]);
        context.finish().as_ref().try_into().unwrap_or_default()
    }
}

impl Session {
    /// Whether a question is open.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// The desk answered (`None`: it was silent). False if nobody waits for this ticket.
    pub(super) fn answer(&mut self, ticket: u64, verdict: Option<Arc<Verdict>>) -> bool {
        let waiting = self.waiting.take_if(|waiting| waiting.ticket == ticket);
        self.answered =
            waiting.map(|waiting| Came::Verdict(waiting, verdict)).or(self.answered.take());
        waiting.is_some()
    }

    /// Gives up the question that is open, and what came for one that nobody looked at.
    pub(super) fn forget_question(&mut self, out: &mut Out) {
        self.asked_again = 0;
        let open = self.waiting.take().or(match self.answered.take() {
            Some(Came::Held(waiting, _)) => Some(waiting),
            Some(Came::Verdict(..) | Came::Cancelled) | None => None,
        });
        if let Some(waiting) = open {
            out.commands.push(Command::Forget(waiting.ticket));
        }
    }

    /// Puts the question to the desk.
    pub(super) fn ask(
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
        let asked = setup.epochs.now(self.own_epoch);
        let matter = matter.digest();
        self.waiting = Some(Waiting { ticket: *ticket, asked, matter, is_held: false });
        out.commands.push(Command::Ask(*ticket, Ask::Question(Box::new(question))));
        Ruling::Wait
    }
}

/// Whether `text` holds `word` (lower case) in any case; keywords are ASCII.
fn contains_ignoring_case(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

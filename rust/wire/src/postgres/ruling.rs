// SPDX-License-Identifier: Apache-2.0
//! How a message comes to its verdict (by the answer that came for it, by a kept one, or by asking),
//! and what is written of it before anything else: intents, or the refusal.

use std::sync::Arc;

use super::evidence::{Running, Subject};
use super::frontend::{Desk, TOO_MANY_NAMES};
use super::hold::cancelled;
use super::message::Message;
use super::question::{Came, Matter, Waiting};
use super::refusal::{gate_refusal, Refused};
use super::session::{Session, Skip, Step};
use super::Setup;
use crate::cache::{EpochValues, Kept, KeyKind, KeyRef};
use crate::proof::Authorized;
use crate::seam::{CacheScope, Command, Held, Moment, Out, Refusal, Verdict};
use crate::shape;

/// LIMIT: how often a message is asked again because epochs moved while it was decided.
const ASKED_AGAIN: u8 = 3;

/// LIMIT: statements in one message; each writes an entry.
pub const STATEMENTS: usize = 1_000;

/// How a message was ruled on.
#[derive(Debug)]
pub enum Ruling {
    /// Allowed, by this verdict made under these epochs.
    Allow(Arc<Verdict>, EpochValues),
    /// Refused; with the verdict if Python made one.
    Refuse(Refusal, Option<Arc<Verdict>>),
    /// Not yet: a person has to consent.
    Hold(Box<Held>),
    /// Not yet.
    Wait,
}

impl Session {
    /// Rules on a message: what allows it, and the epochs of that. `Err` is the step to return: it
    /// waits, or it was refused.
    pub(super) fn decide(
        &mut self,
        matter: &Matter<'_>,
        kind: Refused,
        message: Message<'_>,
        text_start: usize,
        desk: &mut Desk<'_>,
        out: &mut Out,
    ) -> Result<(Arc<Verdict>, Authorized, EpochValues), Step> {
        match self.rule(desk.setup, desk.ticket, matter, desk.at, out) {
            Ruling::Wait => Err(Step::Wait),
            Ruling::Hold(held) => {
                self.enter_held(matter, (message, text_start), &held, desk.at, out);
                Err(Step::Wait)
            }
            Ruling::Refuse(refusal, verdict) => {
                // What a policy says of a name that nobody knows is no news to anybody.
                let told = matter.unknown.filter(|_| refusal.code.starts_with("policy."));
                let refusal = told.map_or(refusal, |(code, words)| gate_refusal(code, words));
                let place = (message, text_start);
                Err(self.refuse(matter, kind, &refusal, verdict.as_ref(), place, desk.at, out))
            }
            Ruling::Allow(verdict, _) if self.names_overflow(matter, &verdict) => {
                let refusal = gate_refusal("limit.names", TOO_MANY_NAMES);
                let place = (message, text_start);
                Err(self.refuse(matter, kind, &refusal, Some(&verdict), place, desk.at, out))
            }
            Ruling::Allow(verdict, decided) => {
                match self.authorize(desk.setup, &verdict, decided) {
                    Some(proof) => Ok((verdict, proof, decided)),
                    None => Err(Step::Again),
                }
            }
        }
    }

    /// Writes the entry of a refusal and answers it. `place` is the message and where in it the
    /// text starts (0: it holds no text).
    #[allow(clippy::too_many_arguments)] // one refusal: what, how, why, where, when
    pub(super) fn refuse(
        &mut self,
        matter: &Matter<'_>,
        kind: Refused,
        refusal: &Refusal,
        verdict: Option<&Arc<Verdict>>,
        place: (Message<'_>, usize),
        at: Moment,
        out: &mut Out,
    ) -> Step {
        let blots = verdict.map(|verdict| verdict.blots.as_slice()).unwrap_or_default();
        let text = blotted(matter.text, 0, blots);
        let arguments = if matter.via == "bind" { matter.arguments } else { &[] };
        let subject = Subject { via: matter.via, text: &text, arguments };
        self.notice = None;
        let operation = self.evidence.refused(&subject, verdict, refusal, at, out);
        self.record_blotted(place, blots, at, out);
        self.answer_refusal(kind, refusal, operation, at, out);
        Step::Done
    }

    /// Whether a message would begin something for which there is no evidence left to make. One
    /// whose verdict has come, or that was held, was looked at before it was asked about.
    pub(super) fn is_over_quota(&self, message: Message<'_>, at: Moment) -> bool {
        let begins = matches!(message.kind, b'Q' | b'P' | b'B' | b'D' | b'E' | b'F');
        begins
            && self.skip == Skip::Nothing
            && self.answered.is_none()
            && self.evidence.held.is_none()
            && self.evidence.quota.is_over(&self.limits, at)
    }

    /// Refuses it. The first such refusal of an hour has an entry, the others are counted at the
    /// session's end: a refusal must not make what there is no room for.
    pub(super) fn refuse_over_quota(
        &mut self,
        message: Message<'_>,
        at: Moment,
        out: &mut Out,
    ) -> Step {
        let words = "the evidence of this identity has used up its room for this hour";
        let refusal = gate_refusal("limit.evidence", words);
        let (via, kind) = match message.kind {
            b'Q' => ("query", Refused::Simple),
            b'F' => ("function", Refused::Simple),
            b'P' if message.body.first() == Some(&0) => ("parse", Refused::ParseUnnamed),
            b'P' => ("parse", Refused::Extended),
            _ => ("bind", Refused::Extended),
        };
        let operation = if self.evidence.quota.tell() {
            let subject = Subject { via, text: b"", arguments: &[] };
            self.evidence.refused(&subject, None, &refusal, at, out)
        } else {
            self.evidence.counts.refused += 1;
            self.evidence.next_operation()
        };
        self.answer_refusal(kind, &refusal, operation, at, out);
        Step::Done
    }

    /// Refuses a Bind that would open one portal too many.
    pub(super) fn refuse_name(
        &mut self,
        refusal: &Refusal,
        message: Message<'_>,
        at: Moment,
        out: &mut Out,
    ) -> Step {
        let matter = Matter { via: "bind", ..Matter::default() };
        self.refuse(&matter, Refused::Extended, refusal, None, (message, 0), at, out)
    }

    /// Writes the intents of an allowed message.
    pub(super) fn intend(
        &mut self,
        matter: &Matter<'_>,
        verdict: &Arc<Verdict>,
        at: Moment,
        out: &mut Out,
    ) -> Vec<Running> {
        let text = blotted(matter.text, 0, &verdict.blots);
        let subject = Subject { via: matter.via, text: &text, arguments: matter.values() };
        self.notice = None;
        let running = self.evidence.intents(&subject, verdict, at, out);
        if matter.via != "parse" {
            self.expect_effects(verdict);
        }
        running
    }

    /// Records a message without its passwords. `place` is as for a refusal.
    pub(super) fn record_blotted(
        &mut self,
        place: (Message<'_>, usize),
        blots: &[(u32, u32)],
        at: Moment,
        out: &mut Out,
    ) {
        let (message, text_start) = place;
        // A message without text (Bind, Execute) holds nothing that the ranges speak of.
        let blots = if text_start == 0 { &[] } else { blots };
        self.record(b'>', &blotted(message.whole, text_start, blots), at, out);
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
        match self.answered.take() {
            Some(Came::Verdict(waiting, verdict)) => {
                let ruling = self.take_answer(setup, matter, verdict, waiting, now, at);
                return ruling.unwrap_or_else(|| self.ask(setup, ticket, matter, out));
            }
            Some(Came::Held(waiting, held)) if waiting.matter == matter.digest() => {
                self.waiting = Some(Waiting { is_held: true, ..waiting });
                return Ruling::Hold(held);
            }
            Some(Came::Held(waiting, _)) => {
                out.commands.push(Command::Forget(waiting.ticket));
                return self.ask(setup, ticket, matter, out);
            }
            Some(Came::Cancelled) => return Ruling::Refuse(cancelled(), None),
            None => {}
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
        waiting: Waiting,
        now: EpochValues,
        at: Moment,
    ) -> Option<Ruling> {
        let asked = waiting.asked;
        let is_same = waiting.matter == matter.digest();
        let Some(verdict) = verdict else {
            self.asked_again = 0;
            let refusal = gate_refusal("desk.silent", "the decision did not come in time");
            return Some(Ruling::Refuse(refusal, None));
        };
        if asked != now || !is_same {
            self.asked_again += 1;
            if self.asked_again <= ASKED_AGAIN {
                return None;
            }
            // Others may define objects all the time. A verdict that is younger than the question is
            // good for this message then: the server runs it a moment later still, among the same
            // definitions. It is not kept. Policy and grants have to hold at the moment itself.
            if !is_same || !asked.differs_by_catalogue(now) {
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
        // The shape first: what is asked often is kept by it. The two keys never meet, and a verdict
        // kept under either was made for all that the key stands for.
        if shape::shape(matter.text, &mut self.shape) {
            let shape = KeyRef { context, kind: KeyKind::Shape, types, text: &self.shape };
            if let Some(kept) = setup.cache.find(&shape, now, at.mono_us) {
                return Some(kept.verdict);
            }
        }
        let exact = KeyRef { context, kind: KeyKind::Exact, types, text: matter.text };
        setup.cache.find(&exact, now, at.mono_us).map(|kept| kept.verdict)
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
}

/// The bytes with password literals overwritten; borrowed where there are none.
pub(super) fn blotted<'a>(
    bytes: &'a [u8],
    start: usize,
    blots: &[(u32, u32)],
) -> std::borrow::Cow<'a, [u8]> {
    if blots.is_empty() {
        return bytes.into();
    }
    let mut bytes = bytes.to_vec();
    for &(from, to) in blots {
        let place = |offset: u32| start + usize::try_from(offset).unwrap_or(usize::MAX / 2);
        if let Some(literal) = bytes.get_mut(place(from)..place(to)) {
            literal.fill(b'*');
        }
    }
    bytes.into()
}

// SPDX-License-Identifier: Apache-2.0
//! What the client may say in a session, message by message (PostgreSQL documentation,
//! "Message Flow"). A kind that is not listed here is refused, never forwarded.

use std::sync::Arc;

use super::evidence::Running;
use super::form;
use super::message::Message;
use super::names::{self, Portal, Statement};
use super::question::Matter;
use super::queue::Expect;
use super::refusal::{gate_refusal, Refused};
use super::session::{Session, Skip, Step};
use super::Setup;
use crate::cache::EpochValues;
use crate::proof::{Authorized, Housekeeping};
use crate::seam::{Cause, Moment, Out, Verdict};

/// What a client message needs beside the session.
pub struct Desk<'a> {
    /// The process's shared parts.
    pub setup: &'a Setup,
    /// The last ticket given out.
    pub ticket: &'a mut u64,
    /// Now.
    pub at: Moment,
}

/// A message that was allowed and is on its way.
struct Carried {
    /// What allowed it, and the epochs of that.
    verdict: Arc<Verdict>,
    decided: EpochValues,
    /// Its operations, by their intents.
    running: Vec<Running>,
}

/// The server's words for a message kind that it does not know either.
pub const UNLISTED: &str = "invalid frontend message type";
/// What a policy's no is told as where it is about a name that the gate does not know.
const UNKNOWN_STATEMENT: (&str, &str) =
    ("protocol.unknown_statement", "prepared statement is not known to the gate");
const UNKNOWN_PORTAL: (&str, &str) = ("protocol.unknown_portal", "portal is not known to the gate");

/// So many that nothing more is kept, or so long.
pub const TOO_MANY_NAMES: &str = "too many prepared statements or portals, or they hold too much";

impl Session {
    /// Serves one whole message.
    pub(super) fn client_message(
        &mut self,
        message: Message<'_>,
        desk: &mut Desk<'_>,
        out: &mut Out,
    ) -> Step {
        let pipeline = usize::try_from(self.limits.pipeline).unwrap_or(usize::MAX);
        if self.queue.len() >= pipeline {
            return Step::Wait;
        }
        if self.is_over_quota(message, desk.at) {
            return self.refuse_over_quota(message, desk.at, out);
        }
        match (message.kind, self.skip) {
            (b'X', _) => self.terminate(message, desk.at, out),
            (b'S', _) => self.sync(message, desk.at, out),
            (b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'H' | b'F' | b'd' | b'c' | b'f', skip)
                if skip != Skip::Nothing =>
            {
                self.refuse_skipped(desk.at, out);
                self.record(b'>', message.whole, desk.at, out);
                Step::Done
            }
            (b'd' | b'c' | b'f', _) => self.copy_data(message, desk.at, out),
            (b'H', _) if self.copy_in => {
                // The server reads past a Flush while COPY reads data, as past a Sync.
                self.record(b'>', message.whole, desk.at, out);
                Step::Done
            }
            (b'Q', _) => self.query(message, desk, out),
            (b'P', _) => self.parse(message, desk, out),
            (b'B', _) => self.bind(message, desk, out),
            (b'D', _) => self.describe(message, desk.at, out),
            (b'E', _) => self.execute(message, desk, out),
            (b'C', _) => self.close(message, desk.at, out),
            (b'H', _) => self.flush(message, desk.at, out),
            (b'F', _) => self.function(message, desk, out),
            (kind, _) => {
                let note = format!("{UNLISTED} {kind}");
                Step::End(Cause::with("protocol violation", note))
            }
        }
    }

    fn query(&mut self, message: Message<'_>, desk: &mut Desk<'_>, out: &mut Out) -> Step {
        let text = match form::query(message.body) {
            Ok(text) => text,
            Err(fault) => return self.refuse_malformed(message, fault, desk.at, out),
        };
        let matter = Matter { via: "query", text, ..Matter::default() };
        let running = match self.carry(&matter, Refused::Simple, (message, 5), desk, out) {
            Ok(carried) => carried.running,
            Err(step) => return step,
        };
        let drops_unnamed = self.names.statement(b"").is_some();
        if drops_unnamed {
            self.names.change(self.groups.0, b"", None);
        }
        self.queue.push(Expect::Query { running, current: 0, drops_unnamed, tag: None });
        self.end_group();
        Step::Done
    }

    fn parse(&mut self, message: Message<'_>, desk: &mut Desk<'_>, out: &mut Out) -> Step {
        let [name, text, types] = match form::parse(message.body) {
            Ok(read) => read,
            Err(fault) => return self.refuse_malformed(message, fault, desk.at, out),
        };
        let kind = if name.is_empty() { Refused::ParseUnnamed } else { Refused::Extended };
        let start = 5 + name.len() + 1;
        if self.names_full() {
            let refusal = gate_refusal("limit.names", TOO_MANY_NAMES);
            let matter = Matter { via: "parse", text, types, ..Matter::default() };
            return self.refuse(&matter, kind, &refusal, None, (message, start), desk.at, out);
        }
        let matter = Matter { via: "parse", text, types, ..Matter::default() };
        let running = match self.carry(&matter, kind, (message, start), desk, out) {
            Ok(carried) => carried.running.into_iter().next(),
            Err(step) => return step,
        };
        let statement = Statement::parsed(text, types);
        self.names.change(self.groups.0, name, Some(Arc::new(statement)));
        self.queue.push(Expect::Parse { running, unnamed: name.is_empty() });
        self.group_open = true;
        Step::Done
    }

    fn bind(&mut self, message: Message<'_>, desk: &mut Desk<'_>, out: &mut Out) -> Step {
        let [portal, name, arguments] = match form::bind(message.body) {
            Ok(read) => read,
            Err(fault) => return self.refuse_malformed(message, fault, desk.at, out),
        };
        if self.names_full() {
            let refusal = gate_refusal("limit.names", TOO_MANY_NAMES);
            return self.refuse_name(&refusal, message, desk.at, out);
        }
        let known = self.names.statement(name).cloned();
        let unknown = known.is_none().then_some(UNKNOWN_STATEMENT);
        let statement = known.unwrap_or_else(|| Arc::new(Statement::unknown(name)));
        let matter = Matter { arguments, unknown, ..statement.matter() };
        let carried = match self.carry(&matter, Refused::Extended, (message, 0), desk, out) {
            Ok(carried) => carried,
            Err(step) => return step,
        };
        let running = carried.running.into_iter().next();
        let bound = Portal {
            statement: Arc::clone(&statement),
            arguments: arguments.into(),
            operation: running.as_ref().map(|running| running.operation),
            verdict: carried.verdict,
            decided: self.decided_as_of_here(carried.decided),
            executions: 0,
            group: self.groups.0,
        };
        if let Some(old) = self.names.bind(portal, bound) {
            self.never_executed(&old, desk.at, out);
        }
        self.queue.push(Expect::Bind { running, portal: portal.into() });
        self.group_open = true;
        Step::Done
    }

    fn execute(&mut self, message: Message<'_>, desk: &mut Desk<'_>, out: &mut Out) -> Step {
        let name = match form::execute(message.body) {
            Ok(name) => name,
            Err(fault) => return self.refuse_malformed(message, fault, desk.at, out),
        };
        let now = desk.setup.epochs.now(self.session_epoch());
        let Some(portal) = self.names.portal(name) else {
            return self.execute_unknown(name, message, desk, out);
        };
        if portal.decided != now {
            // Policy, grants, catalogue or session changed since the Bind: judged again.
            let (statement, arguments) = (Arc::clone(&portal.statement), portal.arguments.clone());
            let matter = Matter { arguments: &arguments, ..statement.matter() };
            let (verdict, _, decided) =
                match self.decide(&matter, Refused::Extended, message, 0, desk, out) {
                    Ok(allowed) => allowed,
                    Err(step) => return step,
                };
            let running = self.intend(&matter, &verdict, desk.at, out).into_iter().next();
            let Some(mut portal) = self.names.unbind(name) else { return Step::Again };
            self.never_executed(&portal, desk.at, out);
            portal.operation = running.map(|running| running.operation);
            portal.verdict = verdict;
            portal.decided = self.decided_as_of_here(decided);
            portal.executions = 0;
            self.names.bind(name, portal);
        }
        let Some(portal) = self.names.portal(name) else { return Step::Again };
        portal.executions = portal.executions.saturating_add(1);
        let verdict = Arc::clone(&portal.verdict);
        let running = portal.operation.map(|operation| Running {
            operation,
            since_us: desk.at.mono_us,
            execution: portal.executions,
            verdict: Arc::clone(&verdict),
            index: 0,
            prepares: super::evidence::prepares(&verdict, 0)
                .then(|| Arc::clone(&portal.statement.text)),
        });
        self.expect_effects(&verdict);
        self.record(b'>', message.whole, desk.at, out);
        self.stage.push(Authorized::housekeeping(Housekeeping::Execute), message.whole);
        self.queue.push(Expect::Execute { running });
        self.group_open = true;
        Step::Done
    }

    /// Executes a portal that no Bind made, hence SQL did: DECLARE, or a function. What it reads was
    /// judged with that; to go on with it is what FETCH does, and is judged as that.
    fn execute_unknown(
        &mut self,
        name: &[u8],
        message: Message<'_>,
        desk: &mut Desk<'_>,
        out: &mut Out,
    ) -> Step {
        let fetch = Statement::unknown_portal(name);
        let matter = Matter { unknown: Some(UNKNOWN_PORTAL), ..fetch.matter() };
        let running = match self.carry(&matter, Refused::Extended, (message, 0), desk, out) {
            Ok(carried) => carried.running.into_iter().next(),
            Err(step) => return step,
        };
        self.queue.push(Expect::Execute { running });
        self.group_open = true;
        Step::Done
    }

    fn describe(&mut self, message: Message<'_>, at: Moment, out: &mut Out) -> Step {
        if let Err(fault) = form::target(message.body) {
            return self.refuse_malformed(message, fault, at, out);
        }
        // What the gate does not know was made by SQL (PREPARE, DECLARE), which was judged. Its
        // description shows no row, and where there is none the server says so itself.
        self.forward(Housekeeping::Describe, message, Expect::Describe, at, out);
        Step::Done
    }

    fn close(&mut self, message: Message<'_>, at: Moment, out: &mut Out) -> Step {
        let (kind, name) = match form::target(message.body) {
            Ok(read) => read,
            Err(fault) => return self.refuse_malformed(message, fault, at, out),
        };
        if kind == b'S' {
            self.names.change(self.groups.0, name, None);
        } else if let Some(portal) = self.names.unbind(name) {
            self.never_executed(&portal, at, out);
        }
        let expect = Expect::Close { statement: kind == b'S' };
        self.forward(Housekeeping::Order, message, expect, at, out);
        Step::Done
    }

    fn flush(&mut self, message: Message<'_>, at: Moment, out: &mut Out) -> Step {
        if let Err(fault) = form::nothing(message.body) {
            return self.refuse_malformed(message, fault, at, out);
        }
        self.record(b'>', message.whole, at, out);
        self.stage.push(Authorized::housekeeping(Housekeeping::Order), message.whole);
        Step::Done
    }

    fn sync(&mut self, message: Message<'_>, at: Moment, out: &mut Out) -> Step {
        if let Err(fault) = form::nothing(message.body) {
            if self.skip != Skip::Nothing {
                // Whether the server would take it for the Sync it skips to is not worth knowing.
                return Step::End(Cause::with("protocol violation", "malformed Sync"));
            }
            return self.refuse_malformed(message, fault, at, out);
        }
        self.record(b'>', message.whole, at, out);
        if std::mem::replace(&mut self.skip, Skip::Nothing) == Skip::Alone {
            let ready = super::message::ready(self.transaction);
            self.show(&ready, at, out);
            return Step::Done;
        }
        self.stage.push(Authorized::housekeeping(Housekeeping::Order), message.whole);
        // The server reads past a Sync while COPY reads data, unless the COPY has failed by then.
        self.queue.push(Expect::Sync { in_copy: self.copy_in });
        self.end_group();
        Step::Done
    }

    fn function(&mut self, message: Message<'_>, desk: &mut Desk<'_>, out: &mut Out) -> Step {
        let matter = Matter { via: "function", arguments: message.body, ..Matter::default() };
        let running = match self.carry(&matter, Refused::Simple, (message, 0), desk, out) {
            Ok(carried) => carried.running.into_iter().next(),
            Err(step) => return step,
        };
        self.queue.push(Expect::Function { running });
        self.end_group();
        Step::Done
    }

    /// COPY data. Outside a COPY the server reads past it, so it is dropped; while answers are
    /// outstanding nobody knows yet whether a COPY begins, so it waits.
    fn copy_data(&mut self, message: Message<'_>, at: Moment, out: &mut Out) -> Step {
        if !self.copy_in {
            if !self.queue.is_empty() {
                return Step::Wait;
            }
            self.record(b'>', message.whole, at, out);
            return Step::Done;
        }
        self.record(b'>', message.whole, at, out);
        if message.kind == b'd' {
            self.progress.add_received(message.whole);
        } else {
            self.copy_in = false;
        }
        self.stage.push(Authorized::housekeeping(Housekeeping::CopyIn), message.whole);
        Step::Done
    }

    fn terminate(&mut self, message: Message<'_>, at: Moment, out: &mut Out) -> Step {
        self.record(b'>', message.whole, at, out);
        Step::End(Cause::of("client closed"))
    }

    /// The way of every message that begins something: decided, its intents written, recorded, staged
    /// behind them. `place` is as for a refusal; `Err` is the step to return.
    fn carry(
        &mut self,
        matter: &Matter<'_>,
        kind: Refused,
        place: (Message<'_>, usize),
        desk: &mut Desk<'_>,
        out: &mut Out,
    ) -> Result<Carried, Step> {
        let (message, text_start) = place;
        let (verdict, proof, decided) =
            self.decide(matter, kind, message, text_start, desk, out)?;
        let running = self.intend(matter, &verdict, desk.at, out);
        self.record_blotted(place, &verdict.blots, desk.at, out);
        self.stage.push(proof, message.whole);
        Ok(Carried { verdict, decided, running })
    }

    /// The epochs of a ruling, with those of the session as the ruled message leaves them. Never
    /// what the shared epochs are now: a policy loaded since by another thread did not decide this.
    fn decided_as_of_here(&self, ruling: EpochValues) -> EpochValues {
        ruling.in_session(self.session_epoch())
    }

    fn forward(
        &mut self,
        kind: Housekeeping,
        message: Message<'_>,
        expect: Expect,
        at: Moment,
        out: &mut Out,
    ) {
        self.record(b'>', message.whole, at, out);
        self.stage.push(Authorized::housekeeping(kind), message.whole);
        self.queue.push(expect);
        self.group_open = true;
    }

    pub(super) fn end_group(&mut self) {
        self.group_open = false;
        self.groups.0 += 1;
    }

    /// Whether the SQL-level PREPAREs of a message would go over what names may hold.
    pub(super) fn names_overflow(&self, matter: &Matter<'_>, verdict: &Verdict) -> bool {
        let prepared = super::evidence::prepared(verdict);
        let adds = prepared.saturating_mul(matter.text.len());
        prepared > 0 && (self.names_full() || self.names.held() + adds > names::HELD_BYTES)
    }

    fn names_full(&self) -> bool {
        let limit = usize::try_from(self.limits.names).unwrap_or(usize::MAX);
        let (statements, portals) = self.names.counts();
        statements >= limit || portals >= limit || self.names.held() >= names::HELD_BYTES
    }
}

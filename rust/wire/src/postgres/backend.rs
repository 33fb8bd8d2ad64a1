// SPDX-License-Identifier: Apache-2.0
//! What the upstream may say in a session: each message is matched against the answer it owes.
//! What does not fit ends the session: the gate would no longer know whose answer it sees.

use super::evidence::{Running, Status};
use super::message::{Diagnostics, Message};
use super::queue::Expect;
use super::session::{Session, Skip};
use super::Setup;
use crate::cache::EpochKind;
use crate::proof::{Cleared, MaskPlan};
use crate::seam::{Cause, Command, Moment, Out};

fn violation(kind: u8, session: &Session) -> Cause {
    let expected = match session.queue.front() {
        None => "nothing",
        Some(Expect::Query { .. }) => "the answer to a Query",
        Some(Expect::Parse { .. }) => "the answer to a Parse",
        Some(Expect::Bind { .. }) => "the answer to a Bind",
        Some(Expect::Describe) => "the answer to a Describe",
        Some(Expect::Execute { .. }) => "the answer to an Execute",
        Some(Expect::Close { .. }) => "the answer to a Close",
        Some(Expect::Sync { .. }) => "the answer to a Sync",
        Some(Expect::Function { .. }) => "the answer to a FunctionCall",
        Some(Expect::Refused { .. } | Expect::RefusedQuery { .. }) => "an error for the constant",
        Some(Expect::Facts) => "the answer to the facts query",
    };
    let note = format!("message `{}` where {expected} was due", kind.escape_ascii());
    Cause::with("upstream violation", note)
}

impl Session {
    /// Passes result bytes on: counted, hashed, recorded, in the order they came.
    pub(super) fn data(&mut self, bytes: &[u8], rows: u64, at: Moment, out: &mut Out) {
        self.progress.add(bytes, rows);
        self.pass(bytes, at, out);
    }

    /// Whether a result may come now.
    pub(super) fn expect_data(&self, kind: u8) -> Result<(), Cause> {
        let fits = matches!(
            (kind, self.queue.front()),
            (b'D', Some(Expect::Query { .. } | Expect::Execute { .. } | Expect::Facts))
                | (b'd', Some(Expect::Query { .. } | Expect::Execute { .. }))
                | (b'V', Some(Expect::Function { .. }))
        );
        if fits {
            Ok(())
        } else {
            Err(violation(kind, self))
        }
    }

    /// Serves one message that is held whole.
    pub(super) fn upstream_message(
        &mut self,
        setup: &Setup,
        message: Message<'_>,
        at: Moment,
        out: &mut Out,
    ) -> Result<(), Cause> {
        match message.kind {
            // A notice about the gate's own question is the gate's; a notification or a changed
            // setting that comes with its answer is the client's, and comes only once.
            b'N' if matches!(self.queue.front(), Some(Expect::Facts)) => Ok(()),
            b'N' | b'S' | b'A' => {
                self.pass(message.whole, at, out);
                Ok(())
            }
            b'E' => self.upstream_error(message, at, out),
            b'Z' => self.upstream_ready(setup, message, at, out),
            b'D' | b'd' | b'V' => {
                self.expect_data(message.kind)?;
                if matches!(self.queue.front(), Some(Expect::Facts)) {
                    self.facts.take_row(message.body);
                    return Ok(());
                }
                self.data(message.whole, u64::from(message.kind == b'D'), at, out);
                Ok(())
            }
            kind => self.upstream_answer(kind, message, at, out),
        }
    }

    /// Answers other than data, error and ready.
    fn upstream_answer(
        &mut self,
        kind: u8,
        message: Message<'_>,
        at: Moment,
        out: &mut Out,
    ) -> Result<(), Cause> {
        if kind == b'C' {
            // A COPY that is complete has read past every Sync that was sent meanwhile.
            self.copy_in = false;
            self.groups.1 += self.queue.drop_syncs_in_copy();
        }
        match (kind, self.queue.front_mut()) {
            (b'2', Some(Expect::Facts)) => {
                self.facts.begin_answer();
                return Ok(());
            }
            (b'1' | b'3' | b'C', Some(Expect::Facts)) => return Ok(()),
            (b'T', Some(Expect::Query { .. }))
            | (b't', Some(Expect::Describe))
            | (b'c', Some(Expect::Query { .. } | Expect::Execute { .. })) => {}
            (b'I', Some(Expect::Query { running, tag, .. }))
                if running.first().is_none_or(Running::is_whole) =>
            {
                tag.get_or_insert_default();
            }
            (b'C', Some(Expect::Query { running, current, tag: last, .. })) => {
                let Some(done) = running.get(*current) else { return Err(violation(kind, self)) };
                if done.is_whole() {
                    // It is done when the message is.
                    *last = Some(tag(message.body).into());
                } else {
                    let done = done.clone();
                    *current += 1;
                    self.conclude(&done, Status::Done(tag(message.body)), at, out);
                }
            }
            (b'G' | b'H', Some(Expect::Query { .. } | Expect::Execute { .. })) => {
                if kind == b'G' {
                    self.copy_in = true;
                    self.queue.mark_syncs_in_copy();
                    self.spare_readies = 0;
                }
            }
            // Replication streams both ways; its commands are no SQL, so that such a message was
            // judged as a whole.
            (b'W', Some(Expect::Query { running, .. }))
                if running.first().is_some_and(Running::is_whole) =>
            {
                self.copy_in = true;
            }
            (b'1', Some(Expect::Parse { .. })) => {
                if let Some(Expect::Parse { running: Some(done), .. }) = self.queue.pop() {
                    self.conclude(&done, Status::Done(b""), at, out);
                }
                self.names.confirm();
            }
            (b'2', Some(Expect::Bind { .. })) | (b'T' | b'n', Some(Expect::Describe)) => {
                self.queue.pop();
            }
            (b'3', Some(Expect::Close { .. })) => {
                if let Some(Expect::Close { statement: true }) = self.queue.pop() {
                    self.names.confirm();
                }
            }
            (b'C' | b's' | b'I', Some(Expect::Execute { .. })) => {
                let status =
                    if kind == b's' { Status::Suspended } else { Status::Done(tag(message.body)) };
                if let Some(Expect::Execute { running: Some(done) }) = self.queue.pop() {
                    self.conclude(&done, status, at, out);
                }
            }
            _ => return Err(violation(kind, self)),
        }
        self.pass(message.whole, at, out);
        Ok(())
    }

    fn upstream_error(
        &mut self,
        message: Message<'_>,
        at: Moment,
        out: &mut Out,
    ) -> Result<(), Cause> {
        let error = Diagnostics::read(message.body);
        self.copy_in = false;
        // A COPY that failed may have read past the Syncs that were sent meanwhile, or not: those
        // that it left are answered now.
        let spare = self.queue.drop_syncs_in_copy();
        self.groups.1 += spare;
        self.spare_readies += spare;
        self.upstream.is_leaving = matches!(error.severity, b"FATAL" | b"PANIC");
        let in_group = match self.queue.front_mut() {
            None => false, // FATAL out of the blue: the server goes, the client is told
            Some(Expect::Facts | Expect::Refused { .. } | Expect::RefusedQuery { .. })
                if self.upstream.is_leaving =>
            {
                false
            }
            Some(Expect::Facts) => {
                self.facts.reading = None;
                return Ok(());
            }
            Some(Expect::RefusedQuery { error: ours }) => {
                let Some(ours) = ours.take() else { return Err(violation(b'E', self)) };
                self.show(&ours, at, out);
                return Ok(());
            }
            Some(Expect::Query { running, current, .. }) => {
                let failed = running.get(*current).cloned();
                *current += 1;
                if let Some(failed) = failed {
                    self.conclude(&failed, Status::Error(error), at, out);
                }
                false
            }
            Some(Expect::Function { running }) => {
                if let Some(failed) = running.take() {
                    self.conclude(&failed, Status::Error(error), at, out);
                }
                false
            }
            Some(_) => true,
        };
        if !in_group {
            self.pass(message.whole, at, out);
            return Ok(());
        }
        let (failed, unnamed) = match self.queue.pop() {
            Some(Expect::Refused { error: ours, unnamed }) => {
                self.show(&ours, at, out);
                self.skip_group(None, unnamed, at, out);
                return Ok(());
            }
            Some(Expect::Parse { running, unnamed }) => (running, unnamed),
            Some(Expect::Bind { running, portal }) => {
                self.names.unbind(&portal);
                (running, false)
            }
            Some(Expect::Execute { running }) => (running, false),
            _ => (None, false),
        };
        if let Some(failed) = &failed {
            self.conclude(failed, Status::Error(error), at, out);
        }
        self.pass(message.whole, at, out);
        self.skip_group(failed.map(|failed| failed.operation), unnamed, at, out);
        Ok(())
    }

    /// The server skips everything up to the next Sync.
    fn skip_group(&mut self, failed: Option<u64>, unnamed: bool, at: Moment, out: &mut Out) {
        let (skipped, has_sync) = self.queue.take_skipped();
        let ended = skipped.iter().filter(|expect| expect.ends_ready()).count();
        self.groups.1 += u64::try_from(ended).unwrap_or(0);
        let mut told = failed;
        for expect in skipped {
            let (portal, all) = match expect {
                Expect::Bind { running, portal } => (Some(portal), running.into_iter().collect()),
                Expect::Query { running, .. } => (None, running),
                Expect::Parse { running, .. }
                | Expect::Execute { running }
                | Expect::Function { running } => (None, running.into_iter().collect::<Vec<_>>()),
                Expect::Facts => {
                    self.facts.reading = None;
                    continue;
                }
                _ => continue,
            };
            if let Some(portal) = portal {
                self.names.unbind(&portal);
            }
            for running in all {
                // A Bind and the Execute of its portal are one operation: told once.
                if told != Some(running.operation) {
                    told = Some(running.operation);
                    self.conclude_aside(&running, Status::Skipped, at, out);
                }
            }
        }
        self.names.fail(self.groups.1, unnamed);
        if !has_sync {
            self.skip = Skip::Server;
            // What waits for the desk is among what the server skips.
            self.forget_question(out);
        }
    }

    fn upstream_ready(
        &mut self,
        setup: &Setup,
        message: Message<'_>,
        at: Moment,
        out: &mut Out,
    ) -> Result<(), Cause> {
        let status = match message.body {
            [status @ (b'I' | b'T' | b'E')] => *status,
            _ => return Err(violation(b'Z', self)),
        };
        if !self.queue.front().is_some_and(Expect::ends_ready) {
            if self.spare_readies == 0 {
                return Err(violation(b'Z', self));
            }
            self.spare_readies -= 1;
            self.transaction = status;
            self.pass(message.whole, at, out);
            return Ok(());
        }
        let answered = self.queue.pop();
        let group = self.groups.1;
        self.groups.1 += 1;
        self.transaction = status;
        self.copy_in = false;
        match answered {
            Some(Expect::Facts) => {
                self.finish_facts();
                return Ok(());
            }
            Some(Expect::RefusedQuery { error: Some(_) }) => return Err(violation(b'Z', self)),
            Some(Expect::Query { running, current, drops_unnamed, tag }) => {
                for left in running.get(current..).unwrap_or_default() {
                    match &tag {
                        Some(tag) if left.is_whole() => {
                            self.conclude(left, Status::Done(tag), at, out);
                        }
                        _ => self.conclude_aside(left, Status::NotExecuted, at, out),
                    }
                }
                if drops_unnamed {
                    self.names.confirm();
                }
            }
            Some(Expect::Function { running: Some(done) }) => {
                self.conclude(&done, Status::Done(b""), at, out);
            }
            _ => {}
        }
        if status == b'I' {
            for portal in self.names.unbind_through(group) {
                self.never_executed(&portal, at, out);
            }
            if std::mem::take(&mut self.catalogue_dirty) {
                setup.epochs.raise(EpochKind::Catalogue);
                let session = self.evidence.session().to_owned();
                out.commands.push(Command::CatalogueChanged(session));
            }
        }
        self.pass(message.whole, at, out);
        Ok(())
    }

    /// Everything outstanding at the end: nobody will say what came of it.
    pub(super) fn conclude_outstanding(&mut self, at: Moment, out: &mut Out) {
        let outstanding: Vec<Expect> = self.queue.drain().collect();
        let mut told = None;
        for expect in outstanding {
            let all: Vec<Running> = match expect {
                Expect::Query { running, current, .. } => {
                    running.into_iter().skip(current).collect()
                }
                Expect::Parse { running, .. }
                | Expect::Bind { running, .. }
                | Expect::Execute { running }
                | Expect::Function { running } => running.into_iter().collect(),
                _ => continue,
            };
            for running in all {
                if told.replace(running.operation) != Some(running.operation) {
                    self.conclude_aside(&running, Status::Unknown, at, out);
                }
            }
        }
        for portal in self.names.unbind_through(u64::MAX) {
            if told != portal.operation {
                self.never_executed(&portal, at, out);
            }
        }
    }

    /// Shows upstream bytes to the client. The plan is the empty one until masking lands; a
    /// verdict that asks for more never becomes a verdict.
    fn pass(&mut self, bytes: &[u8], at: Moment, out: &mut Out) {
        out.send_client(Cleared::by(MaskPlan::empty(), bytes));
        self.record(b'<', bytes, at, out);
    }
}

fn tag(body: &[u8]) -> &[u8] {
    body.strip_suffix(b"\0").unwrap_or(body)
}

// SPDX-License-Identifier: Apache-2.0
//! What the upstream may say in a session: each message is matched against the answer it owes.
//! What does not fit ends the session: the gate would no longer know whose answer it sees.

use super::evidence::{Running, Status};
use super::message::{self, Diagnostics, Framed, Message, HELD_BYTES};
use super::queue::Expect;
use super::session::{Session, Skip};
use super::Setup;
use crate::cache::EpochKind;
use crate::proof::{Cleared, MaskPlan};
use crate::seam::{Cause, Command, Moment, Out};

/// Upstream bytes between messages: an incomplete one, or the rest of a long row.
#[derive(Debug, Default)]
pub struct Inflow {
    /// The beginning of a message that must be held whole, or of any header.
    partial: Vec<u8>,
    /// Bytes still to come of a row or COPY message that is passed on as it arrives.
    streaming: usize,
}

impl Inflow {
    /// Login bytes kept from before, with the new ones behind.
    pub fn take_login(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut data = std::mem::take(&mut self.partial);
        data.extend_from_slice(bytes);
        data
    }

    /// Keeps what is not a whole message yet.
    pub fn keep_login(&mut self, data: Vec<u8>) {
        self.partial = data;
    }

    /// Whether a message stands half-sent at the client: no word of ours can be put in then.
    pub fn is_mid_message(&self) -> bool {
        self.streaming > 0
    }
}

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
    /// Takes upstream bytes of any split; returns how many were used. `stepwise` stops behind the
    /// first message that was held whole.
    pub(super) fn upstream_bytes(
        &mut self,
        setup: &Setup,
        inflow: &mut Inflow,
        bytes: &[u8],
        stepwise: bool,
        at: Moment,
        out: &mut Out,
    ) -> Result<usize, Cause> {
        let mut rest = bytes;
        loop {
            if inflow.streaming > 0 {
                let piece = rest.len().min(inflow.streaming);
                let (now, later) = rest.split_at(piece);
                self.data(now, 0, at, out);
                inflow.streaming -= piece;
                rest = later;
            }
            if rest.is_empty() && inflow.partial.is_empty() {
                return Ok(bytes.len());
            }
            if inflow.partial.is_empty() {
                let used = self.whole_messages(setup, inflow, rest, stepwise, at, out)?;
                rest = rest.get(used..).unwrap_or_default();
                if stepwise && used > 0 {
                    return Ok(bytes.len() - rest.len());
                }
                if inflow.streaming == 0 {
                    inflow.partial.extend_from_slice(rest);
                    return Ok(bytes.len());
                }
            } else {
                let completed = self.complete_partial(setup, inflow, &mut rest, at, out)?;
                if stepwise || !completed {
                    return Ok(bytes.len() - rest.len());
                }
            }
        }
    }

    /// Serves the messages that lie whole in `bytes` (`stepwise`: the first that is not a row), or
    /// begins to stream the last; returns how many bytes were used.
    fn whole_messages(
        &mut self,
        setup: &Setup,
        inflow: &mut Inflow,
        bytes: &[u8],
        stepwise: bool,
        at: Moment,
        out: &mut Out,
    ) -> Result<usize, Cause> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let (run, rows) = if self.streams(b'D') { run_of_rows(rest) } else { (0, 0) };
            if rows > 0 {
                self.expect_data(b'D')?;
                self.data(rest.get(..run).unwrap_or_default(), rows, at, out);
                used += run;
                continue;
            }
            match message::header(rest) {
                None => return Ok(used),
                Some(Err(length)) => return Err(bad_length(length)),
                Some(Ok((kind, body))) if self.streams(kind) && rest.len() < 5 + body => {
                    self.expect_data(kind)?;
                    self.data(rest, u64::from(kind == b'D'), at, out);
                    inflow.streaming = 5 + body - rest.len();
                    return Ok(bytes.len());
                }
                Some(Ok((kind, body))) => {
                    if !self.streams(kind) && body > HELD_BYTES {
                        return Err(bad_length(u32::try_from(body).unwrap_or(u32::MAX)));
                    }
                    let (Some(whole), Some(body)) = (rest.get(..5 + body), rest.get(5..5 + body))
                    else {
                        return Ok(used);
                    };
                    used += whole.len();
                    self.upstream_message(setup, Message { kind, whole, body }, at, out)?;
                    if stepwise {
                        return Ok(used);
                    }
                }
            }
        }
    }

    /// Adds to the partial message just what completes it (or its header). True if it was used
    /// up and the rest can be looked at.
    fn complete_partial(
        &mut self,
        setup: &Setup,
        inflow: &mut Inflow,
        rest: &mut &[u8],
        at: Moment,
        out: &mut Out,
    ) -> Result<bool, Cause> {
        let want = match message::header(&inflow.partial) {
            None => 5,
            Some(Err(length)) => return Err(bad_length(length)),
            Some(Ok((kind, _))) if self.streams(kind) => inflow.partial.len(),
            Some(Ok((_, body))) if body > HELD_BYTES => {
                return Err(bad_length(u32::try_from(body).unwrap_or(u32::MAX)))
            }
            Some(Ok((_, body))) => 5 + body,
        };
        let missing = want.saturating_sub(inflow.partial.len()).min(rest.len());
        let (now, later) = rest.split_at(missing);
        inflow.partial.extend_from_slice(now);
        *rest = later;
        if inflow.partial.len() < want || (want == 5 && message::header(&inflow.partial).is_none())
        {
            return Ok(false);
        }
        let mut held = std::mem::take(&mut inflow.partial);
        // One message at the most: nothing was added behind it.
        let used = self.whole_messages(setup, inflow, &held, false, at, out)?;
        if inflow.streaming == 0 && used < held.len() {
            held.drain(..used);
            inflow.partial = held;
            // Only the header is there; go on unless the peer has sent nothing more.
            return Ok(!rest.is_empty());
        }
        Ok(true)
    }

    /// Passes result bytes on: counted, hashed, recorded, in the order they came.
    fn data(&mut self, bytes: &[u8], rows: u64, at: Moment, out: &mut Out) {
        self.progress.add(bytes, rows);
        self.pass(bytes, at, out);
    }

    /// Rows, COPY data and function results are passed on in pieces, never held whole; but for
    /// the gate's own question, whose row is read.
    fn streams(&self, kind: u8) -> bool {
        matches!(kind, b'D' | b'd' | b'V') && !matches!(self.queue.front(), Some(Expect::Facts))
    }

    /// Whether a result may come now.
    fn expect_data(&self, kind: u8) -> Result<(), Cause> {
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
    fn upstream_message(
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

/// The longest run of whole `DataRow` messages at the front: its bytes and their number.
fn run_of_rows(bytes: &[u8]) -> (usize, u64) {
    let (mut used, mut rows) = (0, 0);
    while let Framed::Message(Message { kind: b'D', whole, .. }) =
        message::frame(bytes.get(used..).unwrap_or_default(), usize::MAX / 2)
    {
        used += whole.len();
        rows += 1;
    }
    (used, rows)
}

fn tag(body: &[u8]) -> &[u8] {
    body.strip_suffix(b"\0").unwrap_or(body)
}

fn bad_length(length: u32) -> Cause {
    Cause::with("upstream violation", format!("message of {length} bytes"))
}

// SPDX-License-Identifier: Apache-2.0
//! How bytes are served: those of the client piece by piece, as far as nothing waits; those of the
//! upstream message by message, as far as one of the client's waits for them.

use super::frontend::{self, Desk};
use super::message::{self, Framed};
use super::session::Step;
use super::{Phase, Postgres};
use crate::seam::{Cause, Command, Moment, Out, TlsFault};

impl Postgres {
    /// Serves client bytes: what was held back, then `fresh`.
    pub(super) fn pump_client(&mut self, fresh: &[u8], at: Moment, out: &mut Out) {
        if self.has_terminated {
            return;
        }
        let mut held = std::mem::take(&mut self.input);
        if !held.is_empty() {
            held.extend_from_slice(fresh);
        }
        let data: &[u8] = if held.is_empty() { fresh } else { &held };
        let mut used = 0;
        self.blocked = false;
        while !self.blocked {
            let rest = data.get(used..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let Some(taken) = self.serve_front(rest, at, out) else { break };
            used += taken;
        }
        if matches!(self.phase, Phase::Over) {
            return;
        }
        if held.is_empty() {
            self.input.extend_from_slice(data.get(used..).unwrap_or_default());
        } else {
            held.drain(..used);
            self.input = held;
        }
        if !fresh.is_empty() {
            self.look_behind(at, out);
        }
    }

    /// Serves what stands at the front; the bytes it used, or `None` if more is needed.
    fn serve_front(&mut self, rest: &[u8], at: Moment, out: &mut Out) -> Option<usize> {
        match &mut self.phase {
            Phase::Start { .. } => self.serve_packet(rest, at, out),
            Phase::Password { .. } => self.serve_password(rest, at, out),
            Phase::Bearer { .. } => self.serve_bearer(rest, at, out),
            Phase::BearerRefused { .. } => self.serve_bearer_end(rest, at, out),
            Phase::Session(_) => self.serve_message(rest, at, out),
            Phase::ClientHandshake { .. } => {
                // Plaintext behind the SSLRequest: somebody in the path put it there.
                let note = "bytes behind the TLS request, before the handshake";
                out.commands.clear();
                out.commands.push(Command::NotSecured(TlsFault::Plaintext));
                self.finish(&Cause::with("protocol violation", note), at, out);
                None
            }
            Phase::Admitting { .. } | Phase::Cancelling { .. } | Phase::Login(_) => {
                self.blocked = true;
                None
            }
            Phase::Over => None,
        }
    }

    fn serve_message(&mut self, rest: &[u8], at: Moment, out: &mut Out) -> Option<usize> {
        let Phase::Session(session) = &mut self.phase else { return None };
        if session.is_waiting() {
            self.blocked = true;
            return None;
        }
        let bound = usize::try_from(session.limits.message_bytes).unwrap_or(usize::MAX);
        let message = match message::frame(rest, bound) {
            Framed::NeedMore => return None,
            Framed::Message(message) => message,
            Framed::Malformed(length) => {
                let note = format!("message of {length} bytes, at most {bound}");
                self.end_with_words("limit.message", "protocol violation", &note, at, out);
                return None;
            }
        };
        loop {
            let mut desk = Desk { setup: &self.setup, ticket: &mut self.ticket, at };
            match session.client_message(message, &mut desk, out) {
                Step::Done => {
                    session.forget_question(out); // what came for it serves no other
                    return Some(message.whole.len());
                }
                Step::Again => {}
                Step::Wait => {
                    self.blocked = true;
                    return None;
                }
                Step::End(cause) if cause.word == "client closed" => {
                    self.has_terminated = true;
                    self.client_closed(at, out);
                    return None;
                }
                Step::End(cause) => {
                    let code = if cause.note.starts_with(frontend::UNLISTED) {
                        "protocol.unlisted"
                    } else {
                        "protocol.malformed"
                    };
                    self.end_with_words(code, cause.word, &cause.note, at, out);
                    return None;
                }
            }
        }
    }

    /// Serves upstream bytes. A client message that waits for an answer is looked at behind each
    /// message, not behind all of them: what is forwarded must not depend on how they were split.
    pub(super) fn upstream_bytes(&mut self, mut bytes: &[u8], at: Moment, out: &mut Out) {
        while !bytes.is_empty() {
            // So is the end that waits for the last answer.
            let stepwise = self.blocked || self.closing_us.is_some();
            match &mut self.phase {
                Phase::Session(session) => {
                    let inflow = &mut self.inflow;
                    let used =
                        session.upstream_bytes(&self.setup, inflow, bytes, stepwise, at, out);
                    let drained = session.queue.is_empty();
                    match used {
                        Ok(used) => bytes = bytes.get(used..).unwrap_or_default(),
                        Err(cause) => {
                            self.end_with_words("upstream.lost", cause.word, &cause.note, at, out);
                        }
                    }
                    if drained && self.closing_us.is_some() {
                        self.finish(&Cause::of("client closed"), at, out);
                    }
                }
                Phase::Login(_) => {
                    self.login_bytes(bytes, at, out);
                    bytes = &[];
                }
                _ => return,
            }
            self.tell_held(at, out);
            self.pump_client(&[], at, out);
        }
    }
}

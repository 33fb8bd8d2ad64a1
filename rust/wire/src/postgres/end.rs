// SPDX-License-Identifier: Apache-2.0
//! How a conversation ends: the last words, what is still awaited, and what stops at the upstream.

use super::login::Want;
use super::refusal::fatal;
use super::session::Session;
use super::{message, parts};
use super::{Phase, Postgres};
use crate::proof::{Authorized, Cleared, Housekeeping};
use crate::seam::{Cause, Command, Ended, Errand, Moment, Out};

/// How long answers outstanding are waited for once the client has closed, microseconds.
const CLOSING_US: u64 = 5_000_000;

impl Postgres {
    /// Tells the client why, if it stands between messages, and ends.
    pub(super) fn end_with_words(
        &mut self,
        code: &'static str,
        word: &'static str,
        note: &str,
        at: Moment,
        out: &mut Out,
    ) {
        self.last_words(code, note, at, out);
        self.finish(&Cause::with(word, note), at, out);
    }

    pub(super) fn last_words(
        &mut self,
        code: &'static str,
        words: &str,
        at: Moment,
        out: &mut Out,
    ) {
        if self.inflow.is_mid_message() {
            return;
        }
        let error = fatal(code, words);
        match &mut self.phase {
            Phase::Session(session) => session.show(&error, at, out),
            Phase::Over | Phase::ClientHandshake { .. } | Phase::Cancelling { .. } => {}
            _ => out.send_client(Cleared::own_words(&error)),
        }
    }

    pub(super) fn upstream_gone(&mut self, words: &str, at: Moment, out: &mut Out) {
        match &self.phase {
            Phase::Login(_) => self.log_in(Want::Failed(words.to_owned(), None), at, out),
            Phase::Session(session) => {
                let note = "the target closed the connection";
                if session.upstream.is_leaving {
                    // The server's own last words stand; ours behind them would be news to no one.
                    self.finish(&Cause::with("upstream lost", note), at, out);
                } else {
                    self.end_with_words("upstream.lost", "upstream lost", note, at, out);
                }
            }
            _ => {}
        }
    }

    pub(super) fn client_closed(&mut self, at: Moment, out: &mut Out) {
        match &mut self.phase {
            // Half-close: what was asked before is still answered, for a bounded time.
            Phase::Session(session)
                if self.closing_us.is_none()
                    && !session.is_waiting()
                    && !session.queue.is_empty()
                    && !session.copy_in =>
            {
                self.closing_us = Some(at.mono_us);
            }
            Phase::Over => {}
            _ => self.finish(&Cause::of("client closed"), at, out),
        }
    }

    pub(super) fn tick(&mut self, at: Moment, out: &mut Out) {
        let since = |start: u64| at.mono_us.saturating_sub(start);
        match &self.phase {
            Phase::Over => {}
            Phase::Session(session) => {
                // While COPY reads data it is the client who is waited for.
                let runs = !session.queue.is_empty() && !session.copy_in;
                let idle = !runs && !session.is_waiting();
                if session.ends_at_us > 0 && at.unix_us >= session.ends_at_us {
                    self.end_with_words(
                        "gate.ended",
                        "expired",
                        "the session's time is over",
                        at,
                        out,
                    );
                } else if self.closing_us.is_some_and(|start| since(start) >= CLOSING_US) {
                    self.finish(&Cause::of("client closed"), at, out);
                } else if idle && since(self.last_us) >= session.limits.idle_us {
                    self.end_with_words(
                        "gate.ended",
                        "idle",
                        "the session was idle too long",
                        at,
                        out,
                    );
                }
            }
            _ => {
                let limit = crate::seam::Limits::default().login_us;
                if self.started_us.is_some_and(|start| since(start) >= limit) {
                    self.end_with_words(
                        "gate.ended",
                        "login too slow",
                        "the login took too long",
                        at,
                        out,
                    );
                }
            }
        }
    }

    /// The end of everything: outcomes of what is outstanding, `session.end`, and the command.
    pub(super) fn finish(&mut self, cause: &Cause, at: Moment, out: &mut Out) {
        let mut ended = Ended { cause: cause.word.to_owned(), ..Ended::default() };
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Over => return,
            Phase::Session(mut session) => {
                session.forget_question(out);
                if session.queue.is_empty() {
                    let goodbye = [b'X', 0, 0, 0, 4];
                    session.stage.push(Authorized::housekeeping(Housekeeping::Order), &goodbye);
                } else {
                    out.commands.push(Command::Errand(Box::new(cancel_errand(&session))));
                }
                session.conclude_outstanding(at, out);
                ended = session.evidence.end(cause, at, out);
                self.leaving = std::mem::take(&mut session.stage);
            }
            Phase::Login(login) => {
                let (login, mut evidence, _) = *login;
                if !evidence.has_started() {
                    // It was admitted, so the book knows of it: what ends has begun.
                    let facts = parts::upstream_object(&login.admission, login.tls.as_ref(), 0, "");
                    evidence.start(&login.admission.startup, &facts, at, out);
                }
                ended = evidence.end(cause, at, out);
            }
            Phase::Admitting { ticket, .. } | Phase::Cancelling { ticket, .. } => {
                out.commands.push(Command::Forget(ticket));
            }
            _ => {}
        }
        out.commands.push(Command::End(cause.clone(), Box::new(ended)));
        self.input = Vec::new();
    }
}

/// Asks the server to stop what runs: an ended session must not leave it running.
pub(super) fn cancel_errand(session: &Session) -> Errand {
    let mut bytes = Vec::with_capacity(16);
    message::put_packet(&mut bytes, |out| {
        out.extend_from_slice(&message::CANCEL_REQUEST.to_be_bytes());
        out.extend_from_slice(&session.upstream.key);
    });
    let tls = session.upstream.tls.clone();
    let mut preface = (Vec::new(), Vec::new());
    if tls.is_some() {
        message::put_packet(&mut preface.0, |out| {
            out.extend_from_slice(&message::SSL_REQUEST.to_be_bytes());
        });
        preface.1.push(b'S');
    }
    Errand { dial: session.upstream.dial.clone(), preface, tls, bytes }
}

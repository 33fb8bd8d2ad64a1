// SPDX-License-Identifier: Apache-2.0
//! The PostgreSQL conversation: from `SSLRequest` to `Terminate`, sans I/O.
//!
//! Read in the order of the conversation: [`pump`] (how bytes are served), [`greet`] (who is there),
//! [`oauth`] (with a token), [`enter`] and [`login`] (the gate's own login), [`frontend`] (what the
//! client says), [`ruling`] (how it is ruled on), [`hold`] (how it waits for a person), [`refusal`] (how a no is answered), [`inflow`] and
//! [`backend`] (what the upstream answers), [`evidence`] (what is written of it), [`end`] (how it
//! ends).

mod backend;
mod end;
mod enter;
mod evidence;
mod facts;
mod form;
mod frontend;
mod greet;
mod hold;
mod inflow;
mod login;
mod message;
mod names;
mod oauth;
mod parts;
mod pump;
mod question;
mod queue;
mod refusal;
mod ruling;
mod scram;
mod session;

use std::sync::Arc;

use evidence::Evidence;
use inflow::Inflow;
use login::Login;
use session::Session;

use crate::cache::{Cache, Epochs};
use crate::proof::{Stage, Token};
use crate::quota::Quotas;
use crate::seam::{Answer, Cause, Command, Conversation, Event, Moment, Out, TlsFacts};

/// What all conversations of a process share.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Ask for passwords outside TLS too. For loopback only; the name says what it is.
    pub insecure_plaintext: bool,
    /// Take a bearer token by SASL in place of a password; the JSON object of a refusal, which says
    /// where a token can be had.
    pub bearer: Option<Arc<[u8]>>,
    /// Decisions kept.
    pub cache: Arc<Cache>,
    /// What voids them.
    pub epochs: Arc<Epochs>,
    /// Writer id of the journal.
    pub writer: Arc<str>,
    /// How much evidence each principal may still make.
    pub quotas: Arc<Quotas>,
}

enum Phase {
    /// Packets without a type byte.
    Start { tls: Option<TlsFacts> },
    /// The client's handshake runs; `direct` if no `SSLRequest` came before it.
    ClientHandshake { direct: bool },
    /// A cancel request waits for its entry.
    Cancelling { ticket: u64, key: Vec<u8> },
    /// The password is due.
    Password { tls: Option<TlsFacts>, parameters: Vec<(String, String)> },
    /// The SASL response with a token is due; `started` once an empty challenge was sent.
    Bearer { tls: Option<TlsFacts>, parameters: Vec<(String, String)>, started: bool },
    /// The token is refused: the client's answer to the challenge is due, then the error is told.
    BearerRefused { error: Vec<u8>, cause: Cause },
    /// The desk considers; `sasl` if it does so behind a SASL response, in whose way a refusal goes.
    Admitting { ticket: u64, sasl: bool },
    /// The gate logs in at the upstream.
    Login(Box<(Login, Evidence, Stage)>),
    /// The session.
    Session(Box<Session>),
    /// The end.
    Over,
}

/// One client connection that speaks PostgreSQL.
pub struct Postgres {
    setup: Setup,
    phase: Phase,
    input: Vec<u8>,
    inflow: Inflow,
    /// The message at the front of `input` waits for the desk or the upstream.
    blocked: bool,
    /// A batch was handed out and is not written yet.
    unwritten: bool,
    ticket: u64,
    /// Bytes of the cancel key's secret in the version that the client speaks.
    secret_bytes: usize,
    /// The client said goodbye: nothing behind that is read, while its answers are still awaited.
    has_terminated: bool,
    started_us: Option<u64>,
    last_us: u64,
    /// Since when the client is gone and answers are still awaited.
    closing_us: Option<u64>,
    /// What was staged when the session ended: a goodbye.
    leaving: Stage,
    /// Bytes of `input` that were looked through for a goodbye behind what is held.
    looked: usize,
}

impl Postgres {
    /// A conversation at its first byte.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            phase: Phase::Start { tls: None },
            input: Vec::new(),
            inflow: Inflow::default(),
            blocked: false,
            unwritten: false,
            ticket: 0,
            secret_bytes: login::secret_bytes(0),
            has_terminated: false,
            started_us: None,
            last_us: 0,
            closing_us: None,
            leaving: Stage::default(),
            looked: 0,
        }
    }

    /// Hands staged bytes over: at once if the turn wrote no entries, else with the token.
    fn release(&mut self, token: Option<&Token>, out: &mut Out) {
        let stage = match &mut self.phase {
            Phase::Session(session) => &mut session.stage,
            Phase::Login(login) => &mut login.2,
            _ => &mut self.leaving,
        };
        if stage.is_empty() {
            return;
        }
        match token {
            Some(token) => {
                let bytes = stage.release(token);
                out.send_upstream(bytes);
            }
            None => {
                if let Some(bytes) = stage.release_without_entries(out.batch()) {
                    out.send_upstream(bytes);
                }
            }
        }
    }
}

impl Conversation for Postgres {
    fn on(&mut self, event: Event<'_>, at: Moment, out: &mut Out) {
        let started = *self.started_us.get_or_insert(at.mono_us);
        debug_assert!(at.mono_us >= started, "the driver's clock is monotonic");
        match event {
            Event::Written(token) => {
                self.unwritten = false;
                self.release(Some(&token), out);
                return;
            }
            Event::ClientBytes(bytes) => {
                self.last_us = at.mono_us;
                self.pump_client(bytes, at, out);
            }
            Event::ClientTls(facts) => self.secured(facts, at, out),
            Event::ClientClosed => self.client_closed(at, out),
            Event::UpstreamOpen => {
                if let Phase::Login(login) = &mut self.phase {
                    let want = login.0.opened();
                    self.log_in(want, at, out);
                }
            }
            Event::UpstreamTls(facts) => {
                if let Phase::Login(login) = &mut self.phase {
                    let want = login.0.secured(facts);
                    self.log_in(want, at, out);
                }
            }
            Event::UpstreamFailed(words) => self.upstream_gone(&words, at, out),
            Event::UpstreamBytes(bytes) => {
                self.last_us = at.mono_us;
                self.upstream_bytes(bytes, at, out);
            }
            Event::UpstreamClosed => {
                self.upstream_gone("the target closed the connection during the login", at, out);
            }
            Event::Answered(ticket, answer) => self.answered(ticket, answer, at, out),
            Event::Tick => self.tick(at, out),
            Event::End(cause) => {
                let code = match cause.word {
                    "evidence failed" => "evidence.failed",
                    _ => "gate.ended",
                };
                let words = format!("the session was ended: {}", cause.word);
                self.last_words(code, &words, at, out);
                self.finish(&cause, at, out);
            }
            Event::Signal => self.signalled(at, out),
        }
        if out.batch().is_empty() {
            if !self.unwritten {
                self.release(None, out);
            }
        } else {
            self.unwritten = true;
        }
    }

    fn wants_client(&self) -> bool {
        let reads = !matches!(self.phase, Phase::Over | Phase::ClientHandshake { .. });
        let serves = !self.blocked || self.reads_behind();
        reads && !self.unwritten && serves && self.closing_us.is_none()
    }

    fn wants_upstream(&self) -> bool {
        matches!(self.phase, Phase::Session(_) | Phase::Login(_)) && !self.unwritten
    }

    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn is_idle(&self) -> bool {
        match &self.phase {
            Phase::Session(session) => {
                session.queue.is_empty()
                    && !session.is_waiting()
                    && !session.group_open
                    && session.transaction == b'I'
            }
            _ => true,
        }
    }
}

impl Postgres {
    fn answered(&mut self, ticket: u64, answer: Answer, at: Moment, out: &mut Out) {
        match (&mut self.phase, answer) {
            (Phase::Cancelling { ticket: open, key }, answer) if *open == ticket => {
                if matches!(answer, Answer::Noted) {
                    out.commands.push(Command::Signal(std::mem::take(key)));
                }
                self.phase = Phase::Start { tls: None }; // the ticket is spent
                self.finish(&Cause::of("cancel request"), at, out);
            }
            (Phase::Admitting { ticket: open, sasl }, answer) if *open == ticket => match answer {
                Answer::Admitted(admission) => self.admitted(*admission, at, out),
                Answer::Refused(refusal) if *sasl && refusal.code == "authn.failed" => {
                    self.bearer_refused(&refusal, at, out);
                }
                Answer::Refused(refusal) => self.not_admitted(&refusal, at, out),
                Answer::Silence
                | Answer::Verdict(_)
                | Answer::Held(_)
                | Answer::Resume
                | Answer::Noted => {
                    let words = "the gate could not check the credential in time";
                    self.end_with_words("desk.silent", "desk silent", words, at, out);
                }
            },
            (Phase::Session(_), Answer::Held(held)) => self.held(ticket, held, at, out),
            (Phase::Session(_), Answer::Resume) => self.resumed(ticket, at, out),
            (Phase::Session(session), answer) => {
                let verdict = match answer {
                    Answer::Verdict(verdict) => Some(verdict),
                    _ => None,
                };
                if session.answer(ticket, verdict) {
                    self.last_us = at.mono_us; // a person may have taken longer than a client may
                    self.pump_client(&[], at, out);
                }
            }
            _ => {}
        }
    }
}

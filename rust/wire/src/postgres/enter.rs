// SPDX-License-Identifier: Apache-2.0
//! From the desk's consent to `ReadyForQuery`: the dial, the gate's own login, the session's start.

use std::sync::Arc;

use super::evidence::Evidence;
use super::login::{self, Login, Want};
use super::message::{self, Framed, Reader};
use super::parts;
use super::refusal::fatal;
use super::session::Session;
use super::{Phase, Postgres};
use crate::proof::{Authorized, Cleared, Housekeeping, Stage};
use crate::seam::{Admission, Cause, Command, Moment, Out, Refusal};

impl Postgres {
    pub(super) fn admitted(&mut self, admission: Admission, at: Moment, out: &mut Out) {
        let quota = self.setup.quotas.of(&admission.principal, at);
        let writer = Arc::clone(&self.setup.writer);
        let Some(evidence) = Evidence::new(&admission, writer, quota) else {
            let words = "the session's keys cannot be derived";
            self.end_with_words("evidence.failed", "evidence failed", words, at, out);
            return;
        };
        out.commands.push(Command::OpenRecording {
            session: admission.session.clone(),
            key: Box::new(admission.recording_key),
            head: admission.recording_head.clone(),
        });
        out.commands.push(Command::Dial(admission.dial.clone()));
        self.phase = Phase::Login(Box::new((Login::new(admission), evidence, Stage::default())));
    }

    pub(super) fn not_admitted(&mut self, refusal: &Refusal, at: Moment, out: &mut Out) {
        let detail = refusal.detail.replace("{operation}", "");
        out.send_client(Cleared::own_words(&message::error("FATAL", refusal, &detail)));
        self.phase = Phase::Start { tls: None }; // the ticket is spent
        self.finish(&Cause::with("not admitted", refusal.code.clone()), at, out);
    }

    /// Carries out what the upstream login wants.
    pub(super) fn log_in(&mut self, want: Want, at: Moment, out: &mut Out) {
        let Phase::Login(login) = &mut self.phase else { return };
        let (login, evidence, stage) = &mut **login;
        match want {
            Want::Nothing => {}
            Want::Send(bytes) => {
                stage.push(Authorized::housekeeping(Housekeeping::Login), &bytes);
            }
            Want::StartTls => {
                if let Some(demand) = login.admission.tls.clone() {
                    out.commands.push(Command::StartUpstreamTls(demand));
                }
            }
            Want::Failed(words, theirs) => {
                let facts = parts::upstream_object(&login.admission, login.tls.as_ref(), 0, "");
                evidence.start(&login.admission.startup, &facts, at, out);
                let error = theirs.unwrap_or_else(|| {
                    fatal("upstream.failed", "the target cannot be reached or refused the gate")
                });
                out.send_client(Cleared::own_words(&error));
                self.finish(&Cause::with("upstream failed", words), at, out);
            }
            Want::Ready(key) => self.ready(key, at, out),
        }
    }

    /// The upstream is ready: the session begins.
    pub(super) fn ready(&mut self, key: [u8; 8], at: Moment, out: &mut Out) {
        let Phase::Login(login) = std::mem::replace(&mut self.phase, Phase::Over) else { return };
        let (login, mut evidence, _stage) = *login;
        let (process, _) = key.split_at(4);
        let number = Reader(process).long().unwrap_or(0);
        let facts = parts::upstream_object(
            &login.admission,
            login.tls.as_ref(),
            number,
            &login.server_version,
        );
        evidence.start(&login.admission.startup, &facts, at, out);
        let secret = &login.admission.cancel_secret;
        let mut shown = process.to_vec();
        shown.extend_from_slice(secret.get(..self.secret_bytes).unwrap_or_default());
        out.commands.push(Command::Register(shown.clone()));

        let mut words = login::AUTHENTICATED.to_vec();
        words.extend_from_slice(&login.greeting);
        message::put(&mut words, b'K', |out| out.extend_from_slice(&shown));
        words.extend_from_slice(&message::ready(b'I'));
        let mut session = Box::new(Session::new(login.admission, evidence, key));
        session.show(&words, at, out);
        self.phase = Phase::Session(session);
    }

    /// Upstream bytes before the session: one message at a time, all held in `input`'s twin.
    pub(super) fn login_bytes(&mut self, bytes: &[u8], at: Moment, out: &mut Out) {
        let mut data = self.inflow.take_login(bytes);
        while let Phase::Login(login) = &mut self.phase {
            if login.0.awaits_tls_answer() {
                let want = login.0.tls_answer(&data);
                data.clear();
                self.log_in(want, at, out);
                break;
            }
            let used = match message::frame(&data, message::HELD_BYTES) {
                Framed::NeedMore => break,
                Framed::Malformed(length) => {
                    let words = format!("the target sent a message of {length} bytes");
                    self.log_in(Want::Failed(words, None), at, out);
                    return;
                }
                Framed::Message(message) => {
                    let want = login.0.message(message);
                    let used = message.whole.len();
                    self.log_in(want, at, out);
                    used
                }
            };
            data.drain(..used);
        }
        if matches!(self.phase, Phase::Session(_)) {
            if !data.is_empty() {
                self.upstream_bytes(&data, at, out);
            }
        } else {
            self.inflow.keep_login(data);
        }
    }
}

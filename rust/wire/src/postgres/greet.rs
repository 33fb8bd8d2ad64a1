// SPDX-License-Identifier: Apache-2.0
//! The client before it is known: packets without a type byte, then one password.

use super::login::{self, Packet};
use super::message::{self, Framed, Reader};
use super::oauth;
use super::refusal::fatal;
use super::{Phase, Postgres};
use crate::proof::Cleared;
use crate::seam::{Ask, Cause, Command, Hello, Moment, Out, TlsFacts};

impl Postgres {
    pub(super) fn serve_packet(&mut self, rest: &[u8], at: Moment, out: &mut Out) -> Option<usize> {
        let Phase::Start { tls } = &mut self.phase else { return None };
        let (packet, length) = login::packet(rest);
        match packet {
            Packet::NeedMore => return None,
            Packet::Ssl if tls.is_none() => {
                out.send_client(Cleared::own_words(b"S"));
                out.commands.push(Command::StartClientTls);
                self.phase = Phase::ClientHandshake;
            }
            Packet::Gssenc if tls.is_none() => out.send_client(Cleared::own_words(b"N")),
            Packet::Cancel(key) => {
                out.commands.push(Command::Signal(key.to_vec()));
                self.finish(&Cause::of("cancel request"), at, out);
            }
            Packet::Startup(..) if tls.is_none() && !self.setup.insecure_plaintext => {
                let words = "the gate asks for a password only inside TLS";
                out.send_client(Cleared::own_words(&fatal("protocol.tls_required", words)));
                self.finish(&Cause::with("protocol violation", "plaintext start-up"), at, out);
            }
            Packet::Startup(minor, parameters) => {
                let tls = tls.take();
                self.start_up(tls, minor, parameters, out);
            }
            Packet::Version(major, minor) => {
                let words = format!("protocol {major}.{minor} is not served");
                out.send_client(Cleared::own_words(&fatal("protocol.version", &words)));
                self.finish(&Cause::with("protocol violation", words), at, out);
            }
            Packet::Ssl | Packet::Gssenc => {
                let words = "encryption was asked for inside TLS";
                out.send_client(Cleared::own_words(&fatal("protocol.malformed", words)));
                self.finish(&Cause::with("protocol violation", words), at, out);
            }
            Packet::Malformed(words) => {
                out.send_client(Cleared::own_words(&fatal("protocol.malformed", words)));
                self.finish(&Cause::with("protocol violation", words), at, out);
            }
        }
        Some(length)
    }

    pub(super) fn start_up(
        &mut self,
        tls: Option<TlsFacts>,
        minor: u16,
        mut parameters: Vec<(String, String)>,
        out: &mut Out,
    ) {
        let unknown: Vec<&str> = parameters
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| name.starts_with("_pq_."))
            .collect();
        if minor > 0 || !unknown.is_empty() {
            out.send_client(Cleared::own_words(&login::negotiate(&unknown)));
        }
        parameters.retain(|(name, _)| !name.starts_with("_pq_."));
        if self.setup.bearer.is_some() {
            out.send_client(Cleared::own_words(&oauth::offer()));
            self.phase = Phase::Bearer { tls, parameters, started: false };
        } else {
            out.send_client(Cleared::own_words(&login::ASK_PASSWORD));
            self.phase = Phase::Password { tls, parameters };
        }
    }

    pub(super) fn serve_password(
        &mut self,
        rest: &[u8],
        at: Moment,
        out: &mut Out,
    ) -> Option<usize> {
        let message = match message::frame(rest, message::PASSWORD_BYTES) {
            Framed::NeedMore => return None,
            Framed::Message(message) if message.kind == b'p' => message,
            Framed::Message(_) | Framed::Malformed(_) => {
                let words = "a password message was due";
                out.send_client(Cleared::own_words(&fatal("protocol.malformed", words)));
                self.finish(&Cause::with("protocol violation", words), at, out);
                return None;
            }
        };
        let Phase::Password { tls, parameters } = &mut self.phase else { return None };
        let mut reader = Reader(message.body);
        let password = reader.text().filter(|_| reader.0.is_empty()).unwrap_or_default().to_vec();
        let hello = Hello { tls: tls.take(), parameters: std::mem::take(parameters), password };
        self.ticket += 1;
        out.commands.push(Command::Ask(self.ticket, Ask::Hello(Box::new(hello))));
        self.phase = Phase::Admitting { ticket: self.ticket };
        Some(message.whole.len())
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The client before it is known: packets without a type byte, then one credential.
//!
//! The credential is the certificate that it showed in the handshake, where it showed one that was
//! verified: then nothing is asked for. Else it is a password, or a token by SASL.
//!
//! SPEC: PostgreSQL 18 documentation, "Message Flow" (start-up, "SSL Session Encryption" with
//! direct TLS and ALPN, "Canceling Requests in Progress"), "Protocol Versions".

use super::login::{self, Packet};
use super::message::{self, Framed, Reader};
use super::oauth;
use super::refusal::fatal;
use super::{Phase, Postgres};
use crate::proof::Cleared;
use crate::seam::{Ask, Cause, Command, Hello, Moment, Out, TlsFacts, TlsFault};

/// The name that a client of direct TLS must agree on (registered with IANA).
const ALPN: &str = "postgresql";
/// First byte of a TLS handshake record (RFC 8446, section 5.1). A packet begins with its length,
/// whose first byte is 0.
const TLS_HANDSHAKE: u8 = 0x16;

impl Postgres {
    pub(super) fn serve_packet(&mut self, rest: &[u8], at: Moment, out: &mut Out) -> Option<usize> {
        let Phase::Start { tls } = &mut self.phase else { return None };
        if tls.is_none() && rest.first() == Some(&TLS_HANDSHAKE) {
            out.commands.push(Command::StartClientTls(rest.to_vec()));
            self.phase = Phase::ClientHandshake { direct: true };
            return Some(rest.len());
        }
        let (packet, length) = login::packet(rest);
        match packet {
            Packet::NeedMore => return None,
            Packet::Ssl if tls.is_none() => {
                out.send_client(Cleared::own_words(b"S"));
                out.commands.push(Command::StartClientTls(Vec::new()));
                self.phase = Phase::ClientHandshake { direct: false };
            }
            Packet::Gssenc if tls.is_none() => out.send_client(Cleared::own_words(b"N")),
            Packet::Cancel(key) => {
                self.ticket += 1;
                out.commands.push(Command::Ask(self.ticket, Ask::Cancel(key.clone())));
                self.phase = Phase::Cancelling { ticket: self.ticket, key };
            }
            Packet::Startup(..) if tls.is_none() && !self.setup.insecure_plaintext => {
                let words = "the gate asks for a password only inside TLS";
                self.reject("protocol.tls_required", words, at, out);
            }
            Packet::Startup(minor, parameters) => {
                let tls = tls.take();
                self.start_up(tls, minor, parameters, out);
            }
            Packet::Version(major, minor) => {
                let words = format!("protocol {major}.{minor} is not served");
                self.reject("protocol.version", &words, at, out);
            }
            Packet::Ssl | Packet::Gssenc => {
                let words = "encryption was asked for inside TLS";
                self.reject("protocol.malformed", words, at, out);
            }
            Packet::Malformed(words) => self.reject("protocol.malformed", words, at, out),
        }
        Some(length)
    }

    /// Ends with words what cannot become a session. Who says it outside TLS, where that is due, has
    /// failed to log in.
    fn reject(&mut self, code: &'static str, words: &str, at: Moment, out: &mut Out) {
        if matches!(self.phase, Phase::Start { tls: None }) && !self.setup.insecure_plaintext {
            out.commands.push(Command::NotSecured(TlsFault::Plaintext));
        }
        out.send_client(Cleared::own_words(&fatal(code, words)));
        self.finish(&Cause::with("protocol violation", words), at, out);
    }

    /// The client's handshake is done. Without the name, what came directly might be meant for a
    /// server of another protocol that an attacker led here (ALPACA).
    pub(super) fn secured(&mut self, facts: TlsFacts, at: Moment, out: &mut Out) {
        let Phase::ClientHandshake { direct } = self.phase else { return };
        let is_named = facts.alpn == ALPN;
        self.phase = Phase::Start { tls: Some(facts) };
        if direct && !is_named {
            let words = "direct TLS without the protocol's name (ALPN `postgresql`)";
            out.commands.push(Command::NotSecured(TlsFault::Alpn));
            self.end_with_words("protocol.malformed", "protocol violation", words, at, out);
        }
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
        let spoken = minor.min(login::MINOR);
        if spoken < minor || !unknown.is_empty() {
            out.send_client(Cleared::own_words(&login::negotiate(spoken, &unknown)));
        }
        self.secret_bytes = login::secret_bytes(spoken);
        parameters.retain(|(name, _)| !name.starts_with("_pq_."));
        if tls.as_ref().is_some_and(|facts| !facts.shown.is_empty()) {
            // The handshake proved who holds the key of the certificate. A password beside it would
            // be a second identity, and somebody would have to say which of them counts.
            self.ask_to_come_in(Hello { tls, parameters, password: Vec::new() }, out);
        } else if self.setup.bearer.is_some() {
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
        let length = message.whole.len();
        self.ask_to_come_in(hello, out);
        Some(length)
    }

    fn ask_to_come_in(&mut self, hello: Hello, out: &mut Out) {
        self.ticket += 1;
        out.commands.push(Command::Ask(self.ticket, Ask::Hello(Box::new(hello))));
        self.phase = Phase::Admitting { ticket: self.ticket, sasl: false };
    }
}

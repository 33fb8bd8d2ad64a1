// SPDX-License-Identifier: Apache-2.0
//! From the first byte to `ReadyForQuery`: what the client says before it is known, and the
//! gate's own login at the upstream (PostgreSQL documentation, "Start-up", "SASL Authentication").
//!
//! No password is asked for outside TLS, and nothing may lie behind an `SSLRequest` or its answer
//! in the same bytes: an attacker in the path could have put it there.

use md5::{Digest, Md5};

use super::message::{
    self, put, put_packet, put_text, Diagnostics, Message, Reader, CANCEL_REQUEST, GSSENC_REQUEST,
    SSL_REQUEST,
};
use super::scram::{self, Binding, Scram};
use crate::entry::hex;
use crate::seam::{Admission, TlsFacts, TlsVerify};

/// A packet before the start-up is over.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// Not complete.
    NeedMore,
    /// `SSLRequest`.
    Ssl,
    /// `GSSENCRequest`.
    Gssenc,
    /// `CancelRequest` with the key that follows: process id and secret.
    Cancel(Vec<u8>),
    /// `StartupMessage`: minor version and parameters in their order.
    Startup(u16, Vec<(String, String)>),
    /// A protocol that is not 3.x.
    Version(u16, u16),
    /// Not of the form.
    Malformed(&'static str),
}

/// Reads the packet at the front; also returns its length.
pub fn packet(buffer: &[u8]) -> (Packet, usize) {
    let Some((head, _)) = buffer.split_first_chunk::<4>() else { return (Packet::NeedMore, 0) };
    let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
    if !(8..=message::STARTUP_BYTES).contains(&length) {
        return (Packet::Malformed("start-up packet of an invalid length"), 0);
    }
    let Some(body) = buffer.get(4..length) else { return (Packet::NeedMore, 0) };
    let mut reader = Reader(body);
    let code = reader.long().unwrap_or(0);
    let parsed = match code {
        SSL_REQUEST if reader.0.is_empty() => Packet::Ssl,
        GSSENC_REQUEST if reader.0.is_empty() => Packet::Gssenc,
        CANCEL_REQUEST if CANCEL_KEY_BYTES.contains(&reader.0.len()) => {
            Packet::Cancel(reader.0.to_vec())
        }
        CANCEL_REQUEST => Packet::Malformed("cancel request with a key of an invalid length"),
        SSL_REQUEST | GSSENC_REQUEST => Packet::Malformed("request with trailing bytes"),
        code => match (u16::try_from(code >> 16), u16::try_from(code & 0xffff)) {
            (Ok(3), Ok(minor)) => parameters(reader)
                .map_or(Packet::Malformed("start-up parameters are malformed"), |parameters| {
                    Packet::Startup(minor, parameters)
                }),
            (Ok(major), Ok(minor)) => Packet::Version(major, minor),
            _ => Packet::Malformed("protocol version is malformed"),
        },
    };
    (parsed, length)
}

/// Names and values up to the terminator; a name twice, an empty name or text that is not UTF-8
/// is malformed: which one the server takes must not be a matter of reading.
fn parameters(mut reader: Reader<'_>) -> Option<Vec<(String, String)>> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    loop {
        let name = reader.text()?;
        if name.is_empty() {
            return reader.0.is_empty().then_some(parameters);
        }
        let name = std::str::from_utf8(name).ok()?;
        let value = std::str::from_utf8(reader.text()?).ok()?;
        if parameters.iter().any(|(known, _)| known == name) {
            return None;
        }
        parameters.push((name.to_owned(), value.to_owned()));
    }
}

/// The newest minor version that clients are served.
pub const MINOR: u16 = 2;
/// LIMIT: process id and secret of a cancel key, as the protocol bounds them.
const CANCEL_KEY_BYTES: std::ops::RangeInclusive<usize> = 8..=4 + 256;

/// Bytes of the secret that a client of a minor version is given: more than four since 3.2.
pub fn secret_bytes(minor: u16) -> usize {
    if minor < 2 {
        4
    } else {
        32
    }
}

/// `AuthenticationCleartextPassword`.
pub const ASK_PASSWORD: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];
/// `AuthenticationOk`.
pub const AUTHENTICATED: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];

/// `NegotiateProtocolVersion` to 3.`minor`, naming options that are not known.
pub fn negotiate(minor: u16, unknown: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, b'v', |out| {
        out.extend_from_slice(&3_u16.to_be_bytes());
        out.extend_from_slice(&minor.to_be_bytes());
        out.extend_from_slice(&u32::try_from(unknown.len()).unwrap_or(0).to_be_bytes());
        for name in unknown {
            put_text(out, name.as_bytes());
        }
    });
    out
}

/// How far the upstream login has come.
enum Progress {
    Dialling,
    AskedForTls,
    Handshake,
    SentStartup,
    SentPassword,
    Sasl(Scram),
    SaslFinal(Scram),
    Authenticated,
}

/// What the login wants done.
pub enum Want {
    /// Nothing before more arrives.
    Nothing,
    /// Send these bytes.
    Send(Vec<u8>),
    /// Start TLS.
    StartTls,
    /// The upstream is ready: `BackendKeyData`.
    Ready([u8; 8]),
    /// It failed; with the server's own error where the client may see it.
    Failed(String, Option<Vec<u8>>),
}

/// The gate's login at the upstream.
pub struct Login {
    /// Consent and credentials; the password is wiped once it was used.
    pub admission: Admission,
    /// `ParameterStatus` messages for the client, as the server sent them.
    pub greeting: Vec<u8>,
    /// `server_version` as the server said.
    pub server_version: String,
    /// Facts of the upstream's TLS.
    pub tls: Option<TlsFacts>,
    progress: Progress,
    key: [u8; 8],
}

impl Login {
    /// Before the dial.
    pub fn new(admission: Admission) -> Self {
        Self {
            admission,
            greeting: Vec::new(),
            server_version: String::new(),
            tls: None,
            progress: Progress::Dialling,
            key: [0; 8],
        }
    }

    /// The connection is open.
    pub fn opened(&mut self) -> Want {
        if self.admission.tls.is_some() {
            self.progress = Progress::AskedForTls;
            let mut request = Vec::new();
            put_packet(&mut request, |out| out.extend_from_slice(&SSL_REQUEST.to_be_bytes()));
            return Want::Send(request);
        }
        self.start_up()
    }

    /// TLS is up.
    pub fn secured(&mut self, facts: TlsFacts) -> Want {
        self.tls = Some(facts);
        self.start_up()
    }

    /// Whether the single byte that answers `SSLRequest` is due.
    pub fn awaits_tls_answer(&self) -> bool {
        matches!(self.progress, Progress::AskedForTls)
    }

    /// The answer to `SSLRequest`: exactly one byte, or somebody put more behind it.
    pub fn tls_answer(&mut self, bytes: &[u8]) -> Want {
        self.progress = Progress::Handshake;
        match bytes {
            b"S" => Want::StartTls,
            b"N" => fail("the target does not speak TLS, and the gate is told to use it"),
            _ => fail("the target sent more than its answer to the TLS request"),
        }
    }

    fn start_up(&mut self) -> Want {
        self.progress = Progress::SentStartup;
        let mut startup = Vec::with_capacity(256);
        put_packet(&mut startup, |out| {
            out.extend_from_slice(&0x0003_0000_u32.to_be_bytes());
            put_text(out, b"user");
            put_text(out, self.admission.account.as_bytes());
            for (name, value) in &self.admission.startup {
                put_text(out, name.as_bytes());
                put_text(out, value.as_bytes());
            }
            out.push(0);
        });
        Want::Send(startup)
    }

    /// One message of the upstream.
    pub fn message(&mut self, message: Message<'_>) -> Want {
        match (message.kind, &self.progress) {
            (b'R', _) => self.authentication(message.body),
            (b'E', _) => self.refused_by_upstream(message),
            (b'N', Progress::Authenticated) => {
                self.greeting.extend_from_slice(message.whole);
                Want::Nothing
            }
            (b'S', Progress::Authenticated) => {
                let mut reader = Reader(message.body);
                if let (Some(b"server_version"), Some(version)) = (reader.text(), reader.text()) {
                    self.server_version =
                        String::from_utf8_lossy(version).chars().take(64).collect();
                }
                self.greeting.extend_from_slice(message.whole);
                if self.greeting.len() > message::HELD_BYTES {
                    return fail("the target sent too much before it was ready");
                }
                Want::Nothing
            }
            (b'K', Progress::Authenticated) => match <[u8; 8]>::try_from(message.body) {
                Ok(key) => {
                    self.key = key;
                    Want::Nothing
                }
                Err(_) => fail("the target's cancel key is malformed"),
            },
            (b'Z', Progress::Authenticated) => Want::Ready(self.key),
            (kind, _) => {
                let kind = kind.escape_ascii();
                Want::Failed(format!("the target sent message `{kind}` during the login"), None)
            }
        }
    }

    fn authentication(&mut self, body: &[u8]) -> Want {
        let mut reader = Reader(body);
        let code = reader.long();
        match (code, std::mem::replace(&mut self.progress, Progress::SentStartup)) {
            (Some(0), Progress::SentStartup | Progress::SentPassword) => {
                self.forget_password();
                self.progress = Progress::Authenticated;
                Want::Nothing
            }
            (Some(10), Progress::SentStartup) => self.start_sasl(reader),
            (Some(11), Progress::Sasl(mut scram)) => {
                let answer = scram.answer(&self.admission.password, reader.0);
                self.forget_password();
                match answer {
                    Ok(answer) => {
                        self.progress = Progress::SaslFinal(scram);
                        let mut out = Vec::new();
                        put(&mut out, b'p', |out| out.extend_from_slice(answer.as_bytes()));
                        Want::Send(out)
                    }
                    Err(words) => fail(words),
                }
            }
            (Some(12), Progress::SaslFinal(scram)) => match scram.finish(reader.0) {
                Ok(()) => Want::Nothing, // AuthenticationOk follows
                Err(words) => fail(words),
            },
            (Some(3), Progress::SentStartup) => self.send_cleartext(),
            (Some(5), Progress::SentStartup) => self.send_md5(reader.0),
            _ => fail("the target asks for an authentication that the gate does not speak"),
        }
    }

    /// The password itself: only to a server whose certificate and name were verified.
    fn send_cleartext(&mut self) -> Want {
        let is_verified = self.tls.is_some()
            && self.admission.tls.as_ref().is_some_and(|tls| tls.verify == TlsVerify::Full);
        if !is_verified {
            let words =
                "the target asks for a cleartext password, which the gate gives only inside";
            return fail(&format!("{words} TLS that is verified by name (tls = \"verify-full\")"));
        }
        if self.admission.password.is_empty() {
            return fail(NO_PASSWORD);
        }
        let mut out = Vec::new();
        put(&mut out, b'p', |out| put_text(out, &self.admission.password));
        self.answer_password(out)
    }

    /// `md5` over the hex digest of password and account, and the server's salt.
    fn send_md5(&mut self, salt: &[u8]) -> Want {
        if !self.admission.insecure_md5 {
            let words = "the target asks for an md5 password; let it store the password for SCRAM";
            return fail(&format!("{words}, or set `insecure_md5` for it"));
        }
        if self.admission.password.is_empty() {
            return fail(NO_PASSWORD);
        }
        if salt.len() != 4 {
            return fail("the target's salt for md5 does not have four bytes");
        }
        let inner = md5_hex(&[&self.admission.password, self.admission.account.as_bytes()]);
        let answer = format!("md5{}", md5_hex(&[inner.as_bytes(), salt]));
        let mut out = Vec::new();
        put(&mut out, b'p', |out| put_text(out, answer.as_bytes()));
        self.answer_password(out)
    }

    fn answer_password(&mut self, message: Vec<u8>) -> Want {
        self.forget_password();
        self.progress = Progress::SentPassword;
        Want::Send(message)
    }

    fn start_sasl(&mut self, mut reader: Reader<'_>) -> Want {
        let (mut plain, mut plus) = (false, false);
        while let Some(name) = reader.text().filter(|name| !name.is_empty()) {
            plain |= name == scram::PLAIN;
            plus |= name == scram::PLUS;
        }
        let end_point = self.tls.as_ref().map(|tls| tls.end_point.clone()).unwrap_or_default();
        let binding = match (end_point.is_empty(), plus) {
            (false, true) => Binding::EndPoint(end_point),
            // We could and the server cannot: one that can knows then that its offer was cut.
            (false, false) => Binding::NotOffered,
            (true, _) => Binding::None,
        };
        let mechanism = binding.mechanism();
        if mechanism == scram::PLAIN && !plain {
            return fail("the target offers no SCRAM-SHA-256");
        }
        if self.admission.password.is_empty() {
            return fail(NO_PASSWORD);
        }
        let (scram, first) = Scram::start(&self.admission.nonce, binding);
        self.progress = Progress::Sasl(scram);
        let mut out = Vec::new();
        put(&mut out, b'p', |out| {
            put_text(out, mechanism);
            out.extend_from_slice(&u32::try_from(first.len()).unwrap_or(0).to_be_bytes());
            out.extend_from_slice(first.as_bytes());
        });
        Want::Send(out)
    }

    /// The server's own words reach the client only where they are about the client's request:
    /// those about the gate's credential would name an account the agent must not know.
    fn refused_by_upstream(&mut self, message: Message<'_>) -> Want {
        self.forget_password();
        let error = Diagnostics::read(message.body);
        let words = String::from_utf8_lossy(error.message).chars().take(200).collect::<String>();
        let class = error.sqlstate.get(..2).unwrap_or_default();
        let tellable = matches!(class, b"3D" | b"53" | b"57" | b"55" | b"22" | b"42" | b"0A");
        Want::Failed(words, tellable.then(|| message.whole.to_vec()))
    }

    fn forget_password(&mut self) {
        self.admission.password.fill(0);
        self.admission.password.clear();
    }
}

const NO_PASSWORD: &str = "the target asks for a password and the role has none";

fn md5_hex(parts: &[&[u8]]) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hex(&hash.finalize())
}

fn fail(words: &str) -> Want {
    Want::Failed(words.to_owned(), None)
}

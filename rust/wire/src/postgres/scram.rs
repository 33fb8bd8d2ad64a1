// SPDX-License-Identifier: Apache-2.0
//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as client towards the upstream (RFC 5802, RFC 7677, RFC 5929
//! section 4; PostgreSQL documentation, "SASL Authentication").
//!
//! Own code and not a crate's, because the nonce has to come in from outside (a conversation draws no
//! randomness) and the server's iteration count has to be bounded.
//! Deviation: a password that is not valid for `SASLprep` is used as it is, like libpq does.

use std::num::NonZeroU32;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use ring::{digest, hmac, pbkdf2};

/// LIMIT: the server's work factor; PostgreSQL's default is 4,096. Each costs two hash
/// compressions on an I/O thread, so a hostile upstream must not choose freely.
const ITERATIONS: u32 = 100_000;
/// LIMIT: a server message; real ones have about 100 bytes.
const SERVER_MESSAGE_BYTES: usize = 4096;

/// The mechanism without channel binding.
pub const PLAIN: &[u8] = b"SCRAM-SHA-256";
/// The mechanism with it.
pub const PLUS: &[u8] = b"SCRAM-SHA-256-PLUS";

/// Whether the exchange is bound to the TLS connection it runs in.
#[derive(Debug)]
pub enum Binding {
    /// We cannot: no TLS, or no hash for the server's certificate.
    None,
    /// We could, and the server does not offer it.
    NotOffered,
    /// To this hash of the server's certificate (`tls-server-end-point`).
    EndPoint(Vec<u8>),
}

impl Binding {
    /// The mechanism to ask for.
    pub fn mechanism(&self) -> &'static [u8] {
        match self {
            Self::None | Self::NotOffered => PLAIN,
            Self::EndPoint(_) => PLUS,
        }
    }

    fn header(&self) -> &'static str {
        match self {
            Self::None => "n,,",
            Self::NotOffered => "y,,",
            Self::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    /// What the last message repeats: the header, and the hash behind it.
    fn encoded(&self) -> String {
        let mut bytes = self.header().as_bytes().to_vec();
        if let Self::EndPoint(hash) = self {
            bytes.extend_from_slice(hash);
        }
        STANDARD.encode(bytes)
    }
}

/// The exchange, between our first message and the server's last.
pub struct Scram {
    binding: String,
    first_bare: String,
    nonce: String,
    signature: Option<[u8; 32]>,
}

impl Scram {
    /// Starts with a nonce of printable ASCII without comma; returns the first message too.
    #[allow(clippy::needless_pass_by_value)] // it is spent
    pub fn start(nonce: &str, binding: Binding) -> (Self, String) {
        let first_bare = format!("n=,r={nonce}");
        let first = format!("{}{first_bare}", binding.header());
        let nonce = nonce.to_owned();
        (Self { binding: binding.encoded(), first_bare, nonce, signature: None }, first)
    }

    /// Answers the server's first message. `Err` says what is wrong with it.
    pub fn answer(&mut self, password: &[u8], server: &[u8]) -> Result<String, &'static str> {
        let server = readable(server)?;
        let mut parts = server.split(',');
        let combined = field(parts.next(), "r=")?;
        let salt =
            STANDARD.decode(field(parts.next(), "s=")?).map_err(|_| "the salt is not base64")?;
        let iterations: u32 =
            field(parts.next(), "i=")?.parse().map_err(|_| "the iteration count is no number")?;
        if !combined.starts_with(&self.nonce) || combined.len() == self.nonce.len() {
            return Err("the server's nonce does not continue ours");
        }
        let iterations = NonZeroU32::new(iterations)
            .filter(|count| count.get() <= ITERATIONS)
            .ok_or("the iteration count is out of bounds")?;

        let prepared = std::str::from_utf8(password)
            .ok()
            .and_then(|text| stringprep::saslprep(text).ok().map(std::borrow::Cow::into_owned));
        let prepared = prepared.as_ref().map_or(password, |text| text.as_bytes());
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, prepared, &mut salted);

        let without_proof = format!("c={},r={combined}", self.binding);
        let auth = format!("{},{server},{without_proof}", self.first_bare);
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let stored = hmac::Key::new(hmac::HMAC_SHA256, stored_key.as_ref());
        let client_signature = hmac::sign(&stored, auth.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(client_signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        let server_key = hmac::Key::new(hmac::HMAC_SHA256, server_key.as_ref());
        let mut signature = [0; 32];
        signature.copy_from_slice(hmac::sign(&server_key, auth.as_bytes()).as_ref());
        self.signature = Some(signature);
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Checks the server's last message: it knows the password too.
    pub fn finish(&self, server: &[u8]) -> Result<(), &'static str> {
        let server = readable(server)?;
        let given = STANDARD
            .decode(field(server.split(',').next(), "v=")?)
            .map_err(|_| "the server's signature is not base64")?;
        let expected = self.signature.ok_or("the server's last message came too early")?;
        // Not secret from the server: plain comparison is enough, a wrong one ends the login.
        if given == expected {
            Ok(())
        } else {
            Err("the server's signature is wrong: it does not know the password")
        }
    }
}

fn readable(server: &[u8]) -> Result<&str, &'static str> {
    if server.len() > SERVER_MESSAGE_BYTES {
        return Err("the server's message is too long");
    }
    std::str::from_utf8(server).map_err(|_| "the server's message is not text")
}

fn field<'a>(part: Option<&'a str>, prefix: &str) -> Result<&'a str, &'static str> {
    part.and_then(|part| part.strip_prefix(prefix))
        .ok_or("the server's message lacks a field of RFC 5802")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use super::*;

    /// RFC 7677 section 3, with the user name that PostgreSQL leaves empty.
    #[test]
    fn agrees_with_the_example_of_rfc_7677() {
        let mut scram = Scram {
            binding: "biws".into(),
            first_bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".into(),
            nonce: "rOprNGfwEbeRWgbNEkqO".into(),
            signature: None,
        };
        let server = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            scram.answer(b"pencil", server).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.finish(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        assert!(scram.finish(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").is_err());
    }

    #[test]
    fn refuses_a_nonce_that_is_not_ours_and_an_excessive_work_factor() {
        let (mut scram, first) = Scram::start("abc", Binding::None);
        assert_eq!(first, "n,,n=,r=abc");
        assert!(scram.answer(b"x", b"r=xbcd,s=AAAA,i=4096").is_err());
        assert!(scram.answer(b"x", b"r=abc,s=AAAA,i=4096").is_err());
        assert!(scram.answer(b"x", b"r=abcd,s=AAAA,i=100001").is_err());
        assert!(scram.answer(b"x", b"r=abcd,s=AAAA,i=0").is_err());
        assert!(scram.answer(b"x", b"r=abcd,s=AAAA,i=4096").is_ok());
    }

    #[test]
    fn says_what_it_is_bound_to_in_the_first_message_and_in_the_last() {
        let server = b"r=abcd,s=AAAA,i=4096";
        let (mut scram, first) = Scram::start("abc", Binding::EndPoint(vec![0xff; 32]));
        assert_eq!(first, "p=tls-server-end-point,,n=,r=abc");
        let last = scram.answer(b"x", server).unwrap();
        let bound = [&b"p=tls-server-end-point,,"[..], &[0xff; 32]].concat();
        assert!(last.starts_with(&format!("c={},r=abcd,p=", STANDARD.encode(bound))), "{last}");
        let (mut scram, first) = Scram::start("abc", Binding::NotOffered);
        assert_eq!(first, "y,,n=,r=abc");
        assert!(scram.answer(b"x", server).unwrap().starts_with("c=eSws,r=abcd,p="));
    }
}

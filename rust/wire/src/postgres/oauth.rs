// SPDX-License-Identifier: Apache-2.0
//! A bearer token by SASL `OAUTHBEARER` in place of a password.
//!
//! Source: RFC 7628; PostgreSQL 18 documentation, "SASL Authentication", and how its server and
//! libpq speak it. The initial response is `gs2-header kvsep *(key "=" value kvsep) kvsep` with
//! `kvsep` = 0x01; an `auth` without value asks where a token can be had. A refusal is a challenge
//! with a JSON object, a 0x01 of the client, then the `ErrorResponse`; consent is
//! `AuthenticationOk` without more. Bounds: one authentication message (`PASSWORD_BYTES`). Rejected:
//! other mechanisms, channel binding, an authorization identity, a key twice, bytes behind the end.

use super::message::{self, put, put_text, Framed, Message, Reader};
use super::refusal::fatal;
use super::{Phase, Postgres};
use crate::proof::Cleared;
use crate::seam::{Ask, Cause, Command, Hello, Moment, Out, Refusal};

const MECHANISM: &[u8] = b"OAUTHBEARER";
const SEPARATOR: u8 = 1;
/// The JSON object of a refusal is for libpq, whose bound is larger than ours on a message.
const CONTINUE: u32 = 11;

/// What an initial response holds.
#[derive(Debug, PartialEq, Eq)]
enum Response<'a> {
    /// A token, or what stands in its place: the desk says what is wrong with it.
    Token(&'a [u8]),
    /// The client asks where a token can be had.
    Discovery,
    /// Not of the form.
    Malformed(&'static str),
}

/// `AuthenticationSASL` with the one mechanism.
pub fn offer() -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    put(&mut out, b'R', |out| {
        out.extend_from_slice(&10_u32.to_be_bytes());
        put_text(out, MECHANISM);
        out.push(0);
    });
    out
}

/// `AuthenticationSASLContinue`.
fn challenge(words: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(words.len() + 9);
    put(&mut out, b'R', |out| {
        out.extend_from_slice(&CONTINUE.to_be_bytes());
        out.extend_from_slice(words);
    });
    out
}

/// The data of a `SASLInitialResponse`; `None` inside where the client gave none yet.
fn initial(body: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    let mut reader = Reader(body);
    if reader.text() != Some(MECHANISM) {
        return Err("the mechanism is OAUTHBEARER");
    }
    match reader.long() {
        Some(u32::MAX) if reader.0.is_empty() => Ok(None),
        Some(length) if usize::try_from(length) == Ok(reader.0.len()) => Ok(Some(reader.0)),
        _ => Err("a SASL response of an invalid length"),
    }
}

fn response(data: &[u8]) -> Response<'_> {
    let mut parts = data.split(|byte| *byte == SEPARATOR);
    match parts.next() {
        Some(b"n,," | b"y,,") => {}
        Some([b'p', ..]) => return Response::Malformed("channel binding is not spoken"),
        _ => return Response::Malformed("a SASL response with a header that is not spoken"),
    }
    let mut auth = None;
    loop {
        // `key=value`, each closed by a separator; then one more, with nothing behind it
        match parts.next() {
            Some(b"") => break,
            Some(pair) => {
                let Some(at) = pair.iter().position(|byte| *byte == b'=') else {
                    return Response::Malformed("a SASL response with a key that has no value");
                };
                let (key, value) = pair.split_at(at);
                if key == b"auth" && auth.replace(value.get(1..).unwrap_or_default()).is_some() {
                    return Response::Malformed("a SASL response with two tokens");
                }
            }
            None => return Response::Malformed("a SASL response without its end"),
        }
    }
    if parts.next() != Some(b"") || parts.next().is_some() {
        return Response::Malformed("a SASL response with bytes behind its end");
    }
    match auth {
        None => Response::Malformed("a SASL response without `auth`"),
        Some(b"") => Response::Discovery,
        Some(value) => Response::Token(bearer(value)),
    }
}

/// The token behind `Bearer`; empty for another scheme or characters that no token has.
fn bearer(value: &[u8]) -> &[u8] {
    let Some((scheme, rest)) = value.split_at_checked(6) else { return b"" };
    let token = rest.trim_ascii_start();
    let is_separated = rest.len() > token.len() && rest.first() == Some(&b' ');
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    if scheme.eq_ignore_ascii_case(b"bearer") && is_separated && token.iter().all(is_token) {
        token
    } else {
        b""
    }
}

impl Postgres {
    /// A `SASLInitialResponse`, or the `SASLResponse` behind an empty challenge.
    pub(super) fn serve_bearer(&mut self, rest: &[u8], at: Moment, out: &mut Out) -> Option<usize> {
        let message = self.sasl_message(rest, at, out)?;
        let Phase::Bearer { tls, parameters, started } = &mut self.phase else { return None };
        let data = if *started { Ok(Some(message.body)) } else { initial(message.body) };
        let said = match data {
            Ok(Some(data)) => response(data),
            Ok(None) => {
                *started = true;
                out.send_client(Cleared::own_words(&challenge(b"")));
                return Some(message.whole.len());
            }
            Err(words) => Response::Malformed(words),
        };
        match said {
            Response::Token(token) => {
                let parameters = std::mem::take(parameters);
                let hello = Hello { tls: tls.take(), parameters, password: token.to_vec() };
                self.ticket += 1;
                out.commands.push(Command::Ask(self.ticket, Ask::Hello(Box::new(hello))));
                self.phase = Phase::Admitting { ticket: self.ticket, sasl: true };
            }
            Response::Discovery => {
                let words = "a token is needed; the gate has said where one can be had";
                self.challenge(fatal("authn.failed", words), "discovery", out);
            }
            Response::Malformed(words) => self.end_malformed(words, at, out),
        }
        Some(message.whole.len())
    }

    /// Tells where a good token can be had; the error follows when the client has answered.
    pub(super) fn bearer_refused(&mut self, refusal: &Refusal, at: Moment, out: &mut Out) {
        let detail = refusal.detail.replace("{operation}", "");
        self.challenge(message::error("FATAL", refusal, &detail), refusal.code.clone(), out);
        self.pump_client(&[], at, out);
    }

    fn challenge(&mut self, error: Vec<u8>, note: impl Into<String>, out: &mut Out) {
        let words = self.setup.bearer.clone().unwrap_or_default();
        out.send_client(Cleared::own_words(&challenge(&words)));
        self.phase = Phase::BearerRefused { error, cause: Cause::with("not admitted", note) };
    }

    /// The client's 0x01 behind a challenge.
    pub(super) fn serve_bearer_end(
        &mut self,
        rest: &[u8],
        at: Moment,
        out: &mut Out,
    ) -> Option<usize> {
        let message = self.sasl_message(rest, at, out)?;
        if message.body != [SEPARATOR] {
            self.end_malformed("a 0x01 was due behind the challenge", at, out);
            return None;
        }
        let Phase::BearerRefused { error, cause } = &mut self.phase else { return None };
        let (error, cause) = (std::mem::take(error), cause.clone());
        out.send_client(Cleared::own_words(&error));
        self.finish(&cause, at, out);
        None
    }

    fn sasl_message<'a>(
        &mut self,
        rest: &'a [u8],
        at: Moment,
        out: &mut Out,
    ) -> Option<Message<'a>> {
        match message::frame(rest, message::PASSWORD_BYTES) {
            Framed::NeedMore => None,
            Framed::Message(message) if message.kind == b'p' => Some(message),
            Framed::Message(_) | Framed::Malformed(_) => {
                self.end_malformed("a SASL response was due", at, out);
                None
            }
        }
    }

    fn end_malformed(&mut self, words: &'static str, at: Moment, out: &mut Out) {
        out.send_client(Cleared::own_words(&fatal("protocol.malformed", words)));
        self.finish(&Cause::with("protocol violation", words), at, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_token_as_libpq_sends_it() {
        assert_eq!(response(b"n,,\x01auth=Bearer abc.d\x01\x01"), Response::Token(b"abc.d"));
        assert_eq!(response(b"y,,\x01auth=bearer  a~b==\x01\x01"), Response::Token(b"a~b=="));
        assert_eq!(
            response(b"n,,\x01host=h\x01port=1\x01auth=Bearer a\x01\x01"),
            Response::Token(b"a")
        );
    }

    #[test]
    fn an_empty_auth_asks_where_a_token_can_be_had() {
        assert_eq!(response(b"n,,\x01auth=\x01\x01"), Response::Discovery);
    }

    #[test]
    fn another_scheme_is_no_token() {
        for value in [&b"Basic YTpi"[..], b"Bearer", b"Bearera", b"Bearer a b", b"Bearer a\0", b"B"]
        {
            let data = [b"n,,\x01auth=", value, b"\x01\x01"].concat();
            assert_eq!(response(&data), Response::Token(b""), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn refuses_what_has_not_the_form() {
        for data in [
            &b""[..],
            b"n,,",
            b"n,,\x01",
            b"n,,\x01\x01",
            b"n,,\x01auth=Bearer a",
            b"n,,\x01auth=Bearer a\x01",
            b"n,,\x01auth=Bearer a\x01\x01x",
            b"n,,\x01auth=Bearer a\x01\x01\x01",
            b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
            b"n,,\x01auth\x01\x01",
            b"n,a=admin,\x01auth=Bearer a\x01\x01",
            b"p=tls-exporter,,\x01auth=Bearer a\x01\x01",
            b"\x01auth=Bearer a\x01\x01",
        ] {
            let answer = response(data);
            assert!(
                matches!(answer, Response::Malformed(_)),
                "{}: {answer:?}",
                data.escape_ascii()
            );
        }
    }

    #[test]
    fn an_initial_response_names_its_mechanism_and_its_length() {
        assert_eq!(initial(b"OAUTHBEARER\0\0\0\0\x01x"), Ok(Some(&b"x"[..])));
        assert_eq!(initial(b"OAUTHBEARER\0\xff\xff\xff\xff"), Ok(None));
        for body in [
            &b"SCRAM-SHA-256\0\0\0\0\x01x"[..],
            b"OAUTHBEARER\0\0\0\0\x02x",
            b"OAUTHBEARER\0\0\0\0\0x",
            b"OAUTHBEARER\0\xff\xff\xff\xffx",
            b"OAUTHBEARER\0",
            b"OAUTHBEARER",
            b"",
        ] {
            assert!(initial(body).is_err(), "{}", body.escape_ascii());
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Framing and the few messages the gate writes itself
//! (PostgreSQL documentation, "Message Formats", protocol 3.0).
//!
//! A message is `type u8 | length i32 BE (counts itself) | body`. Before the start-up is over
//! the client sends packets without a type byte.

use crate::seam::Refusal;

/// LIMIT: the server's own bound on a start-up packet (`MAX_STARTUP_PACKET_LENGTH`).
pub const STARTUP_BYTES: usize = 10_000;
/// LIMIT: the server's own bound on an authentication message (`PG_MAX_AUTH_TOKEN_LENGTH`).
pub const PASSWORD_BYTES: usize = 65_535;
/// LIMIT: an upstream message that must be held whole: descriptions, errors, notices. A row
/// description of 1,664 columns stays below 200 KiB; the server's own errors are far smaller.
pub const HELD_BYTES: usize = 8 * 1024 * 1024;

/// Request codes of packets without a type byte.
pub const SSL_REQUEST: u32 = 80_877_103;
/// `GSSENCRequest`.
pub const GSSENC_REQUEST: u32 = 80_877_104;
/// `CancelRequest`.
pub const CANCEL_REQUEST: u32 = 80_877_102;

/// A complete message in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Type byte.
    pub kind: u8,
    /// Type byte, length and body.
    pub whole: &'a [u8],
    /// Body.
    pub body: &'a [u8],
}

/// What stands at the front of a buffer.
#[derive(Debug)]
pub enum Framed<'a> {
    /// Not even a header, or the rest of the message is still to come.
    NeedMore,
    /// A message.
    Message(Message<'a>),
    /// A length below 4 or above the bound; the length is given.
    Malformed(u32),
}

/// The header at the front: type and body length; `None` while it is incomplete,
/// `Err(length)` if the length is below 4.
pub fn header(buffer: &[u8]) -> Option<Result<(u8, usize), u32>> {
    let (head, _) = buffer.split_first_chunk::<5>()?;
    let [kind, a, b, c, d] = *head;
    let length = u32::from_be_bytes([a, b, c, d]);
    let body = length.checked_sub(4).and_then(|body| usize::try_from(body).ok());
    Some(body.map(|body| (kind, body)).ok_or(length))
}

/// The message at the front of `buffer`, whose body may have up to `bound` bytes.
pub fn frame(buffer: &[u8], bound: usize) -> Framed<'_> {
    match header(buffer) {
        None => Framed::NeedMore,
        Some(Err(length)) => Framed::Malformed(length),
        Some(Ok((_, body))) if body > bound => {
            Framed::Malformed(u32::try_from(body).unwrap_or(u32::MAX))
        }
        Some(Ok((kind, body))) => match (buffer.get(..5 + body), buffer.get(5..5 + body)) {
            (Some(whole), Some(body)) => Framed::Message(Message { kind, whole, body }),
            _ => Framed::NeedMore,
        },
    }
}

/// Reads the body of a message front to back; every getter is `None` past the end.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// A NUL-terminated string, without the NUL.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let (text, rest) = (self.0.get(..end)?, self.0.get(end + 1..)?);
        self.0 = rest;
        Some(text)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Big-endian 16 bits, unsigned.
    pub fn short(&mut self) -> Option<u16> {
        let (first, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*first))
    }

    /// Big-endian 32 bits, unsigned.
    pub fn long(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = (self.0.get(..count)?, self.0.get(count..)?);
        self.0 = rest;
        Some(taken)
    }

    /// A value with a 32-bit length, -1 for null. `None` if malformed.
    #[allow(clippy::option_option)] // malformed, null and value are three cases
    pub fn value(&mut self) -> Option<Option<&'a [u8]>> {
        let length = self.long()?;
        if length == u32::MAX {
            return Some(None);
        }
        Some(Some(self.take(usize::try_from(length).ok()?)?))
    }
}

/// Appends a message with a body that `fill` writes.
pub fn put(out: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    put_packet(out, fill);
}

/// Appends a packet without a type byte.
pub fn put_packet(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(slot) = out.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a NUL-terminated string.
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(0);
}

/// `ReadyForQuery`.
pub fn ready(status: u8) -> [u8; 6] {
    [b'Z', 0, 0, 0, 5, status]
}

/// A simple `Query`.
pub fn query(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 6);
    put(&mut out, b'Q', |out| put_text(out, text));
    out
}

/// A group of its own that runs statements, one behind the other, under a name of the gate's, and
/// drops the name before and after. Unlike a `Query` it leaves the client's unnamed statement where
/// it is.
pub fn group(name: &[u8], texts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    for text in texts {
        put_close(&mut out, name);
        put(&mut out, b'P', |out| {
            put_text(out, name);
            put_text(out, text);
            out.extend_from_slice(&0_u16.to_be_bytes());
        });
        put(&mut out, b'B', |out| {
            put_text(out, b"");
            put_text(out, name);
            out.extend_from_slice(&[0; 6]);
        });
        put(&mut out, b'E', |out| {
            put_text(out, b"");
            out.extend_from_slice(&0_u32.to_be_bytes());
        });
    }
    put_close(&mut out, name);
    put(&mut out, b'S', |_| {});
    out
}

fn put_close(out: &mut Vec<u8>, statement: &[u8]) {
    put(out, b'C', |out| {
        out.push(b'S');
        put_text(out, statement);
    });
}

/// `ErrorResponse` in the words of a refusal.
pub fn error(severity: &str, refusal: &Refusal, detail: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put(&mut out, b'E', |out| {
        for (field, value) in [
            (b'S', severity),
            (b'V', severity),
            (b'C', refusal.sqlstate.as_str()),
            (b'M', refusal.message.as_str()),
            (b'D', detail),
            (b'H', refusal.hint.as_str()),
            (b'R', "gatebook"),
        ] {
            if !value.is_empty() {
                out.push(field);
                put_text(out, value.as_bytes());
            }
        }
        out.push(0);
    });
    out
}

/// A `NoticeResponse` with the same fields.
pub fn notice(words: &Refusal, detail: &str) -> Vec<u8> {
    let mut out = error("NOTICE", words, detail);
    if let Some(kind) = out.first_mut() {
        *kind = b'N';
    }
    out
}

/// The fields of an `ErrorResponse` or `NoticeResponse` body that evidence needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Diagnostics<'a> {
    /// `S` (or `V`, the one that is never translated).
    pub severity: &'a [u8],
    /// SQLSTATE.
    pub sqlstate: &'a [u8],
    /// Message.
    pub message: &'a [u8],
    /// Detail.
    pub detail: &'a [u8],
    /// Hint.
    pub hint: &'a [u8],
    /// Context.
    pub context: &'a [u8],
}

impl<'a> Diagnostics<'a> {
    /// Reads the fields; unknown ones are passed over, a malformed tail ends the reading.
    pub fn read(body: &'a [u8]) -> Self {
        let mut reader = Reader(body);
        let mut read = Self::default();
        while let Some(field) = reader.byte() {
            let Some(value) = reader.text() else { break };
            match field {
                b'S' if read.severity.is_empty() => read.severity = value,
                b'V' => read.severity = value,
                b'C' => read.sqlstate = value,
                b'M' => read.message = value,
                b'D' => read.detail = value,
                b'H' => read.hint = value,
                b'W' => read.context = value,
                _ => {}
            }
        }
        read
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The forms of client messages (PostgreSQL documentation, "Message Formats"). One that does not
//! have the form of its kind is never forwarded: it is refused in the server's own words, and as
//! at the server the session goes on.

use super::message::{Message, Reader};
use super::question::Matter;
use super::refusal::{gate_refusal, Refused};
use super::session::{Session, Step};
use crate::seam::{Moment, Out};

/// How a body misses the form of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A string without its end.
    Text,
    /// Nothing where a byte was due.
    Empty,
    /// The body ends before the message does.
    Short,
    /// The message ends before the body does.
    Long,
    /// Neither statement nor portal.
    Subtype(u8),
}

fn end<T>(reader: Reader<'_>, read: T) -> Result<T, Fault> {
    if reader.0.is_empty() {
        Ok(read)
    } else {
        Err(Fault::Long)
    }
}

/// Query: its text.
pub fn query(body: &[u8]) -> Result<&[u8], Fault> {
    let mut reader = Reader(body);
    let text = reader.text().ok_or(Fault::Text)?;
    end(reader, text)
}

/// Parse: statement name, text, parameter types as on the wire.
pub fn parse(body: &[u8]) -> Result<[&[u8]; 3], Fault> {
    let mut reader = Reader(body);
    let name = reader.text().ok_or(Fault::Text)?;
    let text = reader.text().ok_or(Fault::Text)?;
    let types = reader.0;
    let count = reader.short().ok_or(Fault::Short)?;
    reader.take(usize::from(count) * 4).ok_or(Fault::Short)?;
    end(reader, [name, text, types])
}

/// Bind: portal name, statement name, and what follows them.
pub fn bind(body: &[u8]) -> Result<[&[u8]; 3], Fault> {
    let mut reader = Reader(body);
    let portal = reader.text().ok_or(Fault::Text)?;
    let name = reader.text().ok_or(Fault::Text)?;
    let arguments = reader.0;
    formats(&mut reader).ok_or(Fault::Short)?;
    for _ in 0..reader.short().ok_or(Fault::Short)? {
        reader.value().ok_or(Fault::Short)?;
    }
    formats(&mut reader).ok_or(Fault::Short)?;
    end(reader, [portal, name, arguments])
}

fn formats(reader: &mut Reader<'_>) -> Option<()> {
    let count = reader.short()?;
    reader.take(usize::from(count) * 2).map(|_| ())
}

/// Execute: portal name.
pub fn execute(body: &[u8]) -> Result<&[u8], Fault> {
    let mut reader = Reader(body);
    let name = reader.text().ok_or(Fault::Text)?;
    reader.long().ok_or(Fault::Short)?;
    end(reader, name)
}

/// Describe or Close: `S` or `P`, and a name.
pub fn target(body: &[u8]) -> Result<(u8, &[u8]), Fault> {
    let mut reader = Reader(body);
    let kind = reader.byte().ok_or(Fault::Empty)?;
    let name = reader.text().ok_or(Fault::Text)?;
    if !matches!(kind, b'S' | b'P') {
        return Err(Fault::Subtype(kind));
    }
    end(reader, (kind, name))
}

/// Flush or Sync: nothing.
pub fn nothing(body: &[u8]) -> Result<(), Fault> {
    end(Reader(body), ())
}

impl Session {
    /// Refuses a message that does not have the form of its kind.
    pub(super) fn refuse_malformed(
        &mut self,
        message: Message<'_>,
        fault: Fault,
        at: Moment,
        out: &mut Out,
    ) -> Step {
        let words = match (fault, message.kind) {
            (Fault::Text, _) => "invalid string in message".to_owned(),
            (Fault::Empty, _) => "no data left in message".to_owned(),
            (Fault::Short, _) => "insufficient data left in message".to_owned(),
            (Fault::Long, _) => "invalid message format".to_owned(),
            (Fault::Subtype(kind), b'C') => format!("invalid CLOSE message subtype {kind}"),
            (Fault::Subtype(kind), _) => format!("invalid DESCRIBE message subtype {kind}"),
        };
        // As at the server: an error in a Query or Sync is answered by ReadyForQuery at once.
        let (via, kind) = match message.kind {
            b'Q' | b'S' => ("query", Refused::Simple),
            b'P' => ("parse", Refused::Extended),
            _ => ("bind", Refused::Extended),
        };
        let matter = Matter { via, ..Matter::default() };
        let refusal = gate_refusal("protocol.malformed", &words);
        self.refuse(&matter, kind, &refusal, None, (message, 0), at, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_whole_or_its_fault_is_named() {
        assert_eq!(query(b"SELECT 1\0"), Ok(&b"SELECT 1"[..]));
        assert_eq!(query(b"SELECT 1"), Err(Fault::Text));
        assert_eq!(query(b"SELECT 1\0x"), Err(Fault::Long));
        assert_eq!(parse(b"p\0x\0\0\x01\0\0\0\x17").map(|[name, ..]| name), Ok(&b"p"[..]));
        assert_eq!(parse(b"p\0x\0\0\x01\0\0"), Err(Fault::Short));
        assert_eq!(bind(b"\0s\0\0\0\0\0\0\0").map(|[_, name, _]| name), Ok(&b"s"[..]));
        assert_eq!(bind(b"\0s\0\0\0\0\x01\0\0\0\x09x\0\0"), Err(Fault::Short));
        assert_eq!(execute(b"c\0\0\0\0\0"), Ok(&b"c"[..]));
        assert_eq!(execute(b"c\0\0\0"), Err(Fault::Short));
        assert_eq!(target(b"Sp\0"), Ok((b'S', &b"p"[..])));
        assert_eq!(target(b"Xp\0"), Err(Fault::Subtype(b'X')));
        assert_eq!(target(b""), Err(Fault::Empty));
        assert_eq!(nothing(b"x"), Err(Fault::Long));
    }
}

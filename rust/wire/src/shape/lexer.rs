// SPDX-License-Identifier: Apache-2.0
//! A lexer that agrees with PostgreSQL's scanner, or says that it is not sure.
//!
//! Source: `scan.l` of PostgreSQL 13 to 18 with `standard_conforming_strings` on and UTF-8, as far
//! as those versions agree. Not sure of: bytes above 127 and control characters outside quotes, `\`
//! anywhere but in names and dollar quotes (so that the setting does not matter), `U&`, `N''`,
//! anything unterminated, numbers followed by letters, `_`, `.` or `$`, hexadecimal and the like,
//! runs of more than 63 operator characters.

/// What kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An unquoted word: keyword or name.
    Word,
    /// `"..."`.
    Identifier,
    /// Decimal, with or without fraction and exponent.
    Number,
    /// `'...'`.
    Text,
    /// `E'...'`, `B'...'`, `X'...'`, `$tag$...$tag$`.
    Special,
    /// `$1`.
    Parameter,
    /// `=`, `<`, `>`, `<=`, `>=`, `<>`, `!=`.
    Compare,
    /// `+`, `-`.
    Sign,
    /// `*`, `/`.
    Times,
    /// Any other operator.
    Operator,
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `[`.
    Bracket,
    /// `]`.
    CloseBracket,
    /// `,`.
    Comma,
    /// `;`.
    Semicolon,
    /// `.`, `..`, `:`, `::`, `:=`.
    Other,
}

/// A token and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lexeme {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// LIMIT: PostgreSQL refuses longer operators; a run is looked at once for each sign in it.
const OPERATOR_BYTES: usize = 63;
/// LIMIT: digits of a parameter's number that surely fit its 32 bits.
const PARAMETER_DIGITS: usize = 9;

/// Walks over a text; comments and white space are left out.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, `Some(None)` at the end, `None` where it is not sure.
    #[allow(clippy::option_option)] // the outer one is `?` for "not sure"
    pub(super) fn next(&mut self) -> Option<Option<Lexeme>> {
        self.skip_space()?;
        let start = self.at;
        let Some(byte) = self.peek(0) else { return Some(None) };
        let kind = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word()?,
            b'0'..=b'9' => self.number()?,
            b'.' if self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => self.number()?,
            b'\'' => self.quoted(Kind::Text)?,
            b'"' => self.identifier()?,
            b'$' => self.dollar()?,
            b'(' => self.take(1, Kind::Open),
            b')' => self.take(1, Kind::Close),
            b'[' => self.take(1, Kind::Bracket),
            b']' => self.take(1, Kind::CloseBracket),
            b',' => self.take(1, Kind::Comma),
            b';' => self.take(1, Kind::Semicolon),
            b'.' if self.peek(1) == Some(b'.') => self.take(2, Kind::Other),
            b':' if matches!(self.peek(1), Some(b':' | b'=')) => self.take(2, Kind::Other),
            b'.' | b':' => self.take(1, Kind::Other),
            _ if is_operator(byte) => self.operator()?,
            _ => return None,
        };
        Some(Some(Lexeme { kind, start, end: self.at }))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    /// White space and comments; block comments nest.
    fn skip_space(&mut self) -> Option<()> {
        loop {
            self.at += count(self.rest(), is_space);
            match self.rest() {
                [b'-', b'-', comment @ ..] => {
                    let end = comment.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    self.at += 2 + end.unwrap_or(comment.len());
                }
                [b'/', b'*', ..] => self.skip_comment()?,
                _ => return Some(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0)?, self.peek(1)) {
                (b'/', Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Some(());
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn word(&mut self) -> Option<Kind> {
        let start = self.at;
        self.at += count(self.rest(), is_name);
        let next = self.peek(0);
        if next.is_some_and(|byte| !byte.is_ascii()) {
            return None;
        }
        match (self.text.get(start..self.at)?, next) {
            (b"e" | b"E", Some(b'\'')) => self.quoted(Kind::Special),
            (b"b" | b"B" | b"x" | b"X", Some(b'\'')) => self.bits(),
            (b"n" | b"N", Some(b'\'')) => None,
            (b"u" | b"U", Some(b'&')) if matches!(self.peek(1), Some(b'\'' | b'"')) => None,
            _ => Some(Kind::Word),
        }
    }

    fn number(&mut self) -> Option<Kind> {
        self.digits();
        if self.peek(0) == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(0), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return None;
            }
        }
        self.ends_number().then_some(Kind::Number)
    }

    /// Versions differ in what they make of other bytes directly behind a number.
    fn ends_number(&self) -> bool {
        let is_junk = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$') || !byte.is_ascii()
        };
        !self.peek(0).is_some_and(is_junk)
    }

    fn digits(&mut self) -> usize {
        let rest = self.rest();
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        count
    }

    /// A string in which no byte has another meaning in any setting.
    fn quoted(&mut self, kind: Kind) -> Option<Kind> {
        let start = self.at;
        self.until_quote(b'\'')?;
        let has_escape = self.text.get(start..self.at)?.contains(&b'\\');
        (!has_escape).then_some(kind)
    }

    /// In these a doubled quote is not one quote but the end and another string.
    fn bits(&mut self) -> Option<Kind> {
        let body = self.text.get(self.at + 1..)?;
        self.at += body.iter().position(|byte| *byte == b'\'')? + 2;
        (self.peek(0) != Some(b'\'')).then_some(Kind::Special)
    }

    fn identifier(&mut self) -> Option<Kind> {
        let start = self.at;
        self.until_quote(b'"')?;
        // PostgreSQL refuses an empty name.
        (self.at - start > 2).then_some(Kind::Identifier)
    }

    /// From a quote to the one that is not doubled.
    fn until_quote(&mut self, quote: u8) -> Option<()> {
        self.at += 1;
        loop {
            self.at += self.rest().iter().position(|byte| *byte == quote)? + 1;
            if self.peek(0) != Some(quote) {
                return Some(());
            }
            self.at += 1;
        }
    }

    /// `$1`, or `$tag$ ... $tag$`.
    fn dollar(&mut self) -> Option<Kind> {
        self.at += 1;
        let digits = self.digits();
        if digits > 0 {
            let is_sure = digits <= PARAMETER_DIGITS && self.ends_number();
            return is_sure.then_some(Kind::Parameter);
        }
        let rest = self.rest();
        let tag = rest.iter().position(|byte| *byte == b'$')?;
        let name = rest.get(..tag)?;
        if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            return None;
        }
        let delimiter = self.text.get(self.at - 1..=self.at + tag)?;
        self.at += tag + 1;
        let body = self.rest();
        let end = body.windows(delimiter.len()).position(|window| window == delimiter)?;
        self.at += end + delimiter.len();
        Some(Kind::Special)
    }

    /// A run of operator characters up to a comment; signs at its end belong to what comes behind,
    /// unless it holds a character that no operator of the standard has.
    fn operator(&mut self) -> Option<Kind> {
        let rest = self.rest();
        let run = rest.get(..count(rest, is_operator)).filter(|run| run.len() <= OPERATOR_BYTES)?;
        let comment = run.windows(2).position(|pair| pair == b"/*" || pair == b"--");
        let mut operator = run.get(..comment.unwrap_or(run.len()))?;
        let is_special = operator.iter().any(|byte| b"~!@#^&|`?%".contains(byte));
        while let [head @ .., b'+' | b'-'] = operator {
            if is_special || head.is_empty() {
                break;
            }
            operator = head;
        }
        self.at += operator.len();
        match operator {
            b"=" | b"<" | b">" | b"<=" | b">=" | b"<>" | b"!=" => Some(Kind::Compare),
            b"+" | b"-" => Some(Kind::Sign),
            b"*" | b"/" => Some(Kind::Times),
            _ => Some(Kind::Operator),
        }
    }
}

fn is_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'$')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

#[rustfmt::skip] // one row
fn is_operator(byte: u8) -> bool {
    matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=')
}

/// How many bytes at the head are so.
#[inline]
fn count(bytes: &[u8], is_so: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !is_so(*byte)).unwrap_or(bytes.len())
}

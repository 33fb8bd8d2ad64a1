// SPDX-License-Identifier: Apache-2.0
//! PostgreSQL's own parser and scanner (`libpg_query`, PostgreSQL 18) behind a safe face.
//!
//! Every function takes at most [`TEXT_BYTES`] of text and no NUL byte, may be called from any
//! thread at any time, and returns plain values. `libpg_query` keeps its state per thread and
//! measures the stack that is left below the caller: nesting that does not fit is an error
//! ("stack depth limit exceeded"), never a crash. That holds while at least 1 MiB of stack is
//! left, as on a fresh thread of 2 MiB.
//!
//! LIMIT: each thread that ever parses takes one of the process's 1,024 `pthread` keys and never
//! gives it back (upstream `pg_query_init`). Parse on a fixed set of threads, not on a pool that
//! starts and ends them.
#![deny(unsafe_code)] // allowed in `sys` only

mod literals;
mod passwords;
mod sys;

pub use literals::literal_free;
pub use passwords::password_literals;

/// LIMIT: longest text; a session's statement bound (`Limits::statement_bytes`) is not larger.
pub const TEXT_BYTES: usize = 256 * 1024;

/// LIMIT: PostgreSQL's scanner reads a run of operator characters again for each comment start or
/// sign in it, so its time is the square of the run: 80 seconds for 256 KiB of `/*`. The squares of
/// all runs together stay below this (a tenth of a second; one run of 10,000).
const RESCANNED_BYTES: usize = 100_000_000;
/// LIMIT: PostgreSQL quotes the rest of the text in some errors.
const MESSAGE_CHARACTERS: usize = 240;

/// The text is no statement for PostgreSQL's parser or scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// PostgreSQL's words, or ours for a text that never reached it; at most 240 characters. May
    /// quote a piece of the text, literals included.
    pub message: String,
    /// Position in the text in characters, from 1; 0 if it is about no position.
    pub cursor: u32,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ParseError {}

/// One token of PostgreSQL's scanner, comments included, white space not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Name as in the grammar: `IDENT`, `SCONST`, `ICONST`, `SELECT`, `ASCII_40` for `(`, ...
    pub kind: &'static str,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// Parses statements with PostgreSQL's raw grammar; gives `libpg_query`'s JSON:
/// `{"version":180006,"stmts":[{"stmt":{...},"stmt_location":n,"stmt_len":n},...]}`.
///
/// The JSON may be fifty times as long as the text. Names are not resolved.
pub fn parse(text: &str) -> Result<String, ParseError> {
    sys::parse(&checked(text.as_bytes())?)
}

/// Runs PostgreSQL's scanner (`standard_conforming_strings` on) over the text.
///
/// The text need not be UTF-8: bytes above 127 are letters, as the server sees them.
pub fn tokens(text: &[u8]) -> Result<Vec<Token>, ParseError> {
    sys::tokens(&checked(text)?)
}

fn checked(text: &[u8]) -> Result<std::ffi::CString, ParseError> {
    if text.len() > TEXT_BYTES {
        let message = format!("statement is longer than {TEXT_BYTES} bytes");
        return Err(ParseError { message, cursor: 0 });
    }
    if rescanned_bytes(text) > RESCANNED_BYTES {
        let message = "statement holds too long a run of operator characters".to_owned();
        return Err(ParseError { message, cursor: 0 });
    }
    std::ffi::CString::new(text)
        .map_err(|_| ParseError { message: "statement holds a NUL byte".to_owned(), cursor: 0 })
}

/// Sum over the runs of operator characters (quoted or not) of the square of their lengths.
fn rescanned_bytes(text: &[u8]) -> usize {
    let operator = |byte: &u8| b"~!@#^&|`?+-*/%<>=".contains(byte);
    text.split(|byte| !operator(byte)).map(|run| run.len().saturating_mul(run.len())).sum()
}

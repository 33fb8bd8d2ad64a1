// SPDX-License-Identifier: Apache-2.0
//! Finds the literals of a statement that are passwords, so that they can be blotted out before
//! the statement is recorded.
//!
//! A literal counts as a password if it
//! 1. follows the word `password` (`ALTER ROLE .. PASSWORD '..'`, `OPTIONS (password '..')`,
//!    also with `=`, `:=` or `TO` between), quoted or not;
//! 2. follows the word `CONNECTION` (subscriptions);
//! 3. holds, itself, `password=..`, `password '..'` or a URI with a password before `@`
//!    (conninfo strings, statements inside strings, comments).
//!
//! A dollar-quoted body is searched as a statement of its own. Where the scanner refuses a text
//! that speaks of passwords, everything from its first quote on counts as one.

use crate::literals::is_comment;
use crate::{tokens, Token};

/// LIMIT: dollar quotes inside dollar quotes; deeper bodies are blotted whole if rule 3 meets.
const DEPTH: u32 = 4;
const WORD: &[u8] = b"password";

/// Byte ranges of the literals that are passwords, quotes included; ascending, not overlapping.
pub fn password_literals(text: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    search(text, 0, DEPTH, &mut found);
    found
}

fn search(text: &[u8], offset: usize, depth: u32, found: &mut Vec<(usize, usize)>) {
    // Most statements never name a password and have no URI: no scanner for them.
    if !holds(text, WORD) && !holds(text, b"connection") && !holds(text, b"://") {
        return;
    }
    let Ok(tokens) = tokens(text) else {
        if let Some(start) = unscannable(text) {
            found.push((offset + start, offset + text.len()));
        }
        return;
    };
    let mut before: [&[u8]; 2] = [b"", b""];
    for token in &tokens {
        let piece = text.get(token.start..token.end).unwrap_or_default();
        let range = (offset + token.start, offset + token.end);
        if is_comment(token) {
            if speaks_of_password(piece) {
                found.push(range);
            }
            continue;
        }
        if is_string(token) {
            if follows_password(before) {
                found.push(range);
            } else if let Some((open, body)) = dollar_body(piece).filter(|_| depth > 0) {
                search(body, range.0 + open, depth - 1, found);
            } else if speaks_of_password(piece) {
                found.push(range);
            }
        }
        before = [before[1], piece];
    }
}

fn is_string(token: &Token) -> bool {
    matches!(token.kind, "SCONST" | "USCONST")
}

/// Rules 1 and 2, from the two tokens before the literal.
fn follows_password(before: [&[u8]; 2]) -> bool {
    let between: [&[u8]; 3] = [b"=", b":=", b"to"];
    let word = if between.iter().any(|b| before[1].eq_ignore_ascii_case(b)) {
        before[0]
    } else {
        before[1]
    };
    let bare = word.strip_prefix(b"\"").and_then(|w| w.strip_suffix(b"\"")).unwrap_or(word);
    bare.eq_ignore_ascii_case(WORD) || word.eq_ignore_ascii_case(b"connection")
}

/// Rule 3.
fn speaks_of_password(piece: &[u8]) -> bool {
    let assigned = positions(piece, WORD).any(|at| {
        let rest = piece.get(at + WORD.len()..).unwrap_or_default();
        let next = rest.iter().find(|b| !b.is_ascii_whitespace() && **b != b'"');
        matches!(next, Some(b'=' | b'\'' | b'$' | b':' | b'\\'))
    });
    assigned
        || positions(piece, b"://")
            .any(|at| uri_holds_password(piece.get(at + 3..).unwrap_or_default()))
}

/// `user:secret@...` before the first byte that ends the authority.
fn uri_holds_password(rest: &[u8]) -> bool {
    let authority =
        rest.split(|b| b.is_ascii_whitespace() || *b == b'/').next().unwrap_or_default();
    let Some(at) = authority.iter().rposition(|b| *b == b'@') else { return false };
    authority.get(..at).unwrap_or_default().contains(&b':')
}

/// Offset of the body of a dollar-quoted constant in it, and the body.
fn dollar_body(piece: &[u8]) -> Option<(usize, &[u8])> {
    let tag = piece.strip_prefix(b"$")?.iter().position(|b| *b == b'$')? + 2;
    Some((tag, piece.get(tag..piece.len().checked_sub(tag)?)?))
}

fn unscannable(text: &[u8]) -> Option<usize> {
    let quote = text.iter().position(|b| matches!(b, b'\'' | b'"' | b'$'));
    let word = positions(text, WORD).next();
    if word.is_none() && !positions(text, b"://").any(|_| true) {
        return None;
    }
    quote.into_iter().chain(word).min()
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    positions(text, word).next().is_some()
}

/// Where `word` (lower case) stands in `text`, whatever the case there.
fn positions<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let windows = text.windows(word.len()).enumerate();
    windows.filter(move |(_, window)| window.eq_ignore_ascii_case(word)).map(|(at, _)| at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests fail by panicking
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        password_literals(text.as_bytes()).into_iter().map(|(s, e)| &text[s..e]).collect()
    }

    #[test]
    fn finds_the_password_of_a_role() {
        assert_eq!(
            found("CREATE ROLE a LOGIN PASSWORD 'x''y' VALID UNTIL '2030-01-01'"),
            ["'x''y'"]
        );
        assert_eq!(found("alter user a with encrypted password /* c */ E'x\\n'"), ["E'x\\n'"]);
        assert_eq!(found("ALTER ROLE a PASSWORD $$x$$, b"), ["$$x$$"]);
        assert_eq!(found("ALTER ROLE a PASSWORD U&'x' UESCAPE '!'"), ["U&'x'"]);
        assert_eq!(found("ALTER ROLE a PASSWORD 'x'\n 'y'"), ["'x'\n 'y'"]);
    }

    #[test]
    fn finds_nothing_where_there_is_no_password() {
        assert_eq!(found("SELECT 'a', 1 FROM password WHERE x = 'b'"), Vec::<&str>::new());
        assert_eq!(found("ALTER ROLE a PASSWORD NULL VALID UNTIL 'infinity'"), Vec::<&str>::new());
        assert_eq!(found("SELECT 'https://example.org/a@b:c'"), Vec::<&str>::new());
    }

    #[test]
    fn finds_the_password_among_options() {
        let text =
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password 'p', \"password\" 'q')";
        assert_eq!(found(text), ["'p'", "'q'"]);
        assert_eq!(found("ALTER SERVER s OPTIONS (SET password 'p', ADD host 'h')"), ["'p'"]);
    }

    #[test]
    fn finds_connection_strings() {
        assert_eq!(found("CREATE SUBSCRIPTION s CONNECTION 'host=h' PUBLICATION p"), ["'host=h'"]);
        assert_eq!(
            found("SELECT dblink('host=h password = x', 'SELECT 1')"),
            ["'host=h password = x'"]
        );
        assert_eq!(found("SELECT dblink('postgresql://u:p@h/d', 'q')"), ["'postgresql://u:p@h/d'"]);
    }

    #[test]
    fn finds_assignments_to_a_password() {
        assert_eq!(found("UPDATE u SET password = 'p' WHERE id = 'i'"), ["'p'"]);
        assert_eq!(found("SET app.password TO 'p'"), ["'p'"]);
    }

    #[test]
    fn looks_into_bodies_strings_and_comments() {
        assert_eq!(found("DO $a$BEGIN ALTER ROLE r PASSWORD 'p'; PERFORM 'x'; END$a$"), ["'p'"]);
        assert_eq!(found("DO 'BEGIN ALTER ROLE r PASSWORD ''p''; END'").len(), 1);
        assert_eq!(found("SELECT 1 -- PASSWORD 'p'"), ["-- PASSWORD 'p'"]);
    }

    #[test]
    fn takes_everything_from_the_first_quote_on_where_the_scanner_refuses() {
        assert_eq!(found("ALTER ROLE r PASSWORD 'p"), ["PASSWORD 'p"]);
        assert_eq!(found("SELECT 'x', dblink('password=p"), ["'x', dblink('password=p"]);
        assert_eq!(found("SELECT 'x"), Vec::<&str>::new());
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The lexer agrees with PostgreSQL's own scanner, on random texts.

use gatebook_pgparse::{password_literals, tokens, Token};

use super::*;

/// Deterministic noise (xorshift), so that a failure can be run again.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const WORDS: &[&str] = &[
    "a",
    "b1",
    "_c",
    "x$y",
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "IN",
    "VALUES",
    "LIMIT",
    "INSERT",
    "CASE",
    "END",
    "f",
    "E",
    "b",
    "X",
    "n",
    "u",
    "U",
    "date",
    "\"q\"\"r\"",
    "\"é\"",
    "NOT",
    "BY",
    "FETCH",
    "WITH",
];
const CONSTANTS: &[&str] = &[
    "1",
    "0",
    "42",
    "1.5",
    ".5",
    "1e5",
    "1.e5",
    "2.5E-3",
    "99999999999999999999",
    "'a'",
    "''",
    "'it''s'",
    "'é'",
    "'a\nb'",
    "'password=x'",
    "'s://u:p@h'",
    "E'x'",
    "B'01'",
    "x'ff'",
    "$$a$$",
    "$t$ $$ $t$",
    "$1",
    "$22",
    "'--'",
    "'/*'",
    "0x1f",
    "1_0",
];
const SIGNS: &[&str] = &[
    "=", "<", ">", "<=", ">=", "<>", "!=", "+", "-", "*", "/", "(", ")", ",", ";", ".", "::", ":=",
    "=>", "[", "]", ":", "->", "->>", "||", "@>", "%", "^", "~", "!~*", "?", "..", "|/", "@", "#>",
    "&",
];
const SPACES: &[&str] = &[
    " ",
    "",
    "",
    "\n",
    "\t",
    " \r\n ",
    "/* c */",
    "--c\n",
    "/**/",
    "/* /* n */ '*/",
    "-- '\n",
    "\x0c",
];
const NOISE: &[&str] = &[
    "'", "\"", "$", "\\", "é", "/*", "*/", "--", "E'", "U&'", "\x01", "$a", "1a", "\x0b", "N'a'",
    "``", "'\n'",
];

/// Random tokens with random space; now and then bytes that break it.
fn random_text(noise: &mut Noise) -> String {
    let mut text = noise
        .of(&["SELECT ", "INSERT INTO t VALUES (", "select a where b=", "(", "WITH x AS ("])
        .to_owned();
    for _ in 0..noise.below(24) {
        text.push_str(match noise.below(40) {
            0..12 => noise.of(WORDS),
            12..22 => noise.of(CONSTANTS),
            22..39 => noise.of(SIGNS),
            _ => noise.of(NOISE),
        });
        text.push_str(noise.of(SPACES));
    }
    let open = text.matches('(').count().saturating_sub(text.matches(')').count());
    text + &")".repeat(open)
}

fn is_comment(token: &Token) -> bool {
    token.kind == "SQL_COMMENT" || token.kind == "C_COMMENT"
}

/// Whether a piece of a shape stands for this token of the text.
fn stands_for(piece: &[u8], token: &Token, text: &[u8]) -> bool {
    let own = &text[token.start..token.end];
    match piece {
        b"\x01n" => matches!(token.kind, "ICONST" | "FCONST"),
        b"\x01s" => token.kind == "SCONST" && own.starts_with(b"'"),
        _ => piece == own,
    }
}

/// Everything that must hold for one text; whether it had a shape.
fn agrees(text: &str, out: &mut Vec<u8>) -> bool {
    let bytes = text.as_bytes();
    if !shape(bytes, out) {
        return false;
    }
    assert_eq!(password_literals(bytes), [], "{text:?}");
    let theirs = tokens(bytes).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let bounds = theirs.iter().filter(|t| !is_comment(t)).map(|t| (t.start, t.end));
    let ours = lexed(bytes).unwrap();
    assert!(bounds.eq(ours.iter().map(|t| (t.start, t.end))), "{text:?}: {ours:?}");
    let mut rest = &out[..];
    for (at, token) in theirs.iter().filter(|token| !is_comment(token)).enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(b" ").unwrap_or_else(|| panic!("{text:?}: no space"));
        }
        let length = if rest.starts_with(&[MARK]) { 2 } else { token.end - token.start };
        let (piece, behind) = rest.split_at(length);
        assert!(stands_for(piece, token, bytes), "{text:?}: {piece:?} is not {token:?}");
        rest = behind;
    }
    assert!(rest.is_empty(), "{text:?}");
    true
}

fn differential(texts: usize) {
    let (mut noise, mut out, mut shaped) = (Noise(0x5EED_CAFE), Vec::new(), 0);
    for _ in 0..texts {
        shaped += usize::from(agrees(&random_text(&mut noise), &mut out));
    }
    assert!(shaped > texts / 20, "only {shaped} of {texts} had a shape");
}

#[test]
fn agrees_with_postgresqls_scanner_on_random_texts() {
    differential(100_000);
}

#[test]
#[ignore = "slow: a million random texts; the fast test runs a hundred thousand"]
fn agrees_with_postgresqls_scanner_on_a_million_random_texts() {
    differential(1_000_000);
}

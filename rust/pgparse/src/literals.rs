// SPDX-License-Identifier: Apache-2.0
//! The statement without its literals and comments, for the leaves of the book.

use crate::{tokens, Token};

/// Kinds of token that stand for a value in the text.
const CONSTANTS: [&str; 6] = ["SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST"];

/// The statement with `?` for every string, number, bit, hex and dollar-quoted constant, without
/// comments, and with each run of white space folded into one space.
///
/// Quoted identifiers stay; a byte of theirs that is not UTF-8 becomes `?`. Never fails: where
/// PostgreSQL's scanner refuses the text, only the words before the first byte that could belong
/// to a literal, a comment or a number are kept, and one `?` stands for the rest.
pub fn literal_free(text: &[u8]) -> String {
    tokens(text).map_or_else(|_| leading_words(text), |tokens| without_constants(text, &tokens))
}

fn without_constants(text: &[u8], tokens: &[Token]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for token in tokens.iter().filter(|token| !is_comment(token)) {
        if token.start > end && !out.is_empty() {
            out.push(' ');
        }
        end = token.end;
        if CONSTANTS.contains(&token.kind) {
            out.push('?');
        } else {
            push_text(&mut out, text.get(token.start..token.end).unwrap_or(b"?"));
        }
    }
    out
}

pub(crate) fn is_comment(token: &Token) -> bool {
    matches!(token.kind, "SQL_COMMENT" | "C_COMMENT")
}

fn push_text(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push('?');
        }
    }
}

/// INVARIANT: copies nothing but ASCII letters and `_`, and nothing behind the first byte outside
/// the list, so no content of quotes, comments, dollar quotes or numbers can pass.
fn leading_words(text: &[u8]) -> String {
    let plain = |byte: &u8| {
        byte.is_ascii_alphabetic() || byte.is_ascii_whitespace() || b"_(),.;*=<>".contains(byte)
    };
    let known = text.iter().take_while(|byte| plain(byte)).count();
    let mut out = String::new();
    let words = text.get(..known).unwrap_or_default();
    for word in words.split(|b| !b.is_ascii_alphabetic() && *b != b'_').filter(|w| !w.is_empty()) {
        push_text(&mut out, word);
        out.push(' ');
    }
    out.push('?');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_every_kind_of_constant_by_a_question_mark() {
        let text = br"SELECT 'a', 1, 1.5e3, 0x1F, 1_000, B'01', X'ff', E'\n', U&'\0041', $$b$$, $t$c$t$, N'd'";
        assert_eq!(literal_free(text), "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, N?");
    }

    #[test]
    fn drops_comments_and_folds_white_space() {
        let text = b"  SELECT /* secret /* nested */ */ a -- 'x'\n\t FROM  t -- end";
        assert_eq!(literal_free(text), "SELECT a FROM t");
    }

    #[test]
    fn keeps_identifiers_operators_and_parameters() {
        let text = "SELECT \"Größe\", schön.x->>'k' FROM t WHERE a >= $1 AND b::int = -5;";
        let free = "SELECT \"Größe\", schön.x->>? FROM t WHERE a >= $1 AND b::int = -?;";
        assert_eq!(literal_free(text.as_bytes()), free);
    }

    #[test]
    fn treats_a_string_continued_on_the_next_line_as_one() {
        assert_eq!(literal_free(b"SELECT 'a'\n  'b', 'it''s'"), "SELECT ?, ?");
    }

    #[test]
    fn keeps_only_leading_words_of_a_text_that_cannot_be_scanned() {
        assert_eq!(
            literal_free(b"SELECT name FROM t WHERE x = 'secret"),
            "SELECT name FROM t WHERE x ?"
        );
        assert_eq!(literal_free(b"SELECT /* secret"), "SELECT ?");
        assert_eq!(literal_free(b"SELECT 1a secret"), "SELECT ?");
        assert_eq!(literal_free(b"SELECT $q$ secret"), "SELECT ?");
        assert_eq!(literal_free(b"SELECT a\0 secret"), "SELECT a ?");
        assert_eq!(literal_free(b""), "");
    }

    #[test]
    fn replaces_bytes_that_are_no_text_in_an_identifier() {
        assert_eq!(literal_free(b"SELECT \"a\xffb\""), "SELECT \"a?b\"");
    }
}

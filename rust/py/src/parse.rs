// SPDX-License-Identifier: Apache-2.0
//! The parser of a question's text: PostgreSQL's own grammar.

use gatebook_carrier::Parsed;
use gatebook_wire::Question;

/// The tree of the text, or why there is none. No text, no tree and no error.
pub(crate) fn parse(question: &Question) -> Parsed {
    if question.text.is_empty() {
        return Parsed::default();
    }
    if question.too_long {
        return Parsed::failed("too long");
    }
    let Ok(text) = std::str::from_utf8(&question.text) else {
        return Parsed::failed("statement is not UTF-8");
    };
    match gatebook_pgparse::parse(text) {
        Ok(tree) => Parsed { tree: Some(tree.into_bytes()), error: String::new() },
        Err(error) => Parsed::failed(error.to_string()),
    }
}

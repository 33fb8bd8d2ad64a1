// SPDX-License-Identifier: Apache-2.0
//! Whatever the text: PostgreSQL's scanner and parser end, tokens lie within it in order, no
//! constant is left in what goes into leaves, and ranges of passwords are ranges.
#![no_main]

use gatebook_pgparse::{literal_free, parse, password_literals, tokens};
use libfuzzer_sys::fuzz_target;

const CONSTANTS: [&str; 6] = ["SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST"];

fuzz_target!(|text: &[u8]| {
    let free = literal_free(text);
    if std::str::from_utf8(text).is_ok() {
        for token in tokens(free.as_bytes()).unwrap_or_default() {
            assert!(!CONSTANTS.contains(&token.kind), "{token:?} in {free:?}");
        }
    }
    let mut end = 0;
    for token in tokens(text).unwrap_or_default() {
        assert!(
            token.start >= end && token.end > token.start && token.end <= text.len(),
            "{token:?}"
        );
        end = token.end;
    }
    end = 0;
    for (from, to) in password_literals(text) {
        assert!(from >= end && to > from && to <= text.len(), "{from}..{to}");
        end = to;
    }
    if let Ok(text) = std::str::from_utf8(text) {
        match parse(text) {
            Ok(tree) => assert!(tree.starts_with("{\"version\":"), "{tree}"),
            Err(error) => {
                assert!(!error.message.is_empty() && error.message.chars().count() <= 240)
            }
        }
    }
});

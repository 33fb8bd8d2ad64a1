// SPDX-License-Identifier: Apache-2.0
//! Whatever the text: where it has a shape, PostgreSQL's scanner finds the same tokens, and each
//! piece of the shape is its token or stands for a constant of its kind. It holds no password.
#![no_main]

use gatebook_pgparse::{password_literals, tokens, Token};
use gatebook_wire::shape::shape;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut out = Vec::new();
    if !shape(text, &mut out) {
        return;
    }
    assert_eq!(password_literals(text), [], "a password would be blotted out where another's was");
    let tokens = tokens(text).expect("what has a shape can be scanned");
    let is_comment = |token: &&Token| matches!(token.kind, "SQL_COMMENT" | "C_COMMENT");
    let mut rest = out.as_slice();
    for (at, token) in tokens.iter().filter(|token| !is_comment(token)).enumerate() {
        if at > 0 {
            rest = rest.strip_prefix(b" ").expect("tokens stand one space apart");
        }
        let own = &text[token.start..token.end];
        if let Some(behind) = rest.strip_prefix(b"\x01n") {
            assert!(matches!(token.kind, "ICONST" | "FCONST"), "{token:?}");
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix(b"\x01s") {
            assert!(token.kind == "SCONST" && own.starts_with(b"'"), "{token:?}");
            rest = behind;
        } else {
            rest = rest.strip_prefix(own).expect("what is not replaced stays as it is");
        }
    }
    assert!(rest.is_empty());
});

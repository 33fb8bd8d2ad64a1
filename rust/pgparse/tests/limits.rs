// SPDX-License-Identifier: Apache-2.0
//! What an attacker would try on the parser: depth, size, bytes that are no text, many threads.
#![allow(clippy::unwrap_used)] // tests fail by panicking

use gatebook_pgparse::{literal_free, parse, password_literals, tokens, TEXT_BYTES};

/// Runs on a thread with the stack of a blocking thread of tokio.
fn on_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    thread.spawn(work).unwrap().join().unwrap()
}

/// `head`, then `piece` as often as fits the bound, then `tail`; then the whole thing closed.
fn filled(head: &str, piece: &str, tail: &str) -> String {
    let times = (TEXT_BYTES - head.len() - tail.len()) / piece.len();
    format!("{head}{}{tail}", piece.repeat(times))
}

#[test]
fn parses_a_statement_into_json() {
    let tree = parse("SELECT 1").unwrap();
    assert!(tree.starts_with(r#"{"version":180006,"stmts":[{"stmt":{"SelectStmt":"#), "{tree}");
}

#[test]
fn tells_where_a_statement_is_wrong() {
    let error = parse("SELECT * FORM t").unwrap_err();
    assert_eq!(error.message, "syntax error at or near \"FORM\"");
    assert_eq!(error.cursor, 10);
}

#[test]
fn names_tokens_with_their_bytes() {
    let found: Vec<_> = tokens("sélect 'é' -- x".as_bytes()).unwrap();
    let found: Vec<_> = found.iter().map(|t| (t.kind, t.start, t.end)).collect();
    assert_eq!(found, [("IDENT", 0, 7), ("SCONST", 8, 12), ("SQL_COMMENT", 13, 17)]);
}

#[test]
fn refuses_a_nul_byte_and_a_text_over_the_bound() {
    assert_eq!(
        parse("SELECT 1\0; DROP TABLE t").unwrap_err().message,
        "statement holds a NUL byte"
    );
    assert!(tokens(b"a\0b").is_err());
    let long = "x".repeat(TEXT_BYTES + 1);
    assert_eq!(parse(&long).unwrap_err().message, "statement is longer than 262144 bytes");
    assert_eq!(literal_free(long.as_bytes()), format!("{long} ?"));
}

#[test]
fn survives_deep_and_long_texts_on_a_small_stack_in_bounded_time() {
    let closed = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("SELECT {}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let mut texts = vec![
        closed("(", "1", ")", 50_000),
        closed("(SELECT ", "1", ")", 20_000),
        closed("ARRAY[", "1", "]", 20_000),
        closed("f(", "1", ")", 50_000),
        closed("CASE WHEN a THEN ", "1", " END", 10_000),
        closed("", "a", "::int", 50_000),
        closed("", "a", "[1]", 80_000),
        filled("SELECT ", "(", "1"),
        filled("SELECT a", "+a", ""),
        filled("SELECT a", "||a", ""),
        filled("SELECT ", "- ", "1"),
        filled("SELECT ", "NOT ", "a"),
        filled("SELECT a", " AND a", ""),
        filled("SELECT a", " UNION SELECT a", ""),
        filled("SELECT * FROM a", " JOIN a ON a", ""),
        filled("SELECT * FROM a", ", a", ""),
        filled("SELECT a", " COLLATE a", ""),
        filled("SELECT a", ".a", ""),
        filled("SELECT 1 IN (1", ",1", ")"),
        filled("SELECT 1", ";SELECT 1", ""),
        filled("SELECT ", "/*", ""),
        filled("SELECT ", "/* ", ""),
        filled("SELECT ", "+", "1"),
        filled("SELECT ", "<+", "1"),
        filled("SELECT ", &format!("{} ", "+".repeat(300)), "1"),
        filled("SELECT ", &format!("{} ", "/*".repeat(150)), "1"),
        filled("SELECT ", "$a", ""),
        filled("SELECT $b$", "$a$", ""),
        filled("SELECT 'a'", "\n--\n", "'b"),
        filled("SELECT ", "'a'\n", ""),
        filled("SELECT \"", "\"\"", ""),
        filled("SELECT E'", "\\", ""),
        filled("SELECT ", "1.", ""),
    ];
    texts.push(closed("", "a", " IS NULL", 30_000));
    texts.push(format!(
        "WITH a AS ({}SELECT 1{}) SELECT 1",
        "WITH a AS (".repeat(9_000),
        ") SELECT 1".repeat(9_000)
    ));
    texts.push(format!("EXPLAIN {} SELECT 1", "EXPLAIN ".repeat(30_000)));
    let ended = on_small_stack(move || {
        for text in &texts {
            assert!(text.len() <= TEXT_BYTES, "{}", text.len());
            let started = std::time::Instant::now();
            if let Err(error) = parse(text) {
                assert!(!error.message.is_empty());
            }
            let _ = tokens(text.as_bytes());
            let _ = literal_free(text.as_bytes());
            let _ = password_literals(text.as_bytes());
            let head: String = text.chars().take(40).collect();
            let spent = started.elapsed();
            assert!(spent < std::time::Duration::from_secs(3), "{head}.. took {spent:?}");
        }
        // The thread's parser still works.
        parse("SELECT 1").is_ok()
    });
    assert!(ended);
}

#[test]
fn says_that_the_stack_does_not_hold_a_deep_expression() {
    let text = filled("SELECT a", "+a", "");
    let message = on_small_stack(move || parse(&text).unwrap_err().message);
    assert_eq!(message, "stack depth limit exceeded");
}

#[test]
fn four_threads_parse_at_once_and_agree() {
    let texts: Vec<String> = (0..200)
        .map(|n| match n % 4 {
            0 => format!("SELECT a{n}, 'b' FROM t WHERE x = {n}"),
            1 => format!("INSERT INTO t{n} VALUES ({n}, 'x')"),
            2 => format!("SELECT FROM WHERE {n}"),
            _ => format!("SELECT 'open {n}"),
        })
        .collect();
    let all = |texts: &[String]| -> Vec<_> {
        texts.iter().map(|t| (parse(t), tokens(t.as_bytes()), literal_free(t.as_bytes()))).collect()
    };
    let expected = all(&texts);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..20).all(|_| all(&texts) == expected))).collect();
        assert!(threads.into_iter().all(|t| t.join().unwrap()));
    });
}

#[test]
fn refuses_a_run_of_operators_that_would_take_minutes() {
    let error = parse(&filled("", "/*", "")).unwrap_err();
    assert_eq!(error.message, "statement holds too long a run of operator characters");
    assert!(parse(&format!("SELECT '{}' -- {}", "=".repeat(5_000), "=".repeat(5_000))).is_ok());
}

#[test]
fn cuts_the_rest_of_the_text_out_of_an_error() {
    let error = parse(&format!("SELECT '{}", "a".repeat(100_000))).unwrap_err();
    assert!(
        error.message.starts_with("unterminated quoted string at or near \"'aaa"),
        "{}",
        error.message
    );
    assert_eq!(error.message.len(), 240);
}

// SPDX-License-Identifier: Apache-2.0
//! What the shape replaces and what it leaves; that its lexer agrees with PostgreSQL's scanner is in
//! `differential`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking

use std::time::Instant;

use super::*;

mod differential;

/// The shape with the mark shown as `~`; `?` where it is not certain.
fn shown(text: &str) -> String {
    let mut out = Vec::new();
    if !shape(text.as_bytes(), &mut out) {
        return "?".to_owned();
    }
    String::from_utf8(out).unwrap().replace('\x01', "~")
}

fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(shown(text), *expected, "{text}");
    }
}

#[test]
fn replaces_operands_of_comparisons_and_arithmetic() {
    check(&[
        ("SELECT abalance FROM t WHERE aid = 5;", "SELECT abalance FROM t WHERE aid = ~n ;"),
        ("select a from t where b='x' and c<>1.5e3", "select a from t where b = ~s and c <> ~n"),
        ("UPDATE t SET a = a + -17 WHERE id = 3", "UPDATE t SET a = a + - ~n WHERE id = ~n"),
        (
            "SELECT a FROM t WHERE x >= 1 OR y <= 2 OR z != .5",
            "SELECT a FROM t WHERE x >= ~n OR y <= ~n OR z != ~n",
        ),
        ("SELECT a*2/3 FROM t", "SELECT a * ~n / ~n FROM t"),
        ("SELECT CASE WHEN a = 1 THEN 2 ELSE 3 END", "SELECT CASE WHEN a = ~n THEN 2 ELSE 3 END"),
        (
            "SELECT a FROM t WHERE (b = 1) AND (c = 'it''s')",
            "SELECT a FROM t WHERE ( b = ~n ) AND ( c = ~s )",
        ),
        ("SELECT a FROM t WHERE b = 5 ORDER BY 1", "SELECT a FROM t WHERE b = ~n ORDER BY 1"),
        ("SELECT a FROM t WHERE b=-5", "SELECT a FROM t WHERE b = - ~n"),
    ]);
}

#[test]
fn replaces_elements_of_values_and_in_lists() {
    check(&[
        (
            "INSERT INTO t VALUES (1, 'a', -2.5, $1, DEFAULT)",
            "INSERT INTO t VALUES ( ~n , ~s , - ~n , $1 , DEFAULT )",
        ),
        (
            "INSERT INTO t (a) VALUES (1), ('b') , (now())",
            "INSERT INTO t ( a ) VALUES ( ~n ) , ( ~s ) , ( now ( ) )",
        ),
        ("VALUES (1)", "VALUES ( ~n )"),
        (
            "SELECT a FROM t WHERE b IN (1, 'x') AND c NOT IN (2)",
            "SELECT a FROM t WHERE b IN ( ~n , ~s ) AND c NOT IN ( ~n )",
        ),
        (
            "SELECT a FROM t WHERE b IN (VALUES (1), (2))",
            "SELECT a FROM t WHERE b IN ( VALUES ( ~n ) , ( ~n ) )",
        ),
        (
            "INSERT INTO t VALUES ('1'::int, (1), 1 + 2, f(3))",
            "INSERT INTO t VALUES ( '1' :: int , ( 1 ) , 1 + ~n , f ( 3 ) )",
        ),
        (
            "SELECT a FROM t WHERE b IN (SELECT 1, 2 FROM u WHERE c = 3)",
            "SELECT a FROM t WHERE b IN ( SELECT 1 , 2 FROM u WHERE c = ~n )",
        ),
    ]);
}

#[test]
fn leaves_every_constant_whose_value_may_matter() {
    for text in [
        "SELECT 1 , 'a'",
        "SELECT - 1",
        "SELECT a FROM t ORDER BY 2 , 1",
        "SELECT a FROM t GROUP BY 1 HAVING true",
        "SELECT a FROM t LIMIT 5 OFFSET 10",
        "SELECT a FROM t LIMIT 5 + 1 OFFSET - 10 * 2",
        "SELECT a FROM t FETCH FIRST 3 ROWS ONLY",
        "SELECT a -> 'k' ->> 'l' #> '{m}' FROM t",
        "SELECT a FROM t WHERE b -> 'k' @> '1'",
        "SELECT a FROM t WHERE d = date '2020-01-01'",
        "SELECT a FROM t WHERE d > '2020-01-01' :: date",
        "SELECT a FROM t WHERE d > CAST ( '2020-01-01' AS date )",
        "SELECT a FROM t WHERE d > now ( ) - interval '1 day'",
        "SELECT a FROM t WHERE d = INTERVAL '1' DAY",
        "SELECT f ( 1 , 'a' , - 1 , x = 1 , ( 2 + 3 ) )",
        "SELECT pg_sleep ( 0 + 5 )",
        "SELECT x . y ( a + 1 )",
        "SELECT \"f\" ( a + 1 )",
        "SELECT f ( a => 1 , b := 2 )",
        "SELECT a [ 1 + 1 ] , ARRAY [ 2 , x + 3 ]",
        "SELECT a FROM t WHERE b = E'x' AND c = B'1' AND d = X'f' AND e = $$z$$",
        "SELECT a FROM t WHERE b LIKE 'x%' AND c BETWEEN 1 AND 2",
        "SELECT a FROM t WHERE b = 'x' COLLATE \"C\"",
        "SELECT a = 5 AS b",
        "SELECT a || 'x' , b % 2 , c ^ 2",
        "SELECT a FROM t WHERE b = ANY ( '{1,2}' )",
        "SELECT a FROM t TABLESAMPLE BERNOULLI ( 10 )",
        "SELECT a :: numeric ( 10 , 2 ) FROM t",
        "SELECT ( SELECT a FROM t LIMIT 1 + 1 )",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn a_query_inside_a_call_is_shaped_as_any_other() {
    check(&[
        (
            "SELECT f((SELECT a FROM t WHERE b = 5))",
            "SELECT f ( ( SELECT a FROM t WHERE b = ~n ) )",
        ),
        (
            "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.c = 5)",
            "SELECT a FROM t WHERE EXISTS ( SELECT 1 FROM u WHERE u . c = ~n )",
        ),
        (
            "WITH x AS (DELETE FROM t WHERE a = 1 RETURNING *) SELECT * FROM x WHERE b = 2",
            "WITH x AS ( DELETE FROM t WHERE a = ~n RETURNING * ) SELECT * FROM x WHERE b = ~n",
        ),
    ]);
}

#[test]
fn comments_and_white_space_do_not_matter() {
    check(&[
        ("SELECT/* a /* b */ */a\n\tFROM t--x\nWHERE b=5-- y", "SELECT a FROM t WHERE b = ~n"),
        (" \r\n SELECT a FROM t WHERE b =+5 /**/;", "SELECT a FROM t WHERE b = + ~n ;"),
        ("SELECT a FROM t WHERE b =/* x */5", "SELECT a FROM t WHERE b = ~n"),
    ]);
}

#[test]
fn is_not_certain_of_what_it_does_not_know() {
    let long = format!("SELECT {}", "a".repeat(TEXT_BYTES));
    let deep = format!("SELECT {}1{}", "(".repeat(DEPTH), ")".repeat(DEPTH));
    for text in [
        "",
        ";",
        "SET a = 5",
        "EXECUTE p(1)",
        "DO $$x$$",
        "COPY t TO STDOUT",
        "SELECT 1; SELECT 2",
        "SELECT 1;;",
        "SELECT é",
        "SELECT aé",
        "SELECT 'a",
        "SELECT \"a",
        "SELECT \"\"",
        "SELECT /* a",
        "SELECT $a$ b",
        "SELECT $a",
        "SELECT $1a",
        "SELECT $9999999999",
        "SELECT \\",
        "SELECT 'a\\'",
        "SELECT E'a\\''",
        "SELECT U&'a'",
        "SELECT U&\"a\"",
        "SELECT N'a'",
        "SELECT 1a",
        "SELECT 0x1F",
        "SELECT 1_000",
        "SELECT 1.",
        "SELECT 1.5.5",
        "SELECT 1..2",
        "SELECT 1e",
        "SELECT 'a' 'b'",
        "SELECT 'a'\n'b'",
        "SELECT 'a' -- x\n 'b'",
        "SELECT E'a'\n'b'",
        "SELECT a\0",
        "SELECT 'a\0'",
        "SELECT \x01",
        "SELECT (1",
        "SELECT 1)",
        "SELECT a \x0b FROM t",
        "UPDATE u SET PassWord = 'x' WHERE id = 5",
        "UPDATE u SET connection = 'x'",
        "SELECT $$ConnectioN 'x'$$",
        "SELECT a FROM t WHERE b = 'host=h password=p'",
        "SELECT a FROM t WHERE b = 'postgres://u:p@h/d'",
        "SELECT a FROM t WHERE b = 5 /* PASSWORD 'x' */",
        &format!("SELECT a {} b", "+".repeat(64)),
        &long,
        &deep,
    ] {
        assert_eq!(shown(text), "?", "{text}");
    }
}

#[test]
fn a_mark_inside_quotes_is_no_mark() {
    let mut out = Vec::new();
    assert!(shape(b"SELECT \"\x01n\" FROM t WHERE a = 'x' COLLATE b", &mut out));
    assert_eq!(out, b"SELECT \"\x01n\" FROM t WHERE a = 'x' COLLATE b");
}

#[test]
fn lexes_operators_as_postgresql_does() {
    for (text, pieces) in [
        ("a=-b", &["a", "=", "-", "b"][..]),
        ("a@-b", &["a", "@-", "b"]),
        ("a<>-1", &["a", "<>", "-", "1"]),
        ("a*-+-1", &["a", "*", "-", "+", "-", "1"]),
        ("a=>b:=c::d", &["a", "=>", "b", ":=", "c", "::", "d"]),
        ("a</*x*/b", &["a", "<", "b"]),
        ("a@--x", &["a", "@"]),
        ("a.b.*", &["a", ".", "b", ".", "*"]),
        ("$1+.5", &["$1", "+", ".5"]),
        ("a$b$c", &["a$b$c"]),
        ("$a$ $b$ $a$$1", &["$a$ $b$ $a$", "$1"]),
    ] {
        let found = lexed(text.as_bytes()).unwrap();
        let found: Vec<_> = found.iter().map(|token| &text[token.start..token.end]).collect();
        assert_eq!(found, pieces, "{text}");
    }
}

fn lexed(text: &[u8]) -> Option<Vec<Lexeme>> {
    let mut lexer = Lexer::new(text);
    let mut found = Vec::new();
    while let Some(lexeme) = lexer.next()? {
        found.push(lexeme);
    }
    Some(found)
}

#[test]
fn texts_that_differ_in_replaced_values_only_share_their_shape() {
    let of = |a: &str, b: &str| format!("SELECT x FROM t WHERE a = {a} AND b IN ({b}, 2)");
    let first = shown(&of("1", "'x'"));
    assert_eq!(first, "SELECT x FROM t WHERE a = ~n AND b IN ( ~s , ~n )");
    assert_eq!(shown(&of("2.5", "'it''s; DROP TABLE t'")), first);
    assert_ne!(shown(&of("'1'", "'x'")), first);
    assert_ne!(shown(&of("-1", "'x'")), first);
}

#[test]
#[ignore = "a measurement, not a check: run it in release with --nocapture"]
fn measures_a_statement_of_pgbench() {
    for text in [
        "SELECT abalance FROM pgbench_accounts WHERE aid = 123456;",
        "UPDATE pgbench_accounts SET abalance = abalance + -4321 WHERE aid = 123456;",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (5, 1, 123456, -4321, CURRENT_TIMESTAMP);",
    ] {
        // The best of many short runs: the machine may be busy with other things.
        let mut out = Vec::new();
        let mut run = || {
            let started = Instant::now();
            for _ in 0..1_000 {
                assert!(shape(std::hint::black_box(text.as_bytes()), &mut out));
            }
            started.elapsed().as_nanos() / 1_000
        };
        let best = (0..1_000).map(|_| run()).min().unwrap();
        println!("{best} ns: {text}");
    }
}

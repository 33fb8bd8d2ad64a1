// SPDX-License-Identifier: Apache-2.0
//! The foreign functions of `libpg_query` that this crate uses, each behind one safe function.
//!
//! Source: `pg_query.h` of the crate `pg_query` 18.1 (its own bindings are private). The
//! structures below repeat that header's layout.
#![allow(unsafe_code)] // the one place of this crate that calls C

use std::ffi::{c_char, c_int, c_uint, CStr, CString};

use pg_query as _; // links the C library

use crate::{ParseError, Token, MESSAGE_CHARACTERS};

#[repr(C)]
struct PgQueryError {
    message: *mut c_char,
    funcname: *mut c_char,
    filename: *mut c_char,
    lineno: c_int,
    cursorpos: c_int,
    context: *mut c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct PgQueryParseResult {
    parse_tree: *mut c_char,
    stderr_buffer: *mut c_char,
    error: *mut PgQueryError,
}

#[repr(C)]
struct PgQueryScanToken {
    start: c_int,
    end: c_int,
    token: c_uint,
    keyword_kind: c_uint,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct PgQueryScanTokensResult {
    tokens: *mut PgQueryScanToken,
    n_tokens: c_int,
    error: *mut PgQueryError,
}

extern "C" {
    fn pg_query_parse(input: *const c_char) -> PgQueryParseResult;
    fn pg_query_free_parse_result(result: PgQueryParseResult);
    fn pg_query_scan_tokens(input: *const c_char) -> PgQueryScanTokensResult;
    fn pg_query_free_scan_tokens_result(result: PgQueryScanTokensResult);
    fn pg_query_token_name(token: c_uint) -> *const c_char;
}

/// A result of the parser, freed when it goes.
struct Parsed(PgQueryParseResult);

impl Drop for Parsed {
    fn drop(&mut self) {
        // SAFETY: the result came from `pg_query_parse`, is freed once, here, and no reference
        // into it outlives `self`.
        unsafe { pg_query_free_parse_result(self.0) }
    }
}

/// A result of the scanner, freed when it goes.
struct Scanned(PgQueryScanTokensResult);

impl Drop for Scanned {
    fn drop(&mut self) {
        // SAFETY: the result came from `pg_query_scan_tokens`, is freed once, here, and no
        // reference into it outlives `self`.
        unsafe { pg_query_free_scan_tokens_result(self.0) }
    }
}

pub fn parse(text: &CStr) -> Result<String, ParseError> {
    // SAFETY: `text` is NUL-terminated and lives through the call; the function keeps no pointer
    // to it, catches its own errors, and works on memory of the calling thread only.
    let parsed = Parsed(unsafe { pg_query_parse(text.as_ptr()) });
    if let Some(error) = error(parsed.0.error) {
        return Err(error);
    }
    let tree = owned(parsed.0.parse_tree).unwrap_or_default();
    tree.into_string().map_err(|_| ParseError {
        message: "the parser's answer is not UTF-8".to_owned(),
        cursor: 0,
    })
}

pub fn tokens(text: &CStr) -> Result<Vec<Token>, ParseError> {
    // SAFETY: as in `parse`.
    let scanned = Scanned(unsafe { pg_query_scan_tokens(text.as_ptr()) });
    if let Some(error) = error(scanned.0.error) {
        return Err(error);
    }
    let count = usize::try_from(scanned.0.n_tokens).unwrap_or(0);
    if scanned.0.tokens.is_null() || count == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: without an error `tokens` points to `n_tokens` initialised elements that live
    // until `scanned` is dropped, which is after the last use of the slice.
    let raw = unsafe { std::slice::from_raw_parts(scanned.0.tokens, count) };
    let token = |t: &PgQueryScanToken| {
        let (start, end) = (usize::try_from(t.start).ok()?, usize::try_from(t.end).ok()?);
        Some(Token { kind: name(t.token), start, end })
    };
    raw.iter().map(token).collect::<Option<Vec<_>>>().ok_or_else(|| ParseError {
        message: "the scanner gave a negative offset".to_owned(),
        cursor: 0,
    })
}

fn name(token: c_uint) -> &'static str {
    // SAFETY: the function takes any number and returns NULL or a string constant of the library.
    let name = unsafe { pg_query_token_name(token) };
    if name.is_null() {
        return "?";
    }
    // SAFETY: not NULL, so a NUL-terminated constant that lives as long as the program.
    unsafe { CStr::from_ptr(name) }.to_str().unwrap_or("?")
}

fn error(raw: *const PgQueryError) -> Option<ParseError> {
    // SAFETY: NULL, or an error that the library filled and that lives until its result is freed,
    // which every caller does after this returns.
    let error = unsafe { raw.as_ref() }?;
    let message = owned(error.message)
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .take(MESSAGE_CHARACTERS)
        .collect();
    Some(ParseError { message, cursor: u32::try_from(error.cursorpos).unwrap_or(0) })
}

fn owned(text: *const c_char) -> Option<CString> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, so a NUL-terminated string of the library that lives until its result is
    // freed, which every caller does after the copy is made.
    Some(unsafe { CStr::from_ptr(text) }.to_owned())
}

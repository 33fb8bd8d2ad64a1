// SPDX-License-Identifier: Apache-2.0
//! Cause words that Python gives: stable words, each kept once for the life of the process.

use std::sync::{Mutex, PoisonError};

use pyo3::PyResult;

use crate::error::native;

/// LIMIT: different words; evidence knows a few, and each is kept for ever.
const WORDS: usize = 64;
/// LIMIT: characters of a word.
const CHARACTERS: usize = 40;

static KNOWN: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// The word as a cause carries it. Lower-case letters and spaces only.
pub(crate) fn word(text: &str) -> PyResult<&'static str> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b' ';
    if text.is_empty() || text.len() > CHARACTERS || !text.bytes().all(is_word) {
        return Err(native("a cause is a few lower-case words"));
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(word) = known.iter().find(|word| **word == text) {
        return Ok(word);
    }
    if known.len() >= WORDS {
        return Err(native("too many different causes"));
    }
    let word: &'static str = Box::leak(text.into());
    known.push(word);
    Ok(word)
}

// SPDX-License-Identifier: Apache-2.0
//! Functions without I/O: PostgreSQL's parser and scanner, shapes, links, private parts.

use gatebook_wire::entry::{hex, Sealer};
use gatebook_wire::leaves::{read_leaves, Stop};
use gatebook_wire::shape;
use pyo3::prelude::*;

use crate::error::native;

/// Parse with PostgreSQL's own grammar; canonical JSON of `libpg_query`. `NativeError` if it cannot.
#[pyfunction]
pub(crate) fn parse_sql(py: Python<'_>, text: &[u8]) -> PyResult<Vec<u8>> {
    let text = std::str::from_utf8(text).map_err(|_| native("statement is not UTF-8"))?;
    let tree = py.detach(|| gatebook_pgparse::parse(text)).map_err(native)?;
    Ok(tree.into_bytes())
}

/// The cache key shape; None where the lexer is not sure (then only exact text may be a key).
#[pyfunction]
pub(crate) fn sql_shape(py: Python<'_>, text: &[u8]) -> Option<Vec<u8>> {
    py.detach(|| {
        let mut out = Vec::new();
        shape::shape(text, &mut out).then_some(out)
    })
}

/// The statement without literals and comments, for leaves; never fails, unclear bytes become `?`.
#[pyfunction]
pub(crate) fn sql_literal_free(py: Python<'_>, text: &[u8]) -> String {
    py.detach(|| gatebook_pgparse::literal_free(text))
}

/// Byte ranges (quotes included) of literals that are passwords, ascending; never fails.
#[pyfunction]
pub(crate) fn sql_password_literals(py: Python<'_>, text: &[u8]) -> Vec<(usize, usize)> {
    py.detach(|| gatebook_pgparse::password_literals(text))
}

/// `PostgreSQL`'s scanner: (kind, start, end) in bytes; `NativeError` if it cannot.
#[pyfunction]
pub(crate) fn sql_tokens(
    py: Python<'_>,
    text: &[u8],
) -> PyResult<Vec<(&'static str, usize, usize)>> {
    let tokens = py.detach(|| gatebook_pgparse::tokens(text)).map_err(native)?;
    Ok(tokens.into_iter().map(|token| (token.kind, token.start, token.end)).collect())
}

type Leaves = (Vec<u8>, Vec<u8>, usize, usize, Vec<u8>, &'static str);

/// Leaves of at most `most` records of a segment's bytes: bundle, hashes, how many, offset behind
/// them, their last link, and why there are no more: ``, `end`, `unfinished`, or what is wrong.
#[pyfunction]
pub(crate) fn journal_leaves(
    py: Python<'_>,
    segment: &[u8],
    start: usize,
    previous: &[u8],
    most: usize,
) -> PyResult<Leaves> {
    let previous = previous.try_into().map_err(|_| native("a link has 32 bytes"))?;
    let all = py.detach(|| read_leaves(segment, start, previous, most));
    let stop = match all.stop {
        Stop::Full => "",
        Stop::End => "end",
        Stop::Unfinished => "unfinished",
        Stop::Broken(words) => words,
    };
    Ok((all.bundle, all.hashes, all.count, all.end, all.link.to_vec(), stop))
}

/// Blob of a private part, sealed, and its commitment `sha256:...` (docs/spec/entry.md).
#[pyfunction]
pub(crate) fn private_seal(
    py: Python<'_>,
    key: &[u8],
    session: &str,
    seq: u64,
    operation: u64,
    private: &[u8],
) -> PyResult<(Vec<u8>, String)> {
    let key = key.try_into().map_err(|_| native(KEY))?;
    py.detach(|| {
        let mut sealed = Vec::new();
        let commitment = Sealer::new(key, session)?.seal(seq, operation, private, &mut sealed)?;
        Some((sealed, format!("sha256:{}", hex(&commitment))))
    })
    .ok_or_else(|| native("the private part cannot be sealed"))
}

/// Salt and JSON of a sealed private part. `NativeError` if it does not authenticate.
#[pyfunction]
pub(crate) fn private_open(
    py: Python<'_>,
    key: &[u8],
    session: &str,
    seq: u64,
    sealed: &[u8],
) -> PyResult<Vec<u8>> {
    let key = key.try_into().map_err(|_| native(KEY))?;
    py.detach(|| Sealer::new(key, session)?.open(seq, sealed))
        .ok_or_else(|| native("the private part does not authenticate"))
}

const KEY: &str = "a recording key has 32 bytes";

// SPDX-License-Identifier: Apache-2.0
//! The journal's record layout (docs/spec/journal.md), shared by writer, reader and tests.
//!
//! ```text
//! record   := length u32 BE | entry | link
//! entry    := leaf length u32 BE | leaf | private part
//! length   := bytes of entry
//! link     := SHA-256(previous link, entry), 32 bytes
//! ```
//! The first link of a segment follows the link in that segment's header.

use ring::digest::{Context, SHA256};

/// Bytes of a link.
pub const LINK_BYTES: usize = 32;
/// LIMIT: a leaf must fit a 16-bit length in an entry bundle (C2SP tlog-tiles).
pub const LEAF_BYTES: usize = 65_535;
/// LIMIT: leaf and private part together; larger things enter by hash.
pub const ENTRY_BYTES: usize = 4 * 1024 * 1024;

/// Appends an unlinked record: length and entry. The writer adds the link.
pub fn put_record(out: &mut Vec<u8>, leaf: &[u8], private: &[u8]) {
    let leaf_len = u32::try_from(leaf.len()).unwrap_or(u32::MAX);
    let len = u32::try_from(leaf.len() + private.len() + 4).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&leaf_len.to_be_bytes());
    out.extend_from_slice(leaf);
    out.extend_from_slice(private);
}

/// The link of an entry behind `previous`.
pub fn link(previous: &[u8; LINK_BYTES], entry: &[u8]) -> [u8; LINK_BYTES] {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(entry);
    let mut link = [0; LINK_BYTES];
    link.copy_from_slice(context.finish().as_ref());
    link
}

/// Splits unlinked records into entries; `None` at the end or at bytes that are no record.
pub fn entries(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_be_bytes(*head)).ok()?;
        let entry = rest.get(..len)?;
        bytes = rest.get(len..)?;
        Some(entry)
    })
}

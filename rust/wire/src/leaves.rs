// SPDX-License-Identifier: Apache-2.0
//! Journal records as the ledger takes them (docs/spec/ledger.md): bundled leaves and their hashes.

use ring::digest::{Context, SHA256};

use crate::journal::{link, ENTRY_BYTES, LEAF_BYTES, LINK_BYTES};

/// Bytes of the two lengths in front of a leaf; the second counts as part of the entry.
const LENGTH_BYTES: usize = 4;
/// RFC 6962, 2.1: what is hashed in front of a leaf.
const LEAF_PREFIX: [u8; 1] = [0];

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// As many leaves as were asked for.
    Full,
    /// A length of 0: the end of what was written.
    End,
    /// The bytes end within a record.
    Unfinished,
    /// These bytes are no record that follows the link.
    Broken(&'static str),
}

/// Leaves of consecutive records.
#[derive(Debug, PartialEq, Eq)]
pub struct Leaves {
    /// An entry bundle: for each leaf its length (u16 BE) and its bytes.
    pub bundle: Vec<u8>,
    /// Leaf hashes, 32 bytes each.
    pub hashes: Vec<u8>,
    /// How many.
    pub count: usize,
    /// Offset behind the last of their records.
    pub end: usize,
    /// Link of that record.
    pub link: [u8; LINK_BYTES],
    /// Why there are no more.
    pub stop: Stop,
}

/// Reads at most `most` records of `bytes` from `start` on; `previous` is the link in front of them.
pub fn read_leaves(bytes: &[u8], start: usize, previous: [u8; LINK_BYTES], most: usize) -> Leaves {
    let (bundle, hashes) = (Vec::new(), Vec::new());
    let mut all = Leaves { bundle, hashes, count: 0, end: start, link: previous, stop: Stop::Full };
    while all.count < most {
        if let Err(stop) = all.take(bytes.get(all.end..).unwrap_or_default()) {
            all.stop = stop;
            break;
        }
    }
    all
}

impl Leaves {
    /// Takes the record that `bytes` begin with.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let (head, rest) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(Stop::Unfinished)?;
        let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if length == 0 {
            return Err(Stop::End);
        }
        if !(LENGTH_BYTES..=ENTRY_BYTES).contains(&length) {
            return Err(Stop::Broken("a record has an impossible length"));
        }
        let (entry, rest) = rest.split_at_checked(length).ok_or(Stop::Unfinished)?;
        let found = rest.first_chunk::<LINK_BYTES>().ok_or(Stop::Unfinished)?;
        let leaf = leaf_of(entry).ok_or(Stop::Broken("a record has an impossible leaf length"))?;
        let bytes_of_leaf = u16::try_from(leaf.len());
        let bytes_of_leaf = bytes_of_leaf.map_err(|_| Stop::Broken("a leaf is too long"))?;
        if link(&self.link, entry) != *found {
            return Err(Stop::Broken("a record's link does not hold"));
        }
        self.bundle.extend_from_slice(&bytes_of_leaf.to_be_bytes());
        self.bundle.extend_from_slice(leaf);
        let mut context = Context::new(&SHA256);
        context.update(&LEAF_PREFIX);
        context.update(leaf);
        self.hashes.extend_from_slice(context.finish().as_ref());
        self.count += 1;
        self.end += LENGTH_BYTES + length + LINK_BYTES;
        self.link = *found;
        Ok(())
    }
}

/// The leaf of an entry; `None` if its length is wrong.
fn leaf_of(entry: &[u8]) -> Option<&[u8]> {
    let (length, rest) = entry.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.get(..length).filter(|_| length <= LEAF_BYTES)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // tests fail by panicking
mod tests {
    use super::*;
    use crate::entry::sha256;
    use crate::journal::put_record;

    fn segment(leaves: &[&[u8]]) -> Vec<u8> {
        let (mut out, mut last) = (vec![7; 5], [9; LINK_BYTES]);
        for leaf in leaves {
            let start = out.len();
            put_record(&mut out, leaf, b"private");
            last = link(&last, &out[start + LENGTH_BYTES..]);
            out.extend_from_slice(&last);
        }
        out
    }

    fn read(bytes: &[u8], most: usize) -> Leaves {
        read_leaves(bytes, 5, [9; LINK_BYTES], most)
    }

    #[test]
    fn leaves_come_bundled_with_their_hashes_of_rfc_6962() {
        let bytes = segment(&[b"one", b"", b"three"]);
        let all = read(&bytes, 10);
        assert_eq!(all.bundle, b"\x00\x03one\x00\x00\x00\x05three");
        let hashes = [sha256(b"\x00one"), sha256(b"\x00"), sha256(b"\x00three")].concat();
        assert_eq!((all.hashes, all.count, all.end), (hashes, 3, bytes.len()));
        assert_eq!((&all.link[..], all.stop), (&bytes[bytes.len() - 32..], Stop::Unfinished));
    }

    #[test]
    fn reading_in_pieces_gives_the_same_leaves() {
        let mut bytes = segment(&[b"one", b"two", b"three"]);
        bytes.extend_from_slice(&[0; 64]);
        let whole = read(&bytes, 10);
        let first = read(&bytes, 2);
        let rest = read_leaves(&bytes, first.end, first.link, 10);
        assert_eq!((first.stop, rest.stop, whole.stop), (Stop::Full, Stop::End, Stop::End));
        assert_eq!([first.bundle, rest.bundle].concat(), whole.bundle);
        assert_eq!([first.hashes, rest.hashes].concat(), whole.hashes);
        assert_eq!((rest.end, rest.link), (whole.end, whole.link));
    }

    #[test]
    fn bytes_that_end_anywhere_within_a_record_are_unfinished() {
        let bytes = segment(&[b"one", b"two"]);
        let first = read(&bytes, 1).end;
        for cut in first..bytes.len() {
            let found = read(&bytes[..cut], 10);
            assert_eq!((found.count, found.end, found.stop), (1, first, Stop::Unfinished), "{cut}");
        }
    }

    #[test]
    fn a_changed_byte_anywhere_in_a_record_is_never_taken() {
        let bytes = segment(&[b"one", b"two"]);
        for at in 5..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(read(&changed, 10).count < 2, "{at}");
        }
    }

    #[test]
    fn a_link_of_another_chain_is_broken() {
        let found = read_leaves(&segment(&[b"one"]), 5, [8; LINK_BYTES], 10);
        assert_eq!(found.stop, Stop::Broken("a record's link does not hold"));
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Segment files: their names, their header and how one comes to be (docs/spec/journal.md).
//!
//! ```text
//! header := "GATEBOOKJNL1" (12) | version u32 BE = 1 | first entry u64 BE | previous link (32)
//!         | created unix microseconds u64 BE | writer id, zero padded (64)
//! ```

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gatebook_wire::journal::LINK_BYTES;

use super::disk::Disk;
use super::fault::JournalFault;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 128;
/// LIMIT: bytes of a writer id, which fills the rest of the header.
pub const WRITER_BYTES: usize = 64;
const MAGIC: &[u8; 12] = b"GATEBOOKJNL1";
const VERSION: u32 = 1;
/// A segment under construction; renamed when its header is on disk.
const UNFINISHED: &str = "next.tmp";

/// The head of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of its first entry, from 1.
    pub first: u64,
    /// Last link of the segment before; zeros in the first one.
    pub previous: [u8; LINK_BYTES],
    /// When it was made, microseconds since the epoch.
    pub created_us: u64,
    /// Whose journal it belongs to.
    pub writer: String,
}

impl Header {
    /// The header's bytes. The writer id is at most [`WRITER_BYTES`] long.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.created_us.to_be_bytes());
        out.extend_from_slice(self.writer.as_bytes());
        out.resize(HEADER_BYTES, 0);
        out
    }

    /// `None` unless the bytes are a header of this version.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<12>()?;
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (previous, rest) = rest.split_first_chunk::<LINK_BYTES>()?;
        let (created, writer) = rest.split_first_chunk::<8>()?;
        let end = writer.iter().rposition(|byte| *byte != 0)? + 1;
        let writer = std::str::from_utf8(writer.get(..end)?).ok()?;
        let first = u64::from_be_bytes(*first);
        let good = magic == MAGIC
            && u32::from_be_bytes(*version) == VERSION
            && first > 0
            && is_writer_id(writer);
        good.then(|| Self {
            first,
            previous: *previous,
            created_us: u64::from_be_bytes(*created),
            writer: writer.to_owned(),
        })
    }
}

/// Whether the text may name a writer and its folder.
pub fn is_writer_id(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=WRITER_BYTES).contains(&text.len()) && text.bytes().all(known) && !text.starts_with('.')
}

/// File name of the segment that begins with this entry.
pub fn name_of(first: u64) -> String {
    format!("{first:020}.seg")
}

/// Numbers of the first entries of the folder's segments, ascending.
pub fn list(folder: &Path) -> Result<Vec<u64>, JournalFault> {
    let fault = |error| JournalFault::io("cannot list the journal", &error);
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).map_err(fault)? {
        let name = file.map_err(fault)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|digits| {
            let is_ours = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_ours.then(|| digits.parse::<u64>().ok()).flatten()
        });
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes a segment of `bytes` bytes, preallocated, and gives it its name once its header is on
/// disk: a segment that has its name has its header.
pub(crate) fn create(
    disk: &dyn Disk,
    folder: &Path,
    header: &Header,
    bytes: u64,
) -> Result<File, JournalFault> {
    let (unfinished, path) = (folder.join(UNFINISHED), folder.join(name_of(header.first)));
    let fault = |error| JournalFault::io("cannot make a journal segment", &error);
    remove_unfinished(folder)?;
    if path.exists() {
        return Err(JournalFault::lost("a journal segment is there already"));
    }
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(fault)?;
    disk.allocate(&file, bytes).map_err(fault)?;
    disk.write(&file, &header.encode(), 0).map_err(fault)?;
    disk.sync(&file).map_err(fault)?;
    disk.rename(&unfinished, &path).map_err(fault)?;
    sync_folder(disk, folder)?;
    Ok(file)
}

/// Throws away a segment that never got its name; nothing was entered into it.
pub(crate) fn remove_unfinished(folder: &Path) -> Result<(), JournalFault> {
    match std::fs::remove_file(folder.join(UNFINISHED)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(JournalFault::io("cannot remove an unfinished journal segment", &error))
        }
        _ => Ok(()),
    }
}

/// Makes names of files in the folder survive power loss.
pub(crate) fn sync_folder(disk: &dyn Disk, folder: &Path) -> Result<(), JournalFault> {
    let fault = |error| JournalFault::io("cannot sync the journal's folder", &error);
    disk.sync(&File::open(folder).map_err(fault)?).map_err(fault)
}

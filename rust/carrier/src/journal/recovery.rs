// SPDX-License-Identifier: Apache-2.0
//! Taking up a journal again: find the last good record, set aside what is behind it.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gatebook_wire::entry::{put_time, Object};
use gatebook_wire::journal::LINK_BYTES;

use super::disk::Disk;
use super::fault::JournalFault;
use super::reader::{last_nonzero, SegmentReader};
use super::segment::{name_of, sync_folder};

/// Copied at a time.
const BLOCK_BYTES: usize = 256 * 1024;

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Entries in the journal, over the life of the writer.
    pub kept: u64,
    /// Bytes set aside.
    pub cut: u64,
    /// Name of the file that holds them; empty if there were none.
    pub aside: String,
}

/// A segment to go on writing, and where.
pub(crate) struct Resumed {
    pub(crate) file: File,
    /// Number of the segment's first entry.
    pub(crate) first: u64,
    pub(crate) offset: u64,
    pub(crate) next: u64,
    pub(crate) link: [u8; LINK_BYTES],
    pub(crate) recovery: Recovery,
}

/// Reads the last segment to its last good record; moves nonzero bytes behind it to an aside file
/// and cuts the segment there, so that it can be preallocated anew.
pub(crate) fn resume(
    disk: &dyn Disk,
    folder: &Path,
    first: u64,
    writer: &str,
    now_us: u64,
) -> Result<Resumed, JournalFault> {
    let name = name_of(first);
    let fault = |error| JournalFault::io("cannot recover the journal", &error);
    let path = folder.join(&name);
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(fault)?;
    let mut reader = SegmentReader::new(BufReader::new(&file))?;
    if reader.header().first != first || reader.header().writer != writer {
        return Err(JournalFault::lost(format!("segment {name} is not the one its name says")));
    }
    while reader.next_entry()?.is_some() {}
    let (offset, next, link) = (reader.offset(), reader.number(), reader.link());
    let mut recovery = Recovery { kept: next - 1, ..Recovery::default() };
    file.seek(SeekFrom::Start(offset)).map_err(fault)?;
    if let Some(bytes) = last_nonzero(&mut BufReader::new(&file))? {
        recovery.cut = bytes;
        recovery.aside = format!("{name}.{now_us}.aside");
        file.seek(SeekFrom::Start(offset)).map_err(fault)?;
        set_aside(disk, &mut (&file).take(bytes), &folder.join(&recovery.aside)).map_err(fault)?;
        sync_folder(disk, folder)?;
        disk.truncate(&file, offset).map_err(fault)?;
        disk.sync(&file).map_err(fault)?;
    }
    Ok(Resumed { file, first, offset, next, link, recovery })
}

fn set_aside(disk: &dyn Disk, bytes: &mut impl Read, path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let aside = options.write(true).create_new(true).mode(0o600).open(path)?;
    let mut at = 0;
    loop {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        bytes
            .by_ref()
            .take(u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX))
            .read_to_end(&mut block)?;
        if block.is_empty() {
            return disk.sync(&aside);
        }
        disk.write(&aside, &block, at)?;
        at += u64::try_from(block.len()).unwrap_or(u64::MAX);
    }
}

/// The leaf that says what was set aside.
pub(crate) fn leaf(recovery: &Recovery, writer: &str, now_us: u64) -> Vec<u8> {
    let mut out = Vec::new();
    Object::open(&mut out)
        .text("aside", &recovery.aside)
        .number("cut", recovery.cut)
        .text("event", "journal.recovered")
        .number("kept", recovery.kept)
        .with("time", |out| put_time(out, now_us))
        .number("v", 1)
        .text("writer", writer)
        .close();
    out
}

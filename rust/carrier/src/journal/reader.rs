// SPDX-License-Identifier: Apache-2.0
//! Reads journals: one segment as a stream, or a whole folder with everything that
//! docs/spec/journal.md makes a verifier reject (the leaves themselves are not judged here).
//!
//! Bounds: an entry is at most 4 MiB, and no more than the file holds is ever allocated.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use gatebook_wire::journal::{link, ENTRY_BYTES, LEAF_BYTES, LINK_BYTES};

use super::fault::JournalFault;
use super::segment::{list, name_of, Header, HEADER_BYTES};

/// Bytes of the two lengths in front of a leaf; the second counts as part of the entry.
const LENGTH_BYTES: usize = 4;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// From 1 over the life of the writer.
    pub number: u64,
    /// The leaf's JSON.
    pub leaf: &'a [u8],
    /// The sealed private part; may be empty.
    pub private: &'a [u8],
}

/// Where and why reading a segment stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At a length of 0, or at the end of the file.
    End,
    /// At bytes that are no record, or one whose link does not hold.
    Torn(&'static str),
}

/// The records of one segment, in order.
pub struct SegmentReader<R> {
    input: R,
    header: Header,
    number: u64,
    offset: u64,
    link: [u8; LINK_BYTES],
    stop: Option<Stop>,
    entry: Vec<u8>,
}

impl<R: Read> SegmentReader<R> {
    /// Reads the header.
    pub fn new(mut input: R) -> Result<Self, JournalFault> {
        let mut bytes = [0; HEADER_BYTES];
        let bad = || JournalFault::lost("a journal segment has no good header");
        match input.read_exact(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(bad()),
            read => read.map_err(unreadable)?,
        }
        let header = Header::decode(&bytes).ok_or_else(bad)?;
        Ok(Self {
            input,
            number: header.first,
            offset: wide(HEADER_BYTES),
            link: header.previous,
            header,
            stop: None,
            entry: Vec::new(),
        })
    }

    /// The segment's head.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Number of the entry that comes next.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Offset behind the last good record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Link of the last good record.
    pub fn link(&self) -> [u8; LINK_BYTES] {
        self.link
    }

    /// Set once [`Self::next_entry`] has given `None`.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// The next entry whose link holds; `None` once and for all where there is none.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, JournalFault> {
        if self.stop.is_some() {
            return Ok(None);
        }
        if let Err(stop) = self.read_record().map_err(unreadable)? {
            self.stop = Some(stop);
            return Ok(None);
        }
        let number = self.number;
        self.number += 1;
        let Some((leaf, private)) = split(&self.entry) else { return Ok(None) };
        Ok(Some(Entry { number, leaf, private }))
    }

    /// Fills `entry` with the next record's and moves behind it.
    fn read_record(&mut self) -> io::Result<Result<(), Stop>> {
        let mut length = [0; LENGTH_BYTES];
        let got = fill(&mut self.input, &mut length)?;
        if length == [0; LENGTH_BYTES] {
            return Ok(Err(Stop::End));
        }
        let bytes = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if got < LENGTH_BYTES || !(LENGTH_BYTES..=ENTRY_BYTES).contains(&bytes) {
            return Ok(Err(Stop::Torn("a record has an impossible length")));
        }
        self.entry.clear();
        (&mut self.input).take(wide(bytes)).read_to_end(&mut self.entry)?;
        let mut found = [0; LINK_BYTES];
        if self.entry.len() < bytes || fill(&mut self.input, &mut found)? < LINK_BYTES {
            return Ok(Err(Stop::Torn("a record is cut")));
        }
        if split(&self.entry).is_none() {
            return Ok(Err(Stop::Torn("a record has an impossible leaf length")));
        }
        if link(&self.link, &self.entry) != found {
            return Ok(Err(Stop::Torn("a record's link does not hold")));
        }
        self.link = found;
        self.offset += wide(LENGTH_BYTES + bytes + LINK_BYTES);
        Ok(Ok(()))
    }

    /// Gives back the input, which stands somewhere behind [`Self::offset`].
    pub fn into_input(self) -> R {
        self.input
    }
}

/// The leaf and the private part of an entry; `None` if its leaf length is wrong.
fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entry.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.split_at_checked(length).filter(|_| length <= LEAF_BYTES)
}

/// All segments of one writer, read in order and verified.
#[derive(Debug)]
pub struct JournalReader {
    folder: PathBuf,
    writer: String,
    segments: Vec<u64>,
}

impl JournalReader {
    /// Lists the segments.
    pub fn open(folder: &Path, writer: &str) -> Result<Self, JournalFault> {
        let segments = list(folder)?;
        Ok(Self { folder: folder.to_owned(), writer: writer.to_owned(), segments })
    }

    /// Visits every entry; gives their number, or the first thing that is wrong.
    pub fn each(&self, mut visit: impl FnMut(Entry<'_>)) -> Result<u64, JournalFault> {
        let (mut number, mut link) = (1, [0; LINK_BYTES]);
        for &first in &self.segments {
            let name = name_of(first);
            let wrong = |words: &str| JournalFault::lost(format!("segment {name}: {words}"));
            let file = File::open(self.folder.join(&name)).map_err(unreadable)?;
            let mut reader = SegmentReader::new(BufReader::new(file))?;
            let header = reader.header();
            if first != number || header.first != first {
                return Err(wrong("a segment is missing or has another number"));
            }
            if header.writer != self.writer {
                return Err(wrong("its writer is another"));
            }
            if header.previous != link {
                return Err(wrong("it does not continue the segment before"));
            }
            while let Some(entry) = reader.next_entry()? {
                visit(entry);
            }
            if let Some(Stop::Torn(words)) = reader.stop() {
                return Err(wrong(words));
            }
            (number, link) = (reader.number(), reader.link());
            if last_nonzero(&mut reader.into_input())?.is_some() {
                return Err(wrong("bytes behind its end are not zero"));
            }
        }
        Ok(number - 1)
    }
}

/// Bytes from here to behind the last byte that is not zero; `None` if all are.
pub(crate) fn last_nonzero(input: &mut impl Read) -> Result<Option<u64>, JournalFault> {
    let mut block = vec![0; 64 * 1024];
    let (mut at, mut last) = (0, None);
    loop {
        let got = fill(input, &mut block).map_err(unreadable)?;
        let nonzero = block.iter().take(got).rposition(|byte| *byte != 0);
        last = nonzero.map(|position| at + wide(position) + 1).or(last);
        at += wide(got);
        if got < block.len() {
            return Ok(last);
        }
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(bytes) => got += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` gives it
fn unreadable(error: io::Error) -> JournalFault {
    JournalFault::io("cannot read the journal", &error)
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

// SPDX-License-Identifier: Apache-2.0
//! The journal under everything that a disk and a crash can do to it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

mod faults;
mod recovery;
mod soon;

const SMALL: u64 = LEAST_SEGMENT_BYTES;
const LARGE: u64 = 1024 * 1024;
const FIRST: &str = "00000000000000000001.seg";

fn fresh() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("journal/gate");
    (root, folder)
}

fn open(folder: &Path, segment_bytes: u64) -> Journal {
    Journal::open(folder, "gate", SyncMode::Privileged, segment_bytes, None).unwrap()
}

fn leaf(number: usize) -> Vec<u8> {
    format!(r#"{{"event":"test","n":{number}}}"#).into_bytes()
}

fn append(journal: &Journal, numbers: std::ops::Range<usize>) {
    for number in numbers {
        journal.append(&leaf(number), b"private", false).unwrap();
    }
}

/// The leaves of the verified journal.
fn leaves(folder: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    JournalReader::open(folder, "gate")
        .unwrap()
        .each(|entry| found.push(entry.leaf.to_vec()))
        .unwrap();
    found
}

fn refusal(folder: &Path) -> String {
    JournalReader::open(folder, "gate").unwrap().each(|_| ()).unwrap_err().to_string()
}

fn expected(numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    numbers.map(leaf).collect()
}

fn broken(folder: &Path, segment_bytes: u64, plan: &str) -> Result<Journal, JournalFault> {
    let plan = FaultPlan::parse(plan).unwrap();
    Journal::open(folder, "gate", SyncMode::Privileged, segment_bytes, Some(plan))
}

#[test]
fn gives_back_what_was_appended_over_many_segments() {
    let (_root, folder) = fresh();
    let journal = open(&folder, SMALL);
    append(&journal, 0..30);
    assert_eq!(journal.append(&leaf(30), &[], true).unwrap(), 31);
    assert_eq!(journal.entries(), 31);
    assert_eq!(journal.failure(), None);
    drop(journal);
    assert_eq!(leaves(&folder), expected(0..31));
    let mut privates = Vec::new();
    let reader = JournalReader::open(&folder, "gate").unwrap();
    assert_eq!(reader.each(|entry| privates.push(entry.private.to_vec())).unwrap(), 31);
    assert_eq!((&privates[29][..], &privates[30][..]), (&b"private"[..], &b""[..]));
    let segments = fs::read_dir(&folder).unwrap().count() - 1;
    assert!(segments > 5, "{segments} segments");
}

#[test]
fn makes_files_that_only_their_owner_may_read() {
    let (_root, folder) = fresh();
    let _journal = open(&folder, LARGE);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(FIRST)), 0o600);
    assert_eq!(mode(&folder.join("lock")), 0o600);
}

#[test]
fn preallocates_a_segment_and_cuts_it_at_the_end() {
    let (_root, folder) = fresh();
    let journal = open(&folder, LARGE);
    append(&journal, 0..1);
    assert_eq!(fs::metadata(folder.join(FIRST)).unwrap().len(), LARGE);
    journal.close();
    let bytes = 128 + 4 + 4 + leaf(0).len() + "private".len() + 32;
    assert_eq!(fs::metadata(folder.join(FIRST)).unwrap().len(), bytes as u64);
}

#[test]
fn goes_on_where_it_was_closed_or_lost() {
    let (_root, folder) = fresh();
    for round in 0..4 {
        let journal = open(&folder, SMALL);
        assert_eq!(journal.recovery(), &Recovery { kept: round * 5, ..Recovery::default() });
        let start = usize::try_from(round).unwrap() * 5;
        append(&journal, start..start + 5);
        if round % 2 == 0 {
            journal.close();
        } else {
            abandon(&folder, &journal);
        }
    }
    assert_eq!(leaves(&folder), expected(0..20));
}

/// Leaves the files as a killed process would: not cut, not synced.
fn abandon(folder: &Path, journal: &Journal) {
    let kept = folder.with_file_name("kept");
    fs::create_dir(&kept).unwrap();
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), kept.join(file.file_name())).unwrap();
    }
    journal.close();
    fs::remove_dir_all(folder).unwrap();
    fs::rename(kept, folder).unwrap();
}

#[test]
fn a_closed_journal_refuses_and_may_be_closed_again() {
    let (_root, folder) = fresh();
    let journal = open(&folder, LARGE);
    journal.close();
    journal.close();
    assert_eq!(journal.append(b"{}", &[], false).unwrap_err().to_string(), "the journal is closed");
}

#[test]
fn a_second_writer_is_refused_while_the_first_lives() {
    let (_root, folder) = fresh();
    let journal = open(&folder, LARGE);
    let second = Journal::open(&folder, "gate", SyncMode::Every, LARGE, None);
    assert_eq!(second.err().unwrap().to_string(), "another process writes this journal");
    drop(journal);
    assert_eq!(open(&folder, LARGE).entries(), 0);
}

#[test]
fn a_folder_of_another_name_or_writer_is_refused() {
    let (_root, folder) = fresh();
    for writer in ["other", "", "a/b", "..", &"w".repeat(65)] {
        assert!(Journal::open(&folder, writer, SyncMode::Every, LARGE, None).is_err(), "{writer}");
    }
    drop(open(&folder, LARGE));
    let moved = folder.with_file_name("moved");
    fs::rename(&folder, &moved).unwrap();
    let error = Journal::open(&moved, "moved", SyncMode::Every, LARGE, None).err().unwrap();
    assert_eq!(error.to_string(), format!("segment {FIRST} is not the one its name says"));
}

#[test]
fn refuses_an_entry_over_the_bound_and_goes_on() {
    let (_root, folder) = fresh();
    let journal = open(&folder, SMALL);
    for (leaf, private) in [(65_536, 0), (10, 4 * 1024 * 1024)] {
        let fault = journal.append(&vec![b'x'; leaf], &vec![b'y'; private], false).unwrap_err();
        assert_eq!(fault.to_string(), "an entry is larger than the journal takes");
        assert!(!fault.is_final());
    }
    // The largest does fit, in a segment of its own.
    journal.append(&vec![b'x'; 65_535], &vec![b'y'; 4 * 1024 * 1024 - 65_539], false).unwrap();
    append(&journal, 0..1);
    journal.close();
    assert_eq!(leaves(&folder).len(), 2);
}

#[test]
fn writes_a_batch_that_spans_segments() {
    let (_root, folder) = fresh();
    let journal = open(&folder, SMALL);
    let mut batch = Batch::default();
    (0..40).for_each(|number| batch.push(&leaf(number), &[], Durability::Kernel));
    assert!(matches!(journal.write_kernel(&mut batch).unwrap(), Written::Done(_)));
    assert!(batch.is_empty());
    journal.close();
    assert_eq!(leaves(&folder), expected(0..40));
}

#[test]
fn gives_zeros_where_preallocation_made_none() {
    let (_root, folder) = fresh();
    let _journal = open(&folder, LARGE);
    let file = File::open(folder.join(FIRST)).unwrap();
    let mut tail = [1; 16];
    file.read_exact_at(&mut tail, LARGE - 16).unwrap();
    assert_eq!(tail, [0; 16]);
}

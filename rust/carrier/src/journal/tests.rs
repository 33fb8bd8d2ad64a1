// SPDX-License-Identifier: Apache-2.0
//! The journal under everything that a disk and a crash can do to it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

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

/// A journal of six entries, its bytes, and where its records begin.
fn six() -> (Vec<u8>, Vec<usize>) {
    let (_root, folder) = fresh();
    let journal = open(&folder, LARGE);
    append(&journal, 0..6);
    journal.close();
    let bytes = fs::read(folder.join(FIRST)).unwrap();
    let record = 4 + 4 + leaf(0).len() + "private".len() + 32;
    (bytes, (0..=6).map(|number| 128 + number * record).collect())
}

fn with_bytes(bytes: &[u8]) -> (TempDir, PathBuf) {
    let (root, folder) = fresh();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(FIRST), bytes).unwrap();
    (root, folder)
}

#[test]
fn recovers_from_a_cut_at_every_byte_of_the_last_two_records() {
    let (bytes, starts) = six();
    for cut in starts[4]..bytes.len() {
        let (_root, folder) = with_bytes(&bytes[..cut]);
        let kept = if cut < starts[5] { 4 } else { 5 };
        // The bytes of the torn record up to its last that is not zero are set aside.
        let torn = &bytes[starts[kept]..cut];
        let aside = torn.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let journal = open(&folder, LARGE);
        let recovery = journal.recovery().clone();
        assert_eq!((recovery.kept, recovery.cut), (kept as u64, aside as u64), "cut at {cut}");
        append(&journal, 100..101);
        journal.close();
        let found = leaves(&folder);
        assert_eq!(found[..kept], expected(0..kept));
        assert_eq!(found[found.len() - 1], leaf(100));
        assert_eq!(found.len(), kept + 1 + usize::from(aside > 0), "cut at {cut}");
        if aside > 0 {
            assert_eq!(fs::read(folder.join(&recovery.aside)).unwrap(), torn[..aside]);
            let told = String::from_utf8(found[kept].clone()).unwrap();
            let head = format!(
                r#"{{"aside":"{}","cut":{aside},"event":"journal.recovered","kept":{kept},"time":""#,
                recovery.aside
            );
            assert!(told.starts_with(&head), "{told}");
            assert!(told.ends_with(r#"Z","v":1,"writer":"gate"}"#), "{told}");
        }
    }
}

#[test]
fn finds_every_flipped_bit_of_the_last_record_and_sets_it_aside() {
    let (bytes, starts) = six();
    for at in starts[5]..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let (_root, folder) = with_bytes(&flipped);
            assert!(
                refusal(&folder).starts_with(&format!("segment {FIRST}: ")),
                "byte {at} bit {bit}"
            );
            let journal = open(&folder, LARGE);
            assert_eq!(journal.recovery().kept, 5, "byte {at} bit {bit}");
            journal.close();
            assert_eq!(leaves(&folder).len(), 6);
        }
    }
}

#[test]
fn a_reader_rejects_every_flipped_byte() {
    let (bytes, starts) = six();
    for at in 0..starts[5] {
        if (56..64).contains(&at) {
            continue; // when the segment was made; nothing speaks against another time there
        }
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        let (_root, folder) = with_bytes(&flipped);
        assert!(JournalReader::open(&folder, "gate").unwrap().each(|_| ()).is_err(), "byte {at}");
    }
}

#[test]
fn a_reader_rejects_what_does_not_continue() {
    let (_root, folder) = fresh();
    let journal = open(&folder, SMALL);
    append(&journal, 0..12);
    journal.close();
    let second = folder.join("00000000000000000006.seg");
    let good = fs::read(&second).unwrap();
    fs::rename(&second, folder.join("away")).unwrap();
    assert!(refusal(&folder).ends_with("a segment is missing or has another number"));
    fs::write(&second, [&good[..], &[0, 0, 0, 0, 7]].concat()).unwrap();
    assert!(refusal(&folder).ends_with("bytes behind its end are not zero"));
    let mut other = good.clone();
    other[30] ^= 1;
    fs::write(&second, &other).unwrap();
    assert!(refusal(&folder).ends_with("it does not continue the segment before"));
    fs::write(&second, &good).unwrap();
    assert_eq!(leaves(&folder), expected(0..12));
}

#[test]
fn a_segment_without_a_good_header_is_not_taken_up() {
    for bytes in [vec![0; 4096], Vec::new(), b"GATEBOOKJNL1".to_vec()] {
        let (_root, folder) = with_bytes(&bytes);
        let error = Journal::open(&folder, "gate", SyncMode::Every, LARGE, None).err().unwrap();
        assert_eq!(error.to_string(), "a journal segment has no good header");
    }
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

/// Puts one entry that has time.
fn stage(journal: &Journal, number: usize) {
    let mut batch = Batch::default();
    batch.push(&leaf(number), &[], Durability::Soon);
    assert!(matches!(journal.write_kernel(&mut batch).unwrap(), Written::Done(_)));
    assert!(batch.is_empty());
}

#[test]
fn what_has_time_is_written_with_the_next_that_has_none_and_in_its_order() {
    let (_root, folder) = fresh();
    let journal = open(&folder, LARGE);
    stage(&journal, 0);
    stage(&journal, 1);
    assert_eq!(leaves(&folder), expected(0..0));
    append(&journal, 2..3);
    assert_eq!(leaves(&folder), expected(0..3));
    assert_eq!(journal.entries(), 3);
}

#[test]
fn what_has_time_is_written_before_the_thread_sleeps_and_at_the_end() {
    let (_root, folder) = fresh();
    let journal = open(&folder, SMALL);
    (0..9).for_each(|number| stage(&journal, number));
    journal.settle();
    assert_eq!(leaves(&folder), expected(0..9));
    stage(&journal, 9);
    journal.close();
    assert_eq!(leaves(&folder), expected(0..10));
}

#[test]
fn what_has_time_waits_in_bounded_memory() {
    let (_root, folder) = fresh();
    let journal = open(&folder, LARGE);
    (0..2_000).for_each(|number| stage(&journal, number));
    let written = leaves(&folder).len();
    assert!((1_000..2_000).contains(&written), "{written} written");
}

#[test]
fn where_every_entry_is_synced_nothing_has_time() {
    let (_root, folder) = fresh();
    let journal = Journal::open(&folder, "gate", SyncMode::Every, LARGE, None).unwrap();
    let mut batch = Batch::default();
    batch.push(&leaf(0), &[], Durability::Soon);
    assert!(matches!(journal.write_kernel(&mut batch).unwrap(), Written::NeedsSync(_)));
    assert_eq!(leaves(&folder), expected(0..1));
}

#[test]
fn a_failure_to_write_what_had_time_refuses_everything_behind_it() {
    let (_root, folder) = fresh();
    let journal = broken(&folder, LARGE, "write:2:fails").unwrap();
    stage(&journal, 0);
    assert_eq!(journal.failure(), None);
    journal.settle();
    assert!(journal.failure().is_some());
    let mut batch = Batch::default();
    batch.push(&leaf(1), &[], Durability::Soon);
    assert!(journal.write_kernel(&mut batch).is_err());
    assert!(!batch.is_empty());
    assert!(journal.append(&leaf(1), &[], false).is_err());
}

fn broken(folder: &Path, segment_bytes: u64, plan: &str) -> Result<Journal, JournalFault> {
    let plan = FaultPlan::parse(plan).unwrap();
    Journal::open(folder, "gate", SyncMode::Privileged, segment_bytes, Some(plan))
}

#[test]
fn a_full_disk_is_refused_at_the_start_and_at_a_segments_end() {
    let (_root, folder) = fresh();
    let at_start = broken(&folder, LARGE, "allocate:1:fails");
    let words = at_start.err().unwrap().to_string();
    assert!(words.starts_with("cannot make a journal segment: No space left on device"), "{words}");
    let journal = broken(&folder, SMALL, "allocate:3:fails").unwrap();
    let refused = (0..20).find_map(|number| journal.append(&leaf(number), &[], false).err());
    let fault = refused.unwrap();
    assert!(fault.to_string().contains("No space left on device") && fault.is_final(), "{fault}");
    assert_eq!(journal.append(&leaf(0), &[], false).unwrap_err(), fault);
    assert_eq!(journal.failure(), Some(fault));
}

/// Appends until something is refused; how many were accepted. Everything after a refusal is
/// refused with the same words.
fn accepted(folder: &Path, fault: FaultPlan) -> (usize, bool) {
    let Ok(journal) = Journal::open(folder, "gate", SyncMode::Privileged, SMALL, Some(fault))
    else {
        return (0, true);
    };
    for number in 0..14 {
        if let Err(fault) = journal.append(&leaf(number), b"private", number % 3 == 2) {
            assert_eq!(journal.append(&leaf(99), &[], true).unwrap_err(), fault);
            assert_eq!(journal.append(&leaf(99), &[], false).unwrap_err(), fault);
            assert_eq!(journal.failure(), Some(fault));
            return (number, true);
        }
    }
    journal.close();
    let is_clean = journal.failure().unwrap().to_string() == "the journal is closed";
    (14, !is_clean)
}

#[test]
fn whatever_call_fails_what_was_accepted_is_there_and_verifies() {
    let mut cases = 0;
    for step in ["write", "sync", "allocate", "rename", "truncate"] {
        for how in ["fails", "persists", "short"] {
            for number in 1..100 {
                let (_root, folder) = fresh();
                let case = format!("{step}:{number}:{how}");
                let (accepted, struck) = accepted(&folder, FaultPlan::parse(&case).unwrap());
                let journal = open(&folder, SMALL);
                assert_eq!(journal.failure(), None, "{case}");
                append(&journal, 50..53);
                journal.close();
                let mut found = leaves(&folder);
                found.retain(|leaf| !leaf.starts_with(br#"{"aside":"#));
                let tail = found.split_off(found.len() - 3);
                assert_eq!(tail, expected(50..53), "{case}");
                assert!(found.len() <= accepted + 1, "{case}: {} of {accepted}", found.len());
                assert_eq!(found[..accepted], expected(0..accepted), "{case}");
                if !struck {
                    assert!(number > 1, "{case} never happens");
                    break;
                }
                cases += 1;
            }
        }
    }
    assert!(cases > 100, "{cases} cases");
}

/// Counts and slows syncs, so that writers meet in one.
struct Counting(std::sync::Arc<AtomicUsize>);

impl Disk for Counting {
    fn write(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        System.write(file, bytes, at)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
        System.sync(file)
    }

    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        System.allocate(file, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        System.rename(from, to)
    }

    fn truncate(&self, file: &File, bytes: u64) -> io::Result<()> {
        System.truncate(file, bytes)
    }
}

#[test]
fn sixteen_writers_share_syncs() {
    let (_root, folder) = fresh();
    let syncs = std::sync::Arc::new(AtomicUsize::new(0));
    let disk = Box::new(Counting(syncs.clone()));
    let journal = Journal::open_on(disk, &folder, "gate", SyncMode::Every, LARGE).unwrap();
    let journal = Arc::new(journal);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let writers = (0..16).map(|writer| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let mut batch = Batch::default();
                for number in 0..20 {
                    batch.push(&leaf(writer * 100 + number), &[], Durability::Kernel);
                    let Written::NeedsSync(pending) = journal.write_kernel(&mut batch).unwrap()
                    else {
                        panic!("not synced");
                    };
                    pending.wait(&mut batch).await.unwrap();
                    assert!(batch.is_empty());
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
    let syncs = syncs.load(Ordering::Relaxed);
    assert!(syncs < 320 / 4, "{syncs} syncs for 320 batches");
    drop(journal);
    let mut found = leaves(&folder);
    found.sort_by_key(|leaf| (leaf.len(), leaf.clone()));
    let mut all: Vec<_> = (0..16).flat_map(|w| (0..20).map(move |n| leaf(w * 100 + n))).collect();
    all.sort_by_key(|leaf| (leaf.len(), leaf.clone()));
    assert_eq!(found, all);
}

#[test]
fn everybody_who_waits_for_a_failed_sync_is_told() {
    let (_root, folder) = fresh();
    // The header and the folder take the first two.
    let journal = broken(&folder, LARGE, "sync:3:fails").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let write = |batch: &mut Batch| {
        batch.push(&leaf(0), &[], Durability::Disk);
        match journal.write_kernel(batch) {
            Ok(Written::NeedsSync(pending)) => runtime.block_on(pending.wait(batch)).map(|_| ()),
            Ok(Written::Done(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    };
    let mut batch = Batch::default();
    let fault = write(&mut batch).unwrap_err();
    assert_eq!(fault.to_string(), "cannot sync the journal: injected fault");
    assert!(!batch.is_empty());
    assert_eq!(write(&mut Batch::default()).unwrap_err(), fault);
    assert_eq!(journal.append(&leaf(1), &[], false).unwrap_err(), fault);
}

#[test]
fn a_batch_that_changed_while_it_waited_gets_no_token() {
    let (_root, folder) = fresh();
    let journal = open(&folder, LARGE);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut batch = Batch::default();
    batch.push(&leaf(0), &[], Durability::Disk);
    let Written::NeedsSync(pending) = journal.write_kernel(&mut batch).unwrap() else {
        panic!("not synced");
    };
    batch.push(&leaf(1), &[], Durability::Kernel);
    let fault = runtime.block_on(pending.wait(&mut batch)).unwrap_err();
    assert_eq!(fault.to_string(), "the batch is not the one that was written");
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

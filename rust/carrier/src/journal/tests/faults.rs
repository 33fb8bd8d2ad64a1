// SPDX-License-Identifier: Apache-2.0
//! Calls that fail at every step, and writers that share syncs.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

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

// SPDX-License-Identifier: Apache-2.0
//! Entries that have time: written with others, before the thread sleeps, and bounded until then.

use super::*;

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

// SPDX-License-Identifier: Apache-2.0
//! Journals that were cut, flipped or put together wrongly: what is taken up and what is not.

use super::*;

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

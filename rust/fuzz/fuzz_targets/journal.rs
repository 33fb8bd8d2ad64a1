// SPDX-License-Identifier: Apache-2.0
//! Whatever stands in a segment: reading it ends, within its bounds, and only entries whose links
//! hold are given. A header is put before input that has none, so that records are reached.
#![no_main]

use gatebook_carrier::journal::{Header, SegmentReader, Stop, HEADER_BYTES};
use gatebook_wire::journal::{link, put_record, LINK_BYTES};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    read(input);
    let header =
        Header { first: 1, previous: [0; LINK_BYTES], created_us: 0, writer: "gate".to_owned() };
    let head = header.encode();
    assert_eq!(head.len(), HEADER_BYTES);
    read(&[&head, input].concat());
    // The input once more as an entry that is whole, and then as what stands behind one.
    let (leaf, private) = input.split_at(input.len().min(40));
    let mut record = Vec::new();
    put_record(&mut record, leaf, private);
    let entry_link = link(&header.previous, &record[4..]);
    let whole = [&head[..], &record, &entry_link, input].concat();
    assert!(read(&whole) >= 1);
});

/// How many entries there are.
fn read(segment: &[u8]) -> u64 {
    let Ok(mut reader) = SegmentReader::new(segment) else { return 0 };
    let first = reader.number();
    let mut previous = reader.link();
    while let Some(entry) = reader.next_entry().expect("a slice can be read") {
        assert!(entry.leaf.len() + entry.private.len() <= segment.len());
        let mut record = Vec::new();
        put_record(&mut record, entry.leaf, entry.private);
        previous = link(&previous, &record[4..]);
        assert_eq!(previous, reader.link());
    }
    assert!(matches!(reader.stop(), Some(Stop::End | Stop::Torn(_))));
    assert!(reader.offset() <= segment.len() as u64);
    reader.number() - first
}

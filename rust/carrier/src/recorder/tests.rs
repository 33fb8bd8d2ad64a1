// SPDX-License-Identifier: Apache-2.0
//! Recordings as a reader finds them, and what becomes of them when the disk fails.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gatebook_wire::entry::{derive, hex, sha256};
use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_256_GCM};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::journal::{FaultPlan, Faulty, JournalReader, SyncMode};

const KEY: [u8; 32] = [7; 32];
const SESSION: &str = "s_ab12cd";

struct House {
    root: TempDir,
    journal: Arc<Journal>,
    recorder: Recorder,
    runtime: Runtime,
}

fn house_on(disk: Box<dyn Disk>, queue_bytes: usize) -> House {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("gate");
    let journal = Journal::open(&folder, "gate", SyncMode::Privileged, 1024 * 1024, None).unwrap();
    let journal = Arc::new(journal);
    let recordings = root.path().join("recordings");
    let recorder = Recorder::start_on(disk, &recordings, journal.clone(), "gate", queue_bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    House { root, journal, recorder, runtime }
}

fn house() -> House {
    house_on(Box::new(System), 64 * 1024 * 1024)
}

fn broken(plan: &str) -> House {
    house_on(Box::new(Faulty::new(FaultPlan::parse(plan).unwrap())), 64 * 1024 * 1024)
}

impl House {
    fn open(&self, session: &str) -> RecordingHandle {
        self.recorder.open(session, KEY, b"{\"key\":\"x\"}\n").unwrap()
    }

    fn seal(&self, handle: RecordingHandle) {
        self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(10), handle.seal()).await.unwrap();
        });
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.root.path().join(format!("recordings/cd/{SESSION}.{kind}"))
    }

    /// The journal's leaves about recordings, without their times.
    fn leaves(&self) -> Vec<String> {
        let mut found = Vec::new();
        let reader = JournalReader::open(&self.root.path().join("gate"), "gate").unwrap();
        reader.each(|entry| found.push(String::from_utf8(entry.leaf.to_vec()).unwrap())).unwrap();
        found
    }

    fn wait_for(&self, mut is_so: impl FnMut(&Self) -> bool) {
        for _ in 0..500 {
            if is_so(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it never came to be");
    }
}

fn push(handle: &RecordingHandle, direction: u8, unix_us: u64, bytes: &[u8]) -> Push {
    let len = u32::try_from(bytes.len()).unwrap();
    handle.push(&[Frame { direction, unix_us, len }], bytes)
}

/// Index, frames and hash of each chunk, and all frames; written against the specification and
/// not against the writer.
type Read = (Vec<(u32, u32, String)>, Vec<(u8, u64, Vec<u8>)>);

fn read(path: &Path) -> Read {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..16], b"GATEBOOKREC1\0\0\0\x01");
    assert_eq!(&bytes[16..80], [SESSION.as_bytes(), &[0; 56]].concat());
    let key = derive(&KEY, b"gatebook recording v1").unwrap();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut chunks, mut frames) = (80, Vec::new(), Vec::new());
    while at < bytes.len() {
        let stored = number(at + 12) as usize;
        let chunk = &bytes[at..at + 16 + stored];
        let nonce = [&[0, 0, 0, 2, 0, 0, 0, 0], &chunk[..4]].concat();
        let nonce = Nonce::assume_unique_for_key(nonce.try_into().unwrap());
        let covered = [SESSION.as_bytes(), &chunk[..12]].concat();
        let mut body = chunk[16..].to_vec();
        let packed = key.open_in_place(nonce, Aad::from(covered), &mut body).unwrap();
        let plain = zstd::bulk::decompress(packed, 8 * 1024 * 1024).unwrap();
        assert_eq!(plain.len(), number(at + 4) as usize);
        let (mut place, before) = (0, frames.len());
        while place < plain.len() {
            let time = u64::from_be_bytes(plain[place + 1..place + 9].try_into().unwrap());
            let len = u32::from_be_bytes(plain[place + 9..place + 13].try_into().unwrap()) as usize;
            frames.push((plain[place], time, plain[place + 13..place + 13 + len].to_vec()));
            place += 13 + len;
        }
        assert_eq!(frames.len() - before, number(at + 8) as usize);
        chunks.push((number(at), number(at + 8), hex(&sha256(chunk))));
        at += 16 + stored;
    }
    (chunks, frames)
}

#[test]
fn a_sealed_recording_holds_every_frame_and_the_journal_its_hashes() {
    let house = house();
    let handle = house.open(SESSION);
    assert_eq!(push(&handle, b'>', 1_000_001, b"SELECT 1"), Push::Taken);
    let two = [
        Frame { direction: b'<', unix_us: 2, len: 3 },
        Frame { direction: b'>', unix_us: 3, len: 2 },
    ];
    assert_eq!(handle.push(&two, b"onexy"), Push::Taken);
    house.seal(handle);
    let (chunks, frames) = read(&house.path("rec"));
    let expected = [
        (b'>', 1_000_001, b"SELECT 1".to_vec()),
        (b'<', 2, b"one".to_vec()),
        (b'>', 3, b"xy".to_vec()),
    ];
    assert_eq!(frames, expected);
    assert_eq!(chunks.len(), 1);
    let hash = &chunks[0].2;
    let stored = fs::metadata(house.path("rec")).unwrap().len() - 80;
    let leaves = house.leaves();
    assert_eq!(leaves.len(), 2);
    let entered = format!(
        r#"{{"bytes":{stored},"event":"recording.chunk","frames":3,"index":0,"plain":52,"session":"{SESSION}","sha256":"sha256:{hash}","time":""#
    );
    assert!(leaves[0].starts_with(&entered), "{}", leaves[0]);
    let raw: Vec<u8> =
        (0..32).map(|i| u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).unwrap()).collect();
    let root = hex(&sha256(&raw));
    let sealed = format!(
        r#"{{"chunks":1,"event":"recording.sealed","frames":3,"plain":52,"root":"sha256:{root}","session":"{SESSION}","time":""#
    );
    assert!(leaves[1].starts_with(&sealed), "{}", leaves[1]);
    assert!(leaves[1].ends_with(r#"Z","v":1,"writer":"gate"}"#), "{}", leaves[1]);
}

#[test]
fn the_files_are_for_their_owner_only_and_the_head_is_kept() {
    let house = house();
    let handle = house.open(SESSION);
    assert_eq!(fs::read(house.path("key")).unwrap(), b"{\"key\":\"x\"}\n");
    for kind in ["key", "rec"] {
        let mode = fs::metadata(house.path(kind)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{kind}");
    }
    house.seal(handle);
}

#[test]
fn a_recording_is_not_made_twice_nor_under_a_name_that_is_no_session() {
    let house = house();
    let _handle = house.open(SESSION);
    assert!(house.recorder.open(SESSION, KEY, b"").err().unwrap().contains("exists"));
    for bad in ["", "../../etc", "a/b", "é", &"x".repeat(65)] {
        assert!(house.recorder.open(bad, KEY, b"").is_err(), "{bad}");
    }
}

#[test]
fn short_ids_have_a_folder_too() {
    let shards = ["s_ab12", "ab12", "s_a", "s_", "_"].map(sink::shard_of);
    assert_eq!(shards, ["12", "12", "_a", "s_", "__"]);
}

#[test]
fn dropping_a_handle_seals_in_the_background() {
    let house = house();
    let handle = house.open(SESSION);
    let _ = push(&handle, b'<', 5, b"last words");
    drop(handle);
    house.wait_for(|house| house.leaves().len() == 2);
    assert_eq!(read(&house.path("rec")).1, [(b'<', 5, b"last words".to_vec())]);
}

#[test]
fn an_empty_recording_is_sealed_over_nothing() {
    let house = house();
    let handle = house.open(SESSION);
    house.seal(handle);
    let leaves = house.leaves();
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert!(
        leaves[0].starts_with(r#"{"chunks":0,"event":"recording.sealed","frames":0,"plain":0,"#)
    );
    assert!(leaves[0].contains(nothing), "{}", leaves[0]);
    assert_eq!(fs::metadata(house.path("rec")).unwrap().len(), 80);
}

#[test]
fn a_chunk_comes_within_about_a_second_of_its_first_frame() {
    let house = house();
    let handle = house.open(SESSION);
    let started = Instant::now();
    let _ = push(&handle, b'>', 1, b"x");
    house.wait_for(|house| house.leaves().len() == 1);
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(900) && waited < Duration::from_secs(3), "{waited:?}");
    house.seal(handle);
}

#[test]
fn large_frames_become_chunks_that_a_reader_takes() {
    let house = house();
    let handle = house.open(SESSION);
    let bytes: Vec<u8> = (0..10_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    assert_eq!(push(&handle, b'<', 1, &bytes), Push::Full);
    house.seal(handle);
    let (chunks, frames) = read(&house.path("rec"));
    let indexes: Vec<_> = chunks.iter().map(|chunk| chunk.0).collect();
    assert_eq!(indexes, (0..10).collect::<Vec<_>>());
    let joined: Vec<u8> = frames.into_iter().flat_map(|frame| frame.2).collect();
    assert!(joined == bytes, "the pieces do not join");
}

#[test]
fn a_full_recorder_says_so_and_later_has_room() {
    let house = house_on(Box::new(System), 2 * 1024 * 1024);
    let handle = house.open(SESSION);
    let piece = vec![b'x'; 300_000];
    let pushes = (0..7).map(|n| push(&handle, b'<', n, &piece)).collect::<Vec<_>>();
    let other = house.open("s_other");
    house.runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), handle.room()).await.unwrap();
    });
    assert_eq!(push(&other, b'>', 9, b"x"), Push::Taken);
    house.seal(handle);
    assert_eq!(read(&house.path("rec")).1.len(), 7);
    assert!(pushes.contains(&Push::Taken), "{pushes:?}");
    house.seal(other);
    assert_eq!(house.recorder.shared.waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn one_session_may_not_fill_the_recorder_for_all() {
    let house = house();
    let handle = house.open(SESSION);
    let piece = vec![b'x'; SESSION_BYTES];
    assert_eq!(push(&handle, b'<', 1, &piece), Push::Full);
    let other = house.open("s_other");
    assert_eq!(push(&other, b'<', 1, b"x"), Push::Taken);
    house.seal(handle);
    house.seal(other);
}

#[test]
fn a_failed_write_fails_the_recording_and_no_other() {
    for plan in ["write:2:fails", "write:2:persists", "write:2:short"] {
        let house = broken(plan);
        let handle = house.open(SESSION);
        let piece = vec![b'x'; CHUNK_BYTES];
        let _ = push(&handle, b'<', 1, &piece);
        house.wait_for(|house| house.leaves().len() == 1);
        assert_eq!(handle.failed(), None);
        let _ = push(&handle, b'<', 2, &piece);
        house.wait_for(|_| handle.failed().is_some());
        assert_eq!(handle.failed().unwrap(), "cannot write a recording: injected fault", "{plan}");
        assert_eq!(push(&handle, b'<', 3, b"x"), Push::Full);
        house.runtime.block_on(handle.room());
        house.seal(handle);
        assert_eq!(house.leaves().len(), 1, "neither chunk nor seal is entered");
        let other = house.open("s_other");
        let _ = push(&other, b'<', 1, b"x");
        house.seal(other);
        assert_eq!(house.leaves().len(), 3);
        assert_eq!(house.recorder.shared.waiting.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn a_key_that_cannot_be_synced_fails_the_recording() {
    let house = broken("sync:1:fails");
    let handle = house.open(SESSION);
    house.wait_for(|_| handle.failed().is_some());
    assert_eq!(handle.failed().unwrap(), "cannot sync a recording's key: injected fault");
}

#[test]
fn a_journal_that_takes_nothing_fails_the_recording() {
    let house = house();
    let handle = house.open(SESSION);
    house.journal.close();
    let _ = push(&handle, b'<', 1, b"x");
    house.wait_for(|_| handle.failed().is_some());
    assert_eq!(handle.failed().unwrap(), "the journal is closed");
    house.seal(handle);
}

#[test]
fn stopping_writes_what_waits_and_fails_what_comes_later() {
    let house = house();
    let handle = house.open(SESSION);
    let _ = push(&handle, b'<', 1, b"x");
    let House { root, recorder, runtime, .. } = house;
    drop(recorder);
    let path = root.path().join(format!("recordings/cd/{SESSION}.rec"));
    assert_eq!(read(&path).1, [(b'<', 1, b"x".to_vec())]);
    runtime.block_on(handle.seal());
}

#[test]
fn many_sessions_at_once_keep_their_frames_in_order() {
    let house = house_on(Box::new(System), 8 * 1024 * 1024);
    std::thread::scope(|scope| {
        for session in 0..8 {
            let house = &house;
            scope.spawn(move || {
                let name = if session == 0 { SESSION.to_owned() } else { format!("s_{session}") };
                let handle = house.open(&name);
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for number in 0..200_u64 {
                    let bytes = number.to_be_bytes().repeat(2_000);
                    if push(&handle, b'<', number, &bytes) == Push::Full {
                        runtime.block_on(handle.room());
                    }
                }
                runtime.block_on(handle.seal());
            });
        }
    });
    let times: Vec<_> = read(&house.path("rec")).1.into_iter().map(|frame| frame.1).collect();
    assert_eq!(times, (0..200).collect::<Vec<_>>());
    let sealed = house.leaves().iter().filter(|leaf| leaf.contains("recording.sealed")).count();
    assert_eq!(sealed, 8);
    assert_eq!(house.recorder.shared.waiting.load(Ordering::Relaxed), 0);
}

#[test]
#[ignore = "a measurement, not a check: run it in release with --nocapture"]
fn measures_compression() {
    let row = |n: u64| {
        format!(
            "D\0\0\0\x40\0\x04{:08}|customer {} |{}.{:02}|paid  ",
            n,
            n * 7919 % 10_007,
            n % 977,
            n % 100
        )
    };
    let plain: Vec<u8> =
        (0..40_000_u64).flat_map(|n| row(n).into_bytes()).take(CHUNK_BYTES).collect();
    for level in [1, 2, 3] {
        let mut compressor = zstd::bulk::Compressor::new(level).unwrap();
        let (started, mut bytes) = (Instant::now(), 0);
        for _ in 0..100 {
            bytes = compressor.compress(&plain).unwrap().len();
        }
        let mb_per_s = 100.0 / started.elapsed().as_secs_f64();
        println!("zstd level {level}: {mb_per_s:.0} MB/s, {bytes} bytes of {}", plain.len());
    }
}

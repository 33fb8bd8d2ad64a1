// SPDX-License-Identifier: Apache-2.0
//! No record, no access: what happens to sessions when evidence cannot be written.
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{echo, rest, upstream, Gate, Setup};
use gatebook_carrier::journal::FaultPlan;
use gatebook_carrier::Item;

const BYE: &str = "bye:evidence failed";

/// An upstream that echoes and remembers.
fn remembering() -> (u16, Arc<Mutex<Vec<u8>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let memory = Arc::clone(&heard);
    let port = upstream(move |mut stream: TcpStream| {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let bytes = buffer.get(..count).unwrap();
            memory.lock().unwrap().extend_from_slice(bytes);
            if stream.write_all(bytes).is_err() {
                return;
            }
        }
    });
    (port, heard)
}

fn gate(fault: &str) -> Gate {
    Gate::start(Setup { fault: Some(FaultPlan::parse(fault).unwrap()), ..Setup::default() })
}

/// Sends numbered pieces until the gate says goodbye; the pieces that were echoed.
fn until_goodbye(client: &mut TcpStream, mark: char) -> String {
    let mut echoed = String::new();
    for number in 100..120 {
        let piece = format!("{mark}{number};");
        client.write_all(piece.as_bytes()).unwrap();
        let mut answer = vec![0; piece.len()];
        client.read_exact(&mut answer).unwrap();
        if answer != piece.as_bytes() {
            let goodbye = String::from_utf8(answer).unwrap() + &rest(client);
            assert_eq!(goodbye, BYE);
            return echoed;
        }
        echoed += &piece;
    }
    panic!("twenty pieces passed");
}

fn fault(gate: &Gate) -> (String, String) {
    gate.next(|item| match item {
        Item::Fault(what, note) => Some((what, note)),
        _ => None,
    })
}

#[test]
fn a_piece_whose_entry_cannot_be_written_never_reaches_the_upstream() {
    for how in ["fails", "short", "persists"] {
        let gate = gate(&format!("write:6:{how}"));
        let (port, heard) = remembering();
        let mut client = gate.session("s1", port, None);
        let echoed = until_goodbye(&mut client, '=');
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(String::from_utf8_lossy(&heard.lock().unwrap()), echoed, "{how}");
        let (what, note) = fault(&gate);
        assert_eq!(what, "journal", "{how}");
        assert!(note.contains("injected fault"), "{note}");
        let ended = gate.ended();
        assert_eq!((ended.session.as_str(), ended.cause.as_str()), ("s1", "evidence failed"));
    }
}

#[test]
fn a_piece_that_must_reach_the_disk_waits_for_the_sync_and_falls_with_it() {
    let gate = gate("sync:4:fails");
    let (port, heard) = remembering();
    let mut client = gate.session("s1", port, None);
    let echoed = until_goodbye(&mut client, '#');
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(String::from_utf8_lossy(&heard.lock().unwrap()), echoed);
    assert_eq!(fault(&gate).0, "journal");
}

#[test]
fn a_lost_journal_ends_idle_sessions_too() {
    let gate = gate("write:6:fails");
    let mut idle = gate.session("idle", upstream(echo), None);
    let mut client = gate.session("s1", upstream(echo), None);
    until_goodbye(&mut client, '=');
    let start = Instant::now();
    assert_eq!(rest(&mut idle), BYE);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(gate.journal.append(b"{}", b"", false).is_err());
}

#[test]
fn a_journal_that_fails_behind_the_sessions_back_ends_it_within_a_second() {
    let gate = gate("write:4:fails");
    let mut idle = gate.session("idle", upstream(echo), None);
    let start = Instant::now();
    while gate.journal.append(b"{}", b"", false).is_ok() {}
    assert_eq!(rest(&mut idle), BYE);
    assert!(start.elapsed() < Duration::from_millis(1500));
}

#[test]
fn a_recording_that_cannot_be_opened_keeps_the_session_out() {
    let gate = Gate::start(Setup::default());
    std::fs::write(gate.folder.0.join("recordings"), b"a file, not a folder").unwrap();
    let (port, heard) = remembering();
    let mut client = gate.connect();
    client.write_all(b"H").unwrap();
    gate.carrier.admit(gate.hello(), crate::support::admission("s1", port, None));
    assert_eq!(rest(&mut client), BYE);
    assert_eq!(fault(&gate).0, "recording");
    assert_eq!(gate.ended().session, "s1");
    assert_eq!(heard.lock().unwrap().len(), 0);
    assert!(gate.journal.failure().is_none());
}

#[test]
fn both_directions_are_recorded_and_sealed_before_the_desk_hears_of_the_end() {
    let gate = Gate::start(Setup::default());
    let mut client = gate.session("s1", upstream(echo), None);
    client.write_all(b"hello").unwrap();
    crate::support::expect(&mut client, b"hello");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(gate.ended().session, "s1");
    gate.journal.close();
    let reader =
        gatebook_carrier::journal::JournalReader::open(&gate.folder.0.join("gate"), "gate");
    let mut kinds = Vec::new();
    let visit = |entry: gatebook_carrier::journal::Entry<'_>| {
        let leaf = String::from_utf8_lossy(entry.leaf).into_owned();
        let (_, behind) = leaf.split_once(r#""event":""#).unwrap();
        kinds.push(behind.split_once('"').unwrap().0.to_owned());
    };
    reader.unwrap().each(visit).unwrap();
    assert_eq!(kinds, ["test", "test", "recording.chunk", "recording.sealed"]);
}

// SPDX-License-Identifier: Apache-2.0
//! Sessions over real sockets: relay, back-pressure, loss, ends, bounds.
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{allowed, echo, expect, rest, upstream, Gate, Setup};
use gatebook_carrier::{Item, Parsed};
use gatebook_wire::{Answer, Cause};

#[test]
fn bytes_go_both_ways_and_each_piece_has_its_entry() {
    let gate = Gate::start(Setup::default());
    let before = gate.journal.entries();
    let mut client = gate.session("s1", upstream(echo), None);
    client.write_all(b"hello").unwrap();
    expect(&mut client, b"hello");
    client.write_all(b"again").unwrap();
    expect(&mut client, b"again");
    assert_eq!(gate.journal.entries() - before, 2);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), "bye:client closed");
    let ended = gate.ended();
    assert_eq!((ended.session.as_str(), ended.cause.as_str()), ("s1", "client closed"));
}

#[test]
fn an_upstream_behind_a_unix_socket_is_reached_by_its_path() {
    let gate = Gate::start(Setup::default());
    let path = gate.folder.0.join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"from unix").unwrap();
    });
    let mut client = gate.connect();
    client.write_all(b"H").unwrap();
    let mut admission = crate::support::admission("s1", 0, None);
    admission.dial.host = path.to_str().unwrap().to_owned();
    assert!(gate.carrier.admit(gate.hello(), admission));
    expect(&mut client, b"okfrom unix");
}

#[test]
fn an_upstream_that_nobody_serves_fails_with_its_address() {
    let gate = Gate::start(Setup::default());
    let mut client = gate.connect();
    client.write_all(b"H").unwrap();
    assert!(gate.carrier.admit(gate.hello(), crate::support::admission("s1", 1, None)));
    let words = rest(&mut client);
    assert!(words.starts_with("127.0.0.1:1: "), "{words}");
    assert!(words.ends_with("bye:upstream failed"), "{words}");
}

#[test]
fn a_client_that_does_not_read_stops_the_upstream_and_loses_nothing() {
    const TOTAL: u64 = 200 << 20;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let flood = upstream(move |mut stream| {
        let block = vec![b'x'; 1 << 20];
        while counter.load(Ordering::Relaxed) < TOTAL && stream.write_all(&block).is_ok() {
            counter.fetch_add(1 << 20, Ordering::Relaxed);
        }
    });
    let gate = Gate::start(Setup::default());
    let mut client = gate.session("s1", flood, None);
    std::thread::sleep(Duration::from_millis(1500));
    let stalled = sent.load(Ordering::Relaxed);
    assert!(stalled < 64 << 20, "{stalled} bytes are somewhere");
    let mut read = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        read += count as u64;
    }
    assert_eq!(read, TOTAL + "bye:upstream lost".len() as u64);
}

#[test]
fn a_client_that_pipelines_fifty_megabytes_before_it_reads_gets_every_answer() {
    const TOTAL: usize = 50 << 20;
    let gate = Gate::start(Setup::default());
    let mut client = gate.session("s1", upstream(echo), None);
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        let block: Vec<u8> = (0..=255_u8).cycle().take(1 << 20).map(|byte| byte & 0x1f).collect();
        for _ in 0..TOTAL >> 20 {
            writer.write_all(&block).unwrap();
        }
    });
    // Long enough for everything between the two to be full.
    std::thread::sleep(Duration::from_millis(700));
    let mut buffer = vec![0; 1 << 20];
    let mut read = 0;
    while read < TOTAL {
        let count = client.read(&mut buffer).unwrap();
        for (offset, byte) in buffer.iter().take(count).enumerate() {
            assert_eq!(usize::from(*byte), (read + offset) & 0x1f);
        }
        read += count;
    }
    writing.join().unwrap();
}

#[test]
fn a_flood_of_the_upstream_does_not_silence_the_client() {
    let (told, hears) = channel();
    let flood = upstream(move |stream| {
        let mut writer = stream.try_clone().unwrap();
        std::thread::spawn(move || while writer.write_all(&[b'x'; 8192]).is_ok() {});
        let mut word = [0; 4];
        (&stream).read_exact(&mut word).unwrap();
        told.send(word).unwrap();
    });
    let gate = Gate::start(Setup::default());
    let mut client = gate.session("s1", flood, None);
    let mut reader = client.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(1..) = reader.read(&mut buffer) {}
    });
    client.write_all(b"stop").unwrap();
    assert_eq!(&hears.recv_timeout(Duration::from_secs(10)).unwrap(), b"stop");
}

#[test]
fn the_last_words_of_an_upstream_that_closes_reach_the_client() {
    let gate = Gate::start(Setup::default());
    let farewell = upstream(|mut stream| {
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(b"shutting down;").unwrap();
    });
    let mut client = gate.session("s1", farewell, None);
    client.write_all(b"work").unwrap();
    assert_eq!(rest(&mut client), "shutting down;bye:upstream lost");
    assert_eq!(gate.ended().cause, "upstream lost");
}

#[test]
fn a_question_goes_on_only_with_a_verdict_and_brings_its_parse() {
    let gate = Gate::start(Setup::default());
    let mut client = gate.session("s1", upstream(echo), None);
    client.write_all(b"?may I").unwrap();
    let (ticket, parsed, text) = gate.next(|item| match item {
        Item::Question(ticket, question, parsed) => Some((ticket, parsed, question.text.clone())),
        _ => None,
    });
    assert_eq!(parsed, Parsed { tree: Some(b"tree".to_vec()), error: String::new() });
    assert_eq!(text, b"?may I");
    assert!(gate.carrier.answer(ticket, allowed()));
    expect(&mut client, b"?may I");
}

#[test]
fn a_silent_desk_is_a_no_and_its_late_answer_counts_for_nothing() {
    let gate = Gate::start(Setup { deadline: Duration::from_millis(200), ..Setup::default() });
    let mut client = gate.connect();
    let start = Instant::now();
    client.write_all(b"H").unwrap();
    let ticket = gate.hello();
    assert_eq!(rest(&mut client), "bye:silence");
    assert!(start.elapsed() < Duration::from_secs(2));
    let forgotten = gate.next(|item| match item {
        Item::Forgotten(ticket) => Some(ticket),
        _ => None,
    });
    assert_eq!(forgotten, ticket);
    assert_eq!(gate.ended().session, "");
    assert!(!gate.carrier.admit(ticket, crate::support::admission("late", 1, None)));
    assert_eq!(gate.ended().session, "late");
}

#[test]
fn a_parser_that_hangs_delays_a_question_by_two_seconds_and_no_more() {
    let slow: gatebook_carrier::ParseHook = Arc::new(|_| {
        std::thread::sleep(Duration::from_secs(6));
        Parsed::default()
    });
    let gate = Gate::start(Setup { parse: slow, ..Setup::default() });
    let mut client = gate.session("s1", upstream(echo), None);
    let start = Instant::now();
    client.write_all(b"?slow").unwrap();
    let parsed = gate.next(|item| match item {
        Item::Question(_, _, parsed) => Some(parsed),
        _ => None,
    });
    assert_eq!(parsed, Parsed::failed("too slow"));
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn an_ended_session_sends_its_errand_and_says_why_within_a_second() {
    let (told, hears) = channel();
    let port = upstream(move |mut stream| {
        let mut word = Vec::new();
        let _ = stream.read_to_end(&mut word);
        told.send(word).unwrap();
    });
    let gate = Gate::start(Setup::default());
    let mut client = gate.session("s1", port, None);
    let start = Instant::now();
    assert!(gate.carrier.end("s1", Cause::of("operator")));
    assert_eq!(rest(&mut client), "bye:operator");
    assert_eq!(gate.ended().cause, "operator");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(hears.recv_timeout(Duration::from_secs(5)).unwrap(), b"cancel");
    assert!(!gate.carrier.end("s1", Cause::of("operator")));
}

#[test]
fn a_signal_reaches_the_session_that_registered_its_key() {
    let gate = Gate::start(Setup::default());
    let mut first = gate.session("first", upstream(echo), None);
    let mut second = gate.session("second", upstream(echo), None);
    second.write_all(b"*first").unwrap();
    expect(&mut first, b"signal");
}

#[test]
fn a_conversation_that_panics_ends_its_own_session_only() {
    let gate = Gate::start(Setup::default());
    let mut bystander = gate.session("bystander", upstream(echo), None);
    let mut client = gate.session("s1", upstream(echo), None);
    client.write_all(b"!").unwrap();
    assert_eq!(rest(&mut client), "");
    let what = gate.next(|item| match item {
        Item::Fault(what, _) => Some(what),
        _ => None,
    });
    assert_eq!(what, "session");
    let ended = gate.ended();
    assert_eq!((ended.session.as_str(), ended.cause.as_str()), ("s1", "gateway fault"));
    bystander.write_all(b"still here").unwrap();
    expect(&mut bystander, b"still here");
}

#[test]
fn a_connection_over_the_bound_before_login_is_closed_at_once() {
    let gate = Gate::start(Setup { before_login: 2, ..Setup::default() });
    let (_first, _second) = (gate.connect(), gate.connect());
    std::thread::sleep(Duration::from_millis(100));
    let mut third = gate.connect();
    assert_eq!(rest(&mut third), "");
    assert_eq!(gate.carrier.counts().turned_away, 1);
}

#[test]
fn a_stop_ends_idle_sessions_at_once_and_busy_ones_at_the_deadline() {
    let gate = Gate::start(Setup::default());
    let mute = upstream(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut idle = gate.session("idle", mute, None);
    let mut busy = gate.session("busy", mute, None);
    busy.write_all(b"long work").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let carrier = Arc::clone(&gate.carrier);
    let start = Instant::now();
    let stopping = std::thread::spawn(move || carrier.stop(Duration::from_millis(1500)));
    assert_eq!(rest(&mut idle), "bye:gate stopping");
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(rest(&mut busy), "bye:gate stopping");
    assert!(start.elapsed() > Duration::from_millis(1400));
    drop((idle, busy));
    stopping.join().unwrap();
    assert_eq!((gate.ended().session, gate.ended().session), ("idle".into(), "busy".into()));
    assert!(std::net::TcpStream::connect(("127.0.0.1", gate.port)).is_err());
}

#[test]
fn a_session_ticks_twice_a_second_and_its_bytes_are_counted() {
    let gate = Gate::start(Setup::default());
    let mut client = gate.session("s1", upstream(echo), None);
    client.write_all(b"12345").unwrap();
    expect(&mut client, b"12345");
    std::thread::sleep(Duration::from_millis(1200));
    let ticks = gate.seen.ticks.load(Ordering::Relaxed);
    assert!((2..=3).contains(&ticks), "{ticks}");
    let counts = gate.carrier.counts();
    assert_eq!((counts.client_in, counts.upstream_out, counts.upstream_in), (6, 5, 5));
    assert_eq!((counts.live, counts.sessions, counts.admitted), (1, 1, 1));
}

#[test]
fn refusing_by_the_wrong_answer_is_silence() {
    let gate = Gate::start(Setup::default());
    let mut client = gate.connect();
    client.write_all(b"H").unwrap();
    assert!(gate.carrier.answer(gate.hello(), allowed()));
    assert_eq!(rest(&mut client), "bye:silence");
    assert!(!gate.carrier.answer(999, Answer::Silence));
}

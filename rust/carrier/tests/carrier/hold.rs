// SPDX-License-Identifier: Apache-2.0
//! Questions that wait for a person, over real sockets: held, resumed, given up, out of time.
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{allowed, echo, expect, held, rest, upstream, Gate, Setup};
use gatebook_wire::Answer;

const LONG: Duration = Duration::from_secs(60);

/// A session whose question is held, and the desk's ticket.
fn holding(gate: &Gate, wait: Duration) -> (TcpStream, u64) {
    let mut client = gate.session("s1", upstream(echo), None);
    client.write_all(b"?may I").unwrap();
    let ticket = gate.question();
    assert!(gate.carrier.answer(ticket, held(wait)));
    expect(&mut client, b"wait");
    (client, ticket)
}

#[test]
fn what_is_resumed_is_asked_again_under_a_new_ticket_and_goes_on_when_it_is_allowed() {
    let gate = Gate::start(Setup::default());
    let (mut client, first) = holding(&gate, LONG);
    assert!(gate.carrier.answer(first, Answer::Resume));
    let second = gate.question();
    assert_ne!(first, second);
    assert!(!gate.carrier.answer(first, allowed()));
    assert!(gate.carrier.answer(second, held(LONG)));
    expect(&mut client, b"wait");
    assert!(gate.carrier.answer(second, allowed()));
    expect(&mut client, b"?may I");
}

#[test]
fn the_desk_s_deadline_is_not_a_person_s_but_the_hold_has_its_own() {
    let gate = Gate::start(Setup { deadline: Duration::from_millis(200), ..Setup::default() });
    let begun = Instant::now();
    let (mut client, ticket) = holding(&gate, Duration::from_millis(1200));
    assert_eq!(rest(&mut client), "bye:silence");
    assert!(begun.elapsed() >= Duration::from_millis(1200), "{:?}", begun.elapsed());
    assert_eq!(gate.forgotten(), ticket);
    assert!(!gate.carrier.answer(ticket, Answer::Resume));
}

#[test]
fn what_is_asked_again_has_the_desk_s_deadline_again() {
    let gate = Gate::start(Setup { deadline: Duration::from_millis(200), ..Setup::default() });
    let (mut client, ticket) = holding(&gate, LONG);
    assert!(gate.carrier.answer(ticket, Answer::Resume));
    assert_eq!(rest(&mut client), "bye:silence");
}

#[test]
fn a_client_that_goes_while_it_is_held_is_told_to_the_desk() {
    let gate = Gate::start(Setup::default());
    let (client, ticket) = holding(&gate, LONG);
    drop(client);
    assert_eq!(gate.forgotten(), ticket);
    assert_eq!(gate.ended().cause, "client closed");
    assert!(!gate.carrier.answer(ticket, allowed()));
}

#[test]
fn an_ended_session_gives_up_what_it_holds() {
    let gate = Gate::start(Setup::default());
    let (mut client, ticket) = holding(&gate, LONG);
    assert!(gate.carrier.end("s1", gatebook_wire::Cause::of("operator")));
    assert_eq!(rest(&mut client), "bye:operator");
    assert_eq!(gate.forgotten(), ticket);
}

#[test]
fn a_signal_from_another_connection_gives_up_what_is_held_and_the_session_goes_on() {
    let gate = Gate::start(Setup::default());
    let (mut client, ticket) = holding(&gate, LONG);
    let mut other = gate.session("s2", upstream(echo), None);
    other.write_all(b"*s1").unwrap();
    expect(&mut client, b"signal");
    assert_eq!(gate.forgotten(), ticket);
    client.write_all(b"on").unwrap();
    expect(&mut client, b"on");
}

#[test]
fn a_second_hold_and_a_resume_of_what_is_not_held_change_nothing() {
    let gate = Gate::start(Setup::default());
    let mut client = gate.session("s1", upstream(echo), None);
    client.write_all(b"?may I").unwrap();
    let ticket = gate.question();
    assert!(!gate.carrier.answer(ticket, Answer::Resume));
    assert!(gate.carrier.answer(ticket, held(LONG)));
    assert!(!gate.carrier.answer(ticket, held(LONG)));
    assert!(!gate.carrier.answer(ticket + 1, held(LONG)));
    assert!(gate.carrier.answer(ticket, Answer::Resume));
    assert!(!gate.carrier.answer(ticket, Answer::Resume));
    assert!(gate.carrier.answer(gate.question(), allowed()));
    expect(&mut client, b"wait?may I");
}

#[test]
fn a_hello_that_is_held_is_silence_and_one_that_is_resumed_stays_open() {
    let gate = Gate::start(Setup::default());
    let mut client = gate.connect();
    client.write_all(b"H").unwrap();
    let ticket = gate.hello();
    assert!(!gate.carrier.answer(ticket, Answer::Resume));
    assert!(gate.carrier.answer(ticket, held(LONG)));
    assert_eq!(rest(&mut client), "bye:silence");
}

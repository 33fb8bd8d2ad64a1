// SPDX-License-Identifier: Apache-2.0
//! The desk without sockets: turns, tickets, the descriptor, bounds.
#![allow(clippy::unwrap_used)] // tests fail by panicking

use super::*;
use std::task::{Context, Poll, Waker};

use gatebook_wire::TlsFault;

use super::handshakes::WAITING;
use crate::mailbox::Letter;

fn desk() -> (Desk, Arc<Mailbox>) {
    (Desk::new().unwrap(), Arc::new(Mailbox::default()))
}

fn ask(desk: &Desk, mailbox: &Arc<Mailbox>, local: u64, who: &str) -> u64 {
    let question = Arc::new(Question { principal: who.to_owned(), ..Question::default() });
    desk.ask(mailbox, local, Arc::from(who), Asked::Question(question)).unwrap()
}

fn parse_all(desk: &Desk, count: usize) {
    for _ in 0..count {
        let (ticket, _) = desk.next_unparsed().unwrap();
        desk.parsed(ticket, Parsed::default());
    }
}

fn letter(mailbox: &Mailbox) -> Option<Letter> {
    match mailbox.poll(&Context::from_waker(Waker::noop())) {
        Poll::Ready(letter) => Some(letter),
        Poll::Pending => None,
    }
}

fn rung(desk: &Desk) -> bool {
    desk.lock().signalled
}

#[test]
fn questions_take_turns_between_principals() {
    let (desk, mailbox) = desk();
    for local in 0..5 {
        ask(&desk, &mailbox, local, "loud");
    }
    ask(&desk, &mailbox, 5, "quiet");
    parse_all(&desk, 6);
    let order: Vec<String> = desk
        .drain(10)
        .into_iter()
        .map(|item| match item {
            Item::Question(_, question, _) => question.principal.clone(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(order, ["loud", "quiet", "loud", "loud", "loud", "loud"]);
}

#[test]
fn the_descriptor_is_readable_exactly_while_something_waits() {
    let (desk, mailbox) = desk();
    assert!(!rung(&desk));
    ask(&desk, &mailbox, 1, "a");
    ask(&desk, &mailbox, 2, "a");
    assert!(!rung(&desk));
    parse_all(&desk, 2);
    assert!(rung(&desk));
    assert_eq!(desk.drain(1).len(), 1);
    assert!(rung(&desk));
    assert_eq!(desk.drain(9).len(), 1);
    assert!(!rung(&desk));
    assert_eq!((&desk.ear).read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_ticket_is_answered_once_and_by_its_own_kind() {
    let (desk, mailbox) = desk();
    let first = ask(&desk, &mailbox, 41, "a");
    assert!(desk.answer(first, Answer::Refused(gatebook_wire::Refusal::default())));
    assert!(!desk.answer(first, Answer::Silence));
    assert!(matches!(letter(&mailbox), Some(Letter::Answered(41, Answer::Silence))));
    assert!(letter(&mailbox).is_none());
}

#[test]
fn a_held_ticket_stays_open_until_it_is_answered_or_resumed() {
    let (desk, mailbox) = desk();
    let hold = || {
        Answer::Held(Box::new(gatebook_wire::Held {
            verdict: Arc::new(gatebook_wire::Verdict::unread()),
            notice: gatebook_wire::Refusal::default(),
            wait_us: 1,
        }))
    };
    let ticket = ask(&desk, &mailbox, 7, "a");
    assert!(!desk.answer(ticket, Answer::Resume));
    assert!(desk.answer(ticket, hold()));
    assert!(!desk.answer(ticket, hold()));
    assert_eq!(desk.counts().2, 1);
    assert!(desk.answer(ticket, Answer::Resume));
    assert_eq!(desk.counts().2, 0);
    assert!(matches!(letter(&mailbox), Some(Letter::Answered(7, Answer::Held(_)))));
    assert!(matches!(letter(&mailbox), Some(Letter::Answered(7, Answer::Resume))));
    assert!(letter(&mailbox).is_none());
}

#[test]
fn python_hears_of_a_forgotten_ticket_only_if_it_has_it() {
    let (desk, mailbox) = desk();
    let unparsed = ask(&desk, &mailbox, 1, "a");
    desk.forget(unparsed);
    assert!(desk.drain(9).is_empty());
    let drained = ask(&desk, &mailbox, 2, "a");
    parse_all(&desk, 1);
    assert_eq!(desk.drain(9).len(), 1);
    desk.forget(drained);
    assert!(matches!(desk.drain(9).as_slice(), [Item::Forgotten(ticket)] if *ticket == drained));
}

#[test]
fn a_parse_that_took_too_long_is_overtaken() {
    let (desk, mailbox) = desk();
    let ticket = ask(&desk, &mailbox, 1, "a");
    let (taken, _) = desk.next_unparsed().unwrap();
    assert_eq!(taken, ticket);
    desk.parsed(ticket, Parsed::failed("too slow"));
    desk.parsed(ticket, Parsed { tree: Some(b"{}".to_vec()), error: String::new() });
    let items = desk.drain(9);
    let [Item::Question(_, _, parsed)] = items.as_slice() else {
        unreachable!("{items:?}");
    };
    assert_eq!(parsed, &Parsed::failed("too slow"));
}

#[test]
fn failed_handshakes_wait_in_bounded_memory_and_hold_up_nobody() {
    let (desk, mailbox) = desk();
    let fault = TlsFault::CertificateMissing;
    let flood = NotSecured { peer: ("192.0.2.1".to_owned(), 4000), fault };
    for _ in 0..WAITING + 7 {
        desk.not_secured(flood.clone());
    }
    desk.not_secured(NotSecured { fault: TlsFault::Closed, ..flood.clone() });
    ask(&desk, &mailbox, 1, "quiet");
    parse_all(&desk, 1);
    desk.ended(Box::new(Ended { session: "s".to_owned(), ..Ended::default() }));
    assert!(matches!(
        desk.drain(3).as_slice(),
        [Item::Ended(_), Item::Question(..), Item::NotSecured(first)] if *first == flood
    ));
    let rest = desk.drain(WAITING + 9);
    assert_eq!(rest.len(), WAITING - 1 + 2);
    assert!(matches!(
        rest.as_slice(),
        [.., Item::NotSecuredBeyond("certificate", 7), Item::NotSecuredBeyond("tls", 1)]
    ));
    assert!(!rung(&desk));
    desk.not_secured(flood);
    assert!(rung(&desk));
}

#[test]
fn too_many_open_tickets_get_silence_at_once() {
    let (desk, mailbox) = desk();
    for local in 0..OPEN_TICKETS {
        ask(&desk, &mailbox, local as u64, "flood");
    }
    let question = Asked::Question(Arc::new(Question::default()));
    assert_eq!(desk.ask(&mailbox, 0, Arc::from("quiet"), question), None);
    assert_eq!(desk.counts().1, 1);
}

#[test]
fn the_same_fault_is_told_once() {
    let (desk, _) = desk();
    assert!(desk.fault("journal", "disk full"));
    assert!(!desk.fault("journal", "disk full"));
    assert_eq!(desk.drain(9).len(), 1);
}

// SPDX-License-Identifier: Apache-2.0
//! Whatever client and upstream send behind a login: the conversation neither panics nor stalls,
//! and however the bytes are split, both sides, the recording and the journal get the same.
//! The order of events is part of the input, not of the split: the desk answers once no byte of
//! the piece is wanted any more.
//!
//! Input: pieces of `head byte | bytes`. The head's lowest bit is the side, the rest the length.
#![no_main]

use std::collections::VecDeque;
use std::sync::Arc;

use gatebook_wire::postgres::{Postgres, Setup};
use gatebook_wire::seam::{OperationFacts, Refusal};
use gatebook_wire::{
    Answer, Ask, CacheScope, Command, Conversation, Durability, Event, Held, Moment, Out, Verdict,
};
use libfuzzer_sys::fuzz_target;

#[path = "../../wire/examples/support/admission.rs"]
mod plain;

/// LIMIT: batches that one event may lead to; more is a stall.
const TURNS: usize = 10_000;

fuzz_target!(|input: &[u8]| {
    let pieces = pieces(input);
    let whole = play(&pieces, usize::MAX);
    for most in [1, 3] {
        assert_eq!(play(&pieces, most), whole, "split at {most}");
    }
});

type Piece<'a> = (bool, &'a [u8]);

fn pieces(mut input: &[u8]) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    while let Some((head, rest)) = input.split_first() {
        let (piece, behind) = rest.split_at(rest.len().min(usize::from(head >> 1) + 1));
        if !piece.is_empty() {
            found.push((head & 1 == 0, piece));
        }
        input = behind;
    }
    found
}

/// Bytes given in one event.
struct Chunk<'a> {
    /// The first of its piece.
    begins: bool,
    bytes: &'a [u8],
}

/// Everything that came out, each stream on its own.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    client: Vec<u8>,
    upstream: Vec<u8>,
    entries: Vec<u8>,
    recorded: [Vec<u8>; 2],
    end: Option<(&'static str, String)>,
}

struct Play {
    conversation: Postgres,
    out: Out,
    heard: Heard,
    answers: VecDeque<Event<'static>>,
    /// The operation that was held last: each is held once.
    held: u64,
}

fn play(pieces: &[Piece<'_>], most: usize) -> Heard {
    let setup = Setup {
        insecure_plaintext: true,
        bearer: None,
        cache: Arc::default(),
        epochs: Arc::default(),
        writer: Arc::from("fuzz"),
        quotas: Arc::default(),
    };
    let mut play = Play {
        conversation: Postgres::new(setup),
        out: Out::default(),
        heard: Heard::default(),
        answers: VecDeque::new(),
        held: 0,
    };
    play.log_in();
    let mut waiting = [VecDeque::new(), VecDeque::new()];
    for &(is_client, bytes) in pieces {
        for (number, bytes) in bytes.chunks(most).enumerate() {
            waiting[usize::from(is_client)].push_back(Chunk { begins: number == 0, bytes });
        }
        play.settle(&mut waiting);
    }
    play.turn(Event::ClientClosed);
    play.settle(&mut waiting);
    play.turn(Event::UpstreamClosed);
    play.heard
}

impl Play {
    fn log_in(&mut self) {
        self.turn(Event::ClientBytes(b"\0\0\0\x22\0\x03\0\0user\0agent\0database\0shop\0\0"));
        self.turn(Event::ClientBytes(b"p\0\0\0\x08key\0"));
        assert!(self.answer_one(), "the desk was not asked");
        self.turn(Event::UpstreamOpen);
        self.turn(Event::UpstreamBytes(
            b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\x09\x09\x09\x09Z\0\0\0\x05I",
        ));
        assert!(
            self.heard.end.is_none() && self.heard.client.ends_with(b"Z\0\0\0\x05I"),
            "no login"
        );
    }

    /// Gives all that is wanted, and the desk's answers whenever no byte is.
    fn settle(&mut self, waiting: &mut [VecDeque<Chunk<'_>>; 2]) {
        while self.feed(waiting) || self.answer_one() {}
    }

    /// The desk's oldest answer; false if nobody asked.
    fn answer_one(&mut self) -> bool {
        let Some(event) = self.answers.pop_front() else { return false };
        self.turn(event);
        true
    }

    /// Gives one chunk that is wanted: what is left of a piece that was begun before a new piece,
    /// as the driver that gives pieces whole has no choice. False if none is wanted.
    fn feed(&mut self, waiting: &mut [VecDeque<Chunk<'_>>; 2]) -> bool {
        for begun in [true, false] {
            for is_client in [true, false] {
                let wanted = if is_client {
                    self.conversation.wants_client()
                } else {
                    self.conversation.wants_upstream()
                };
                let side = &mut waiting[usize::from(is_client)];
                if !wanted || side.front().is_none_or(|chunk| chunk.begins == begun) {
                    continue;
                }
                let Some(chunk) = side.pop_front() else { continue };
                self.turn(if is_client {
                    Event::ClientBytes(chunk.bytes)
                } else {
                    Event::UpstreamBytes(chunk.bytes)
                });
                return true;
            }
        }
        false
    }

    /// One event and everything that follows from it.
    fn turn(&mut self, event: Event<'_>) {
        if self.conversation.is_over() {
            return;
        }
        self.conversation.on(event, Moment::default(), &mut self.out);
        self.carry();
    }

    /// What a driver does behind each event.
    fn carry(&mut self) {
        for _ in 0..TURNS {
            if self.out.batch().is_empty() {
                break;
            }
            self.heard.entries.extend_from_slice(self.out.batch().bytes());
            let token =
                self.out.batch_mut().written(Durability::Disk).expect("disk is all it may need");
            self.conversation.on(Event::Written(token), Moment::default(), &mut self.out);
        }
        assert!(self.out.batch().is_empty(), "entries lead to entries without end");
        let mut bytes = self.out.frame_bytes();
        for frame in self.out.frames() {
            let (piece, rest) = bytes.split_at(frame.len as usize);
            self.heard.recorded[usize::from(frame.direction == b'>')].extend_from_slice(piece);
            bytes = rest;
        }
        self.heard.client.extend_from_slice(self.out.client());
        self.heard.upstream.extend_from_slice(self.out.upstream());
        for command in std::mem::take(&mut self.out.commands) {
            match command {
                Command::Ask(ticket, ask) => self.consider(ticket, &ask),
                Command::End(cause, _) => self.heard.end = Some((cause.word, cause.note)),
                _ => {}
            }
        }
        self.out.clear();
    }
}

impl Play {
    /// The desk holds what has an `h` once; then it resumes it, or with a `c` it is cancelled, or with
    /// an `s` nobody says anything.
    fn consider(&mut self, ticket: u64, ask: &Ask) {
        let answered = |answer| Event::Answered(ticket, answer);
        if let Ask::Question(question) = ask {
            let has = |letter: u8| question.text.contains(&letter);
            if has(b'h') && self.held != question.operation {
                self.held = question.operation;
                let Answer::Verdict(verdict) = answer(ask) else { return };
                let verdict = Arc::new(Verdict { refusal: None, ..(*verdict).clone() });
                let notice = Refusal { message: "waits".to_owned(), ..Refusal::default() };
                let held = Held { verdict, notice, wait_us: 0 };
                self.answers.push_back(answered(Answer::Held(Box::new(held))));
                self.answers.push_back(if has(b'c') {
                    Event::Signal
                } else if has(b's') {
                    answered(Answer::Silence)
                } else {
                    answered(Answer::Resume)
                });
                return;
            }
        }
        self.answers.push_back(answered(answer(ask)));
    }
}

/// A desk that admits, and refuses every text that holds an `x`.
fn answer(ask: &Ask) -> Answer {
    let question = match ask {
        Ask::Hello(_) => return Answer::Admitted(Box::new(plain::admission("s_fuzz", 5432))),
        Ask::Question(question) => question,
        Ask::Cancel(_) => return Answer::Noted,
    };
    let refusal = question.text.contains(&b'x').then(|| Refusal {
        sqlstate: "42501".to_owned(),
        message: "no".to_owned(),
        detail: "{\"operation\":\"{operation}\"}".to_owned(),
        hint: String::new(),
        code: "policy.denied".to_owned(),
    });
    let facts = OperationFacts {
        action: b"{}".to_vec(),
        decision: b"{}".to_vec(),
        privileged: question.text.contains(&b'p'),
        effects: Vec::new(),
        whole: question.text.contains(&b'w'),
    };
    let operations = question.text.split(|byte| *byte == b';').filter(|text| !text.is_empty());
    Answer::Verdict(Arc::new(Verdict {
        operations: operations.map(|_| facts.clone()).collect(),
        refusal,
        cache: CacheScope::Shape,
        ttl_us: 1_000_000,
        mask: gatebook_wire::proof::MaskPlan::empty(),
        blots: Vec::new(),
        salt: String::new(),
    }))
}

// SPDX-License-Identifier: Apache-2.0
//! What the conversation itself costs per query in the steady state, without sockets, files and
//! threads: `tools/cargo.sh run --release -p gatebook-wire --example steady [simple|prepared]`.
//! The least of many rounds counts: it is the one that nobody disturbed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // a measurement

use std::sync::Arc;
use std::time::Instant;

use gatebook_wire::postgres::{Postgres, Setup};
use gatebook_wire::proof::MaskPlan;
use gatebook_wire::seam::OperationFacts;
use gatebook_wire::{
    Admission, Answer, Ask, CacheScope, Command, Conversation, Durability, Event, Moment, Out,
    Verdict,
};

#[path = "support/admission.rs"]
mod plain;

const ROUNDS: usize = 200;
const QUERIES: u32 = 2_000;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

struct Play {
    conversation: Postgres,
    out: Out,
    now: u64,
    asked: u64,
}

impl Play {
    fn give(&mut self, event: Event<'_>) {
        self.now += 3;
        let at = Moment { unix_us: 1_790_000_000_000_000 + self.now, mono_us: self.now };
        self.conversation.on(event, at, &mut self.out);
        while !self.out.batch().is_empty() {
            let token = self.out.batch_mut().written(Durability::Disk).unwrap();
            self.conversation.on(Event::Written(token), at, &mut self.out);
        }
        let commands = std::mem::take(&mut self.out.commands);
        self.out.clear();
        for command in commands {
            if let Command::Ask(ticket, ask) = command {
                self.asked += 1;
                self.give(Event::Answered(ticket, answer(&ask)));
            }
        }
    }
}

fn answer(ask: &Ask) -> Answer {
    if matches!(ask, Ask::Hello(_)) {
        return Answer::Admitted(Box::new(admission()));
    }
    Answer::Verdict(Arc::new(Verdict {
        operations: vec![OperationFacts {
            action: br#"{"accesses":[["select","relation:bench.bench.public.pgbench_accounts"]],"privileged":false,"shape":"SELECT abalance FROM pgbench_accounts WHERE aid = $1","verb":"SELECT"}"#.to_vec(),
            decision: br#"{"evaluation":"e_0123456789abcdefghjkmnpqrs","policies":["benchmark-reads-accounts"],"policy_hash":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","result":"allow","role":"bench"}"#.to_vec(),
            privileged: false,
            whole: false,
            effects: Vec::new(),
        }],
        refusal: None,
        cache: CacheScope::Shape,
        ttl_us: u64::MAX / 2,
        mask: MaskPlan::empty(),
        blots: Vec::new(),
        salt: String::new(),
    }))
}

fn admission() -> Admission {
    Admission {
        account: "bench".to_owned(),
        startup: vec![("database".to_owned(), "bench".to_owned())],
        identity: br#"{"actor":[{"issuer":"gatebook:gate","subject":"bench-agent"}],"agent":{"issuer":"gatebook:gate","subject":"bench-agent"},"credential":"k_0123456789ab","groups":["bench-agents"],"kind":"agent","method":"api_key","owner":{"issuer":"gatebook:gate","subject":"robin"},"role":"bench"}"#.to_vec(),
        source: br#"{"ip":"127.0.0.1","port":50000}"#.to_vec(),
        place: br#"{"account":"bench","database":"bench","gateway":"gate","target":"bench"}"#.to_vec(),
        ..plain::admission("s_0123456789abcdefghjkmnpqrs", 5432)
    }
}

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_else(|| "simple".to_owned());
    let setup = Setup {
        insecure_plaintext: true,
        bearer: None,
        cache: Arc::default(),
        epochs: Arc::default(),
        writer: Arc::from("gate"),
        quotas: Arc::default(),
    };
    let conversation = Postgres::new(setup);
    let mut play = Play { conversation, out: Out::default(), now: 0, asked: 0 };
    play.give(Event::ClientBytes(b"\0\0\0\x22\0\x03\0\0user\0agent\0database\0shop\0\0"));
    play.give(Event::ClientBytes(b"p\0\0\0\x08key\0"));
    play.give(Event::UpstreamOpen);
    play.give(Event::UpstreamBytes(
        b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\x09\x09\x09\x09Z\0\0\0\x05I",
    ));
    let description =
        message(b'T', b"\0\x01abalance\0\0\0\x40\0\0\x03\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0");
    let mut result = Vec::new();
    if mode == "prepared" {
        let mut parse =
            message(b'P', b"P_0\0SELECT abalance FROM pgbench_accounts WHERE aid = $1;\0\0\0");
        parse.extend(message(b'S', b""));
        play.give(Event::ClientBytes(&parse));
        let mut parsed = message(b'1', b"");
        parsed.extend(message(b'Z', b"I"));
        play.give(Event::UpstreamBytes(&parsed));
        result.extend(message(b'2', b""));
    }
    result.extend(description);
    result.extend(message(b'D', b"\0\x01\0\0\0\x010"));
    result.extend(message(b'C', b"SELECT 1\0"));
    result.extend(message(b'Z', b"I"));
    let mut best = f64::MAX;
    for round in 0..ROUNDS {
        let started = Instant::now();
        for number in 0..QUERIES {
            let aid = (number * 7919 + u32::try_from(round).unwrap()) % 1_000_000;
            let query = if mode == "prepared" {
                let aid = aid.to_string();
                let mut bind = b"\0P_0\0\0\0\0\x01".to_vec();
                bind.extend_from_slice(&u32::try_from(aid.len()).unwrap().to_be_bytes());
                bind.extend_from_slice(aid.as_bytes());
                bind.extend_from_slice(b"\0\x01\0\0");
                let mut query = message(b'B', &bind);
                query.extend(message(b'D', b"P\0"));
                query.extend(message(b'E', b"\0\0\0\0\0"));
                query.extend(message(b'S', b""));
                query
            } else {
                message(
                    b'Q',
                    format!("SELECT abalance FROM pgbench_accounts WHERE aid = {aid};\0")
                        .as_bytes(),
                )
            };
            play.give(Event::ClientBytes(&query));
            play.give(Event::UpstreamBytes(&result));
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / f64::from(QUERIES));
    }
    assert!(!play.conversation.is_over(), "the conversation ended");
    println!("{mode}: {best:.2} us per query; the desk was asked {} times", play.asked);
}

// SPDX-License-Identifier: Apache-2.0
//! Consent to a session for drivers that have no desk: the measurement, the fuzzer, the carrier's
//! tests. Each includes this file by its path, so that the crate itself offers no such thing.

use gatebook_wire::{Admission, Dial, Limits};

/// A session at a plaintext upstream on loopback, without password, facts and end.
pub fn admission(session: &str, port: u16) -> Admission {
    Admission {
        session: session.to_owned(),
        dial: Dial { host: "127.0.0.1".to_owned(), port },
        tls: None,
        account: "reader".to_owned(),
        password: Vec::new(),
        insecure_md5: false,
        nonce: "0123456789abcdefgh".to_owned(),
        startup: vec![("database".to_owned(), "shop".to_owned())],
        scope: [0; 32],
        principal: "p".to_owned(),
        facts_query: Vec::new(),
        cancel_secret: [7; 32],
        recording_key: [7; 32],
        recording_head: Vec::new(),
        identity: b"{}".to_vec(),
        source: b"{}".to_vec(),
        place: b"{}".to_vec(),
        ends_at_us: 0,
        limits: Limits::default(),
    }
}

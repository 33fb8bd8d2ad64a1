// SPDX-License-Identifier: Apache-2.0
//! Facts of the session that resolve names: when they are read, on the session's own connection, and
//! what is kept of them.

use super::message;
use super::queue::Expect;
use super::session::Session;
use crate::entry::sha256;
use crate::proof::{Authorized, Housekeeping};

/// LIMIT: bytes of the facts row.
const FACTS_BYTES: usize = 256 * 1024;

/// Name under which the gate's own question is prepared, for as long as it is asked.
const FACTS_NAME: &[u8] = b"gatebook facts";

/// Goes before it, for the transaction that both make: settings of the session under which every
/// plan looks dear (`enable_seqscan = off`) would have the server compile it, for half a second.
const FACTS_PRELUDE: &[u8] = b"SELECT pg_catalog.set_config('jit', 'off', true)";

/// Facts of the session that resolve names, read on its own upstream connection.
#[derive(Debug, Default)]
pub struct Facts {
    /// The row as last read.
    pub row: Vec<Option<Vec<u8>>>,
    /// Whether it still holds.
    pub known: bool,
    /// A reading is under way: cells so far.
    pub reading: Option<Vec<Option<Vec<u8>>>>,
    /// Hash over scope and row: the context of a cache key.
    pub context: [u8; 32],
}

impl Facts {
    /// The next statement is answered: what counts is the row of the last.
    pub fn begin_answer(&mut self) {
        self.reading = Some(Vec::new());
    }

    /// Takes the first row of the answer; later rows and oversized ones are ignored.
    pub fn take_row(&mut self, body: &[u8]) {
        let Some(reading) = self.reading.as_mut().filter(|cells| cells.is_empty()) else { return };
        if body.len() > FACTS_BYTES {
            return;
        }
        let mut reader = message::Reader(body);
        for _ in 0..reader.short().unwrap_or(0) {
            let Some(value) = reader.value() else { break };
            reading.push(value.map(<[u8]>::to_vec));
        }
    }

    /// The answer is complete.
    pub fn finish(&mut self, scope: &[u8; 32]) {
        self.row = self.reading.take().unwrap_or_default();
        self.known = !self.row.is_empty();
        self.rehash(scope);
    }

    /// Computes the context anew.
    pub fn rehash(&mut self, scope: &[u8; 32]) {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(scope);
        text.push(u8::from(self.known));
        for cell in &self.row {
            let cell = cell.as_deref();
            let length = cell.map_or(u64::MAX, |cell| u64::try_from(cell.len()).unwrap_or(0));
            text.extend_from_slice(&length.to_be_bytes());
            text.extend_from_slice(cell.unwrap_or_default());
        }
        self.context = sha256(&text);
    }
}

impl Session {
    /// Starts reading the facts again where they are stale and the session is idle outside a
    /// transaction. True if the message has to wait for them.
    pub(super) fn reads_facts(&mut self) -> bool {
        if self.facts.known || self.facts_query.is_empty() {
            return false;
        }
        if self.facts.reading.is_some() {
            return true;
        }
        let idle = self.queue.is_empty() && self.transaction == b'I' && !self.group_open;
        if idle {
            self.facts.reading = Some(Vec::new());
            let proof = Authorized::housekeeping(Housekeeping::Facts);
            self.stage
                .push(proof, &message::group(FACTS_NAME, &[FACTS_PRELUDE, &self.facts_query]));
            self.queue.push(Expect::Facts);
            self.groups.0 += 1;
        }
        idle
    }

    /// The answer to the facts query is complete.
    pub(super) fn finish_facts(&mut self) {
        self.facts.finish(&self.scope);
        if !self.facts.known {
            // The server would not say: names stay unresolved, and are asked for no more often
            // than statements come.
            self.facts_query.clear();
        }
    }
}

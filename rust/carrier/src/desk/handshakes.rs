// SPDX-License-Identifier: Apache-2.0
//! Clients that never came inside TLS, until Python hears of them.
//!
//! They have shown no credential, so nothing else holds them back: few wait one by one, and those
//! behind are only counted.

use std::collections::{BTreeMap, VecDeque};

use gatebook_wire::TlsFault;

use super::Item;

/// LIMIT: clients told one by one that nobody has drained yet.
pub(super) const WAITING: usize = 1_000;

/// A client that never came inside TLS, where it has to be before it may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSecured {
    /// Its address and port.
    pub peer: (String, u16),
    /// What was wrong.
    pub fault: TlsFault,
}

/// Those that nobody has drained yet.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    waiting: VecDeque<NotSecured>,
    /// How many more there were, by the check that failed.
    beyond: BTreeMap<&'static str, u64>,
}

impl Handshakes {
    /// One more.
    pub(super) fn put(&mut self, failed: NotSecured) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back(failed);
        } else {
            let (check, _) = failed.fault.words();
            *self.beyond.entry(check).or_default() += 1;
        }
    }

    /// The oldest; once there is none, what was counted beyond.
    pub(super) fn take(&mut self) -> Option<Item> {
        let oldest = self.waiting.pop_front().map(Item::NotSecured);
        oldest.or_else(|| {
            self.beyond.pop_first().map(|(check, times)| Item::NotSecuredBeyond(check, times))
        })
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.beyond.is_empty()
    }
}

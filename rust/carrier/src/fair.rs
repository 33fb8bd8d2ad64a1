// SPDX-License-Identifier: Apache-2.0
//! A queue that takes turns between keys: who asks a thousand times waits behind himself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Tickets by key, given out round-robin over the keys and in order within one.
#[derive(Debug, Default)]
pub(crate) struct Fair {
    ring: VecDeque<Arc<str>>,
    lines: HashMap<Arc<str>, VecDeque<u64>>,
}

impl Fair {
    /// Puts a ticket behind the others of its key.
    pub(crate) fn push(&mut self, key: &Arc<str>, ticket: u64) {
        if let Some(line) = self.lines.get_mut(key) {
            line.push_back(ticket);
            return;
        }
        self.lines.insert(Arc::clone(key), VecDeque::from([ticket]));
        self.ring.push_back(Arc::clone(key));
    }

    /// The next key's first ticket.
    pub(crate) fn pop(&mut self) -> Option<u64> {
        let key = self.ring.pop_front()?;
        let line = self.lines.get_mut(&key)?;
        let ticket = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&key);
        } else {
            self.ring.push_back(key);
        }
        ticket
    }

    /// Takes a ticket out before its turn.
    pub(crate) fn remove(&mut self, key: &Arc<str>, ticket: u64) {
        let Some(line) = self.lines.get_mut(key) else { return };
        line.retain(|waiting| *waiting != ticket);
        if line.is_empty() {
            self.lines.remove(key);
            self.ring.retain(|waiting| waiting != key);
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn takes_turns_between_keys_and_keeps_order_within_one() {
        let mut fair = Fair::default();
        for ticket in 1..=4 {
            fair.push(&key("loud"), ticket);
        }
        fair.push(&key("quiet"), 10);
        fair.push(&key("third"), 20);
        let order: Vec<u64> = std::iter::from_fn(|| fair.pop()).collect();
        assert_eq!(order, [1, 10, 20, 2, 3, 4]);
        assert!(fair.is_empty());
    }

    #[test]
    fn a_removed_ticket_never_comes() {
        let mut fair = Fair::default();
        fair.push(&key("a"), 1);
        fair.push(&key("b"), 2);
        fair.push(&key("a"), 3);
        fair.remove(&key("b"), 2);
        fair.remove(&key("a"), 1);
        assert_eq!(fair.pop(), Some(3));
        assert_eq!(fair.pop(), None);
    }
}

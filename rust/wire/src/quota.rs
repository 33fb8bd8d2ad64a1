// SPDX-License-Identifier: Apache-2.0
//! How much evidence a principal may make in an hour: bytes of the journal and of recordings.
//!
//! Sessions add while they write, which is one atomic add, and look before they serve a message. What
//! was begun within the quota is carried to its end: an operation without its outcome, or a session
//! without its end, would be worse than a few bytes more.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::seam::{Limits, Moment};

const HOUR_US: u64 = 3_600_000_000;
/// Principals known before those that made nothing this hour are forgotten.
const KNOWN: usize = 1_024;

/// What one principal made in the running hour, over all its sessions.
#[derive(Debug, Default)]
pub struct Quota {
    hour: AtomicU64,
    journal: AtomicU64,
    recording: AtomicU64,
    is_told: AtomicBool,
}

impl Quota {
    /// Entries of this size were written.
    pub fn add_journal(&self, bytes: usize) {
        self.journal.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    /// Frames of this size were recorded.
    pub fn add_recording(&self, bytes: u64) {
        self.recording.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether the hour's room is used up. A new hour begins with the first look in it.
    pub fn is_over(&self, limits: &Limits, at: Moment) -> bool {
        let hour = at.unix_us / HOUR_US;
        if self.hour.load(Ordering::Relaxed) != hour
            && self.hour.swap(hour, Ordering::Relaxed) != hour
        {
            self.journal.store(0, Ordering::Relaxed);
            self.recording.store(0, Ordering::Relaxed);
            self.is_told.store(false, Ordering::Relaxed);
        }
        self.journal.load(Ordering::Relaxed) >= limits.journal_bytes_per_hour
            || self.recording.load(Ordering::Relaxed) >= limits.recording_bytes_per_hour
    }

    /// True the first time in an hour: an entry says that the quota is used up, and no more do.
    pub fn tell(&self) -> bool {
        !self.is_told.swap(true, Ordering::Relaxed)
    }
}

/// The quotas of all principals of a process.
#[derive(Debug, Default)]
pub struct Quotas(Mutex<HashMap<String, Arc<Quota>>>);

impl Quotas {
    /// What counts for this principal, now and in its next session.
    pub fn of(&self, principal: &str, at: Moment) -> Arc<Quota> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            let hour = at.unix_us / HOUR_US;
            known.retain(|_, quota| {
                Arc::strong_count(quota) > 1 || quota.hour.load(Ordering::Relaxed) == hour
            });
        }
        Arc::clone(known.entry(principal.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { journal_bytes_per_hour: 100, recording_bytes_per_hour: 1_000, ..Limits::USUAL };

    fn at(unix_us: u64) -> Moment {
        Moment { unix_us, mono_us: 0 }
    }

    #[test]
    fn is_used_up_by_either_kind_and_whole_again_in_the_next_hour() {
        let quota = Quota::default();
        assert!(!quota.is_over(&LIMITS, at(0)));
        quota.add_journal(99);
        quota.add_recording(999);
        assert!(!quota.is_over(&LIMITS, at(1)));
        quota.add_journal(1);
        assert!(quota.is_over(&LIMITS, at(2)));
        assert!(quota.tell());
        assert!(!quota.tell());
        assert!(!quota.is_over(&LIMITS, at(HOUR_US)));
        quota.add_recording(1_000);
        assert!(quota.is_over(&LIMITS, at(HOUR_US + 1)));
        assert!(quota.tell());
    }

    #[test]
    fn is_one_for_all_sessions_of_a_principal_and_outlives_them() {
        let quotas = Quotas::default();
        quotas.of("ada", at(0)).add_journal(100);
        assert!(quotas.of("ada", at(0)).is_over(&LIMITS, at(0)));
        assert!(!quotas.of("bob", at(0)).is_over(&LIMITS, at(0)));
    }

    #[test]
    fn principals_of_an_hour_that_is_over_are_forgotten_unless_a_session_is_there() {
        let quotas = Quotas::default();
        let here = quotas.of("here", at(0));
        for number in 0..KNOWN {
            quotas.of(&number.to_string(), at(0));
        }
        quotas.of("late", at(2 * HOUR_US));
        let known = quotas.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(known.len(), 2);
        assert!(known.contains_key("here"));
        drop(here);
    }
}

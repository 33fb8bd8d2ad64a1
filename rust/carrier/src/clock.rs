// SPDX-License-Identifier: Apache-2.0
//! The clock that every event of a conversation is stamped with.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gatebook_wire::Moment;

/// Wall clock and monotonic clock of one process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock {
    /// Both clocks now. A wall clock before 1970 reads as 0.
    pub fn now(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { unix_us: micros(wall), mono_us: micros(self.start.elapsed()) }
    }

    /// The instant of a monotonic time of this clock.
    pub fn instant(&self, mono_us: u64) -> Instant {
        self.start.checked_add(Duration::from_micros(mono_us)).unwrap_or(self.start)
    }
}

/// Whole microseconds, saturating.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

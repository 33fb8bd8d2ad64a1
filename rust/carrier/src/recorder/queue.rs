// SPDX-License-Identifier: Apache-2.0
//! Which recordings a worker has to look at: at once, or when the second after a first frame is over.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Recording;

/// A chunk is closed so long after its first frame.
const CHUNK_TIME: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Lists {
    urgent: VecDeque<Arc<Recording>>,
    /// In the order of their first frames, and so of their deadlines.
    timed: VecDeque<(Instant, Arc<Recording>)>,
    stopped: bool,
}

/// What a worker does next.
pub(crate) enum Work {
    /// Chunks of everything that waits, if that is urgent.
    Now(Arc<Recording>),
    /// Chunks of everything that waits, if the oldest frame still is the one that came then.
    Timed(Arc<Recording>, Instant),
}

/// Methods may be called from any thread.
#[derive(Default)]
pub(crate) struct Queue {
    lists: Mutex<Lists>,
    work: Condvar,
}

impl Queue {
    /// False if the queue is stopped: nobody will look at the recording.
    pub(crate) fn push_urgent(&self, recording: &Arc<Recording>) -> bool {
        let mut lists = self.lists();
        if !lists.stopped {
            lists.urgent.push_back(Arc::clone(recording));
            self.work.notify_one();
        }
        !lists.stopped
    }

    pub(crate) fn push_timed(&self, recording: &Arc<Recording>, since: Instant) {
        let mut lists = self.lists();
        lists.timed.push_back((since, Arc::clone(recording)));
        // A worker that sleeps knows of the deadlines before this one already.
        if lists.timed.len() == 1 {
            self.work.notify_one();
        }
    }

    /// Everything that waits is due now; then the workers end.
    pub(crate) fn stop(&self) {
        self.lists().stopped = true;
        self.work.notify_all();
    }

    /// Sleeps until there is work; `None` when the queue is stopped and empty.
    pub(crate) fn next(&self) -> Option<Work> {
        let mut lists = self.lists();
        loop {
            if let Some(recording) = lists.urgent.pop_front() {
                return Some(Work::Now(recording));
            }
            let due = lists.timed.front().map(|(since, _)| *since + CHUNK_TIME);
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if left.is_zero() || lists.stopped => {
                    let (since, recording) = lists.timed.pop_front()?;
                    return Some(Work::Timed(recording, since));
                }
                Some(left) => {
                    let woken = self.work.wait_timeout(lists, left);
                    lists = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
                None if lists.stopped => return None,
                None => lists = self.work.wait(lists).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Who waits for the disk: one `fdatasync` serves everybody whose bytes it covers.
//!
//! Positions count bytes over the life of this writer object. A waiter names the position behind
//! its own bytes; the sync thread takes the newest position, syncs, and says how far it got.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::fault::JournalFault;

/// How far the disk has got, or why it never will.
#[derive(Clone, Debug, Default)]
struct Reached {
    position: u64,
    failure: Option<JournalFault>,
}

impl Reached {
    fn answers(&self, position: u64) -> bool {
        self.position >= position || self.failure.is_some()
    }

    fn answer(&self, position: u64) -> Result<(), JournalFault> {
        match &self.failure {
            Some(fault) if self.position < position => Err(fault.clone()),
            _ => Ok(()),
        }
    }
}

#[derive(Default)]
struct Wanted {
    position: u64,
    stopped: bool,
}

/// Between writers and the sync thread. Methods may be called from any thread.
pub(crate) struct Syncer {
    wanted: Mutex<Wanted>,
    work: Condvar,
    reached: watch::Sender<Reached>,
}

impl Default for Syncer {
    fn default() -> Self {
        let reached = watch::Sender::new(Reached::default());
        Self { wanted: Mutex::default(), work: Condvar::new(), reached }
    }
}

impl Syncer {
    /// Asks the sync thread to get at least this far.
    pub(crate) fn want(&self, position: u64) {
        let mut wanted = locked(&self.wanted);
        if position > wanted.position {
            wanted.position = position;
            self.work.notify_one();
        }
    }

    /// For the sync thread: sleeps until there is something to sync; false when it shall end.
    pub(crate) fn next_work(&self) -> bool {
        let mut wanted = locked(&self.wanted);
        loop {
            let idle = self.reached.borrow().answers(wanted.position);
            if wanted.stopped || !idle {
                return !wanted.stopped;
            }
            wanted = self.work.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Everything up to here is on disk.
    pub(crate) fn reach(&self, position: u64) {
        self.reached.send_modify(|reached| reached.position = reached.position.max(position));
    }

    /// Nothing more will reach the disk.
    pub(crate) fn fail(&self, fault: &JournalFault) {
        self.reached.send_modify(|reached| {
            reached.failure.get_or_insert_with(|| fault.clone());
        });
    }

    /// Ends the sync thread.
    pub(crate) fn stop(&self) {
        locked(&self.wanted).stopped = true;
        self.work.notify_one();
    }

    /// Waits without blocking the thread.
    pub(crate) async fn wait(&self, position: u64) -> Result<(), JournalFault> {
        let mut reached = self.reached.subscribe();
        let answer = reached.wait_for(|reached| reached.answers(position)).await;
        let answer = answer.map(|reached| reached.answer(position));
        answer.unwrap_or_else(|_| Err(JournalFault::lost("the journal is closed")))
    }
}

/// The guard, whoever panicked while holding it: each change here is a single step.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

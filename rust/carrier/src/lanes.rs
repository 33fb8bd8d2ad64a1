// SPDX-License-Identifier: Apache-2.0
//! I/O threads: each drives sockets and timers of its own sessions, and a session never changes its
//! thread. Waking another thread costs more than all the work of a short statement.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Threads for name look-ups, which block; per lane.
const BLOCKING_THREADS: usize = 4;
/// LIMIT: what still runs when a lane stops.
const GRACE: Duration = Duration::from_secs(1);

/// The I/O threads of a carrier. Dropping them cuts what still runs.
pub(crate) struct Lanes {
    handles: Vec<Handle>,
    next: AtomicUsize,
    threads: Mutex<Vec<Thread>>,
}

struct Thread {
    stop: oneshot::Sender<()>,
    join: JoinHandle<()>,
}

impl Lanes {
    /// Starts `count` threads, one at least. Each does `before_sleep` whenever nothing is left to do.
    pub(crate) fn start(
        count: usize,
        before_sleep: impl Fn() + Clone + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut lanes =
            Self { handles: Vec::new(), next: AtomicUsize::new(0), threads: Mutex::default() };
        for number in 0..count.max(1) {
            let (handle, thread) = start_one(number, before_sleep.clone())?;
            lanes.handles.push(handle);
            lock(&lanes.threads).push(thread);
        }
        Ok(lanes)
    }

    /// The lane for the next session, in turn.
    pub(crate) fn next(&self) -> Option<&Handle> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.handles.get(turn % self.handles.len().max(1))
    }

    /// The lane for listeners and for waiting until all sessions are gone.
    pub(crate) fn first(&self) -> Option<&Handle> {
        self.handles.first()
    }

    /// Stops the threads: tasks get a second to end and are dropped then. Blocks; again is nothing.
    pub(crate) fn stop(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        let joins: Vec<_> = threads
            .into_iter()
            .map(|Thread { stop, join }| {
                let _ = stop.send(()); // a lane that is gone needs no word
                join
            })
            .collect();
        for join in joins {
            let _ = join.join(); // a lane that panicked has told the desk through its sessions
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.stop();
    }
}

fn start_one(
    number: usize,
    before_sleep: impl Fn() + Send + Sync + 'static,
) -> io::Result<(Handle, Thread)> {
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name(format!("gatebook-dns-{number}"))
        .on_thread_park(before_sleep)
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let join =
        std::thread::Builder::new().name(format!("gatebook-io-{number}")).spawn(move || {
            let _ = runtime.block_on(stopped); // told to stop, or the carrier is gone
            runtime.shutdown_timeout(GRACE);
        })?;
    Ok((handle, Thread { stop, join }))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

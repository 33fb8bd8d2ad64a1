// SPDX-License-Identifier: Apache-2.0
//! The carrier as its owner sees it: start, listen, answer the desk, end sessions, stop.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gatebook_wire::{Admission, Answer, Cause};
use tokio::sync::Semaphore;

use crate::clock::{micros, Clock};
use crate::desk::Desk;
use crate::error::CarrierError;
use crate::journal::Journal;
use crate::lanes::Lanes;
use crate::listener::{ListenSpec, Listener, ServerTls};
use crate::mailbox::Mailbox;
use crate::parser::{self, ParseHook};
use crate::recorder::Recorder;
use crate::registry::Registry;
use crate::shared::{Counts, Shared, Tally};
use crate::tls::UpstreamTls;

/// LIMIT: closing all sessions after the drain: last bytes, goodbyes and seals.
const CLOSE: Duration = Duration::from_secs(12);

/// How a carrier is set up.
pub struct Options {
    /// Folder of the recordings.
    pub recordings: PathBuf,
    /// Writer id of the journal.
    pub writer: String,
    /// I/O threads; 0 means as many as there are cores.
    pub threads: usize,
    /// How long the desk may take for an answer.
    pub desk_deadline: Duration,
    /// Bytes that may wait for the recorder.
    pub record_queue_bytes: usize,
    /// Connections that may be without a login at once.
    pub before_login: usize,
    /// Parses a question before it queues.
    pub parse: ParseHook,
}

/// Sockets and threads of one process. All methods may be called from any thread that is not
/// one of its own.
pub struct Carrier {
    shared: Arc<Shared>,
    /// `None` once stopped.
    lanes: Mutex<Option<Arc<Lanes>>>,
    listeners: Mutex<Vec<Listener>>,
}

impl Carrier {
    /// Starts the threads; nothing is listened on yet.
    pub fn start(journal: Arc<Journal>, options: &Options) -> Result<Self, CarrierError> {
        let words = |error: std::io::Error| CarrierError::new(format!("cannot start: {error}"));
        let desk = Arc::new(Desk::new().map_err(words)?);
        parser::start(&desk, &options.parse).map_err(words)?;
        let threads = match options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let before_sleep = {
            let journal = Arc::clone(&journal);
            move || journal.settle()
        };
        let lanes = Arc::new(Lanes::start(threads, before_sleep).map_err(words)?);
        let recorder = Recorder::start(
            &options.recordings,
            Arc::clone(&journal),
            &options.writer,
            options.record_queue_bytes,
        );
        let shared = Arc::new(Shared {
            clock: Clock::default(),
            desk,
            registry: Registry::default(),
            journal,
            recorder,
            upstream_tls: UpstreamTls::default(),
            desk_deadline_us: micros(options.desk_deadline),
            before_login: Arc::new(Semaphore::new(options.before_login)),
            most_connections: most_connections(),
            tally: Tally::default(),
        });
        Ok(Self { shared, lanes: Mutex::new(Some(lanes)), listeners: Mutex::default() })
    }

    /// Binds and accepts; listener id (from 0) and port.
    pub fn listen(&self, spec: ListenSpec) -> Result<(u32, u16), CarrierError> {
        let lanes = lock(&self.lanes);
        let Some((lanes, first)) = lanes.as_ref().and_then(|all| Some((all, all.first()?))) else {
            return Err(CarrierError::new("the carrier is stopped"));
        };
        let mut listeners = lock(&self.listeners);
        let id = u32::try_from(listeners.len())
            .map_err(|_| CarrierError::new("there are too many listeners"))?;
        let start = Listener::start(id, spec, Arc::clone(&self.shared), Arc::clone(lanes));
        let (listener, port) = first.block_on(start)?;
        listeners.push(listener);
        Ok((id, port))
    }

    /// New connections of a listener speak TLS like this.
    pub fn reload_tls(&self, id: u32, tls: &ServerTls) -> Result<(), CarrierError> {
        let listeners = lock(&self.listeners);
        let listener = usize::try_from(id).ok().and_then(|id| listeners.get(id));
        listener.ok_or_else(|| CarrierError::new(format!("there is no listener {id}")))?.reload(tls)
    }

    /// The queue to Python.
    pub fn desk(&self) -> &Desk {
        &self.shared.desk
    }

    /// Lets a connection in; false if nobody waits for that any more.
    pub fn admit(&self, ticket: u64, admission: Admission) -> bool {
        self.shared.desk.admit(ticket, admission, &self.shared.registry)
    }

    /// Answers a ticket; false if nobody waits for that any more.
    pub fn answer(&self, ticket: u64, answer: Answer) -> bool {
        self.shared.desk.answer(ticket, answer)
    }

    /// Ends a live session; false if it is not here.
    pub fn end(&self, session: &str, cause: Cause) -> bool {
        self.shared.registry.end(session, cause)
    }

    /// The counters now.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Stops accepting, ends idle sessions at once and the others when they are idle or `drain`
    /// is over, seals recordings. Blocks; the desk is served meanwhile. A second call does
    /// nothing.
    pub fn stop(&self, drain: Duration) {
        let Some(lanes) = lock(&self.lanes).take() else { return };
        lock(&self.listeners).clear();
        let registry = &self.shared.registry;
        registry.tell_all(Mailbox::drain);
        let all_gone = async {
            if tokio::time::timeout(drain, registry.empty()).await.is_ok() {
                return;
            }
            registry.tell_all(|mailbox| mailbox.end(Cause::of("gate stopping")));
            let _ = tokio::time::timeout(CLOSE, registry.empty()).await;
        };
        if let Some(first) = lanes.first() {
            first.block_on(all_gone);
        }
        self.shared.desk.close();
        lanes.stop();
    }
}

impl Drop for Carrier {
    /// Without [`Carrier::stop`]: connections are cut, as if the process had ended.
    fn drop(&mut self) {
        self.shared.desk.close();
        if let Some(lanes) = lock(&self.lanes).take() {
            lanes.stop();
        }
    }
}

/// A connection holds two sockets and a recording. What is left is for the journal, listeners, the
/// store and the catalogue: without it, clients that open ever more would stop the gate for all.
fn most_connections() -> usize {
    const EACH: u64 = 3;
    const LEFT: u64 = 100;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let most = limit.map_or(u64::MAX, |limit| (limit.saturating_sub(LEFT) / EACH).max(1));
    usize::try_from(most).unwrap_or(usize::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

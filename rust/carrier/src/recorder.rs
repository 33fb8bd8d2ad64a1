// SPDX-License-Identifier: Apache-2.0
//! Writes recordings (docs/spec/recording.md) on threads of its own, so that sessions never wait
//! for compression or disk, only for room.
//!
//! A session encodes its frames into a buffer of its own; a worker takes the buffer when it holds
//! 1 MiB, or a second after its first frame, and makes chunks of it: compress, seal, one write,
//! one entry in the journal. A session without frames holds no buffer.
//!
//! Frames are never lost silently: what was pushed is in a chunk, or the recording has *failed*,
//! and then its session must end.

mod queue;
mod sink;
mod worker;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use gatebook_wire::Frame;
use tokio::sync::Notify;

use crate::journal::{Disk, Journal, System};
use queue::Queue;
use sink::Sink;

/// A chunk is closed when it holds so many plain bytes.
pub(crate) const CHUNK_BYTES: usize = 1024 * 1024;
/// LIMIT: a frame is split into pieces of this, so that a chunk stays below the 8 MiB a reader takes.
const PIECE_BYTES: usize = 1024 * 1024;
/// LIMIT: plain bytes that wait for the disk, per session; then it reads no more.
const SESSION_BYTES: usize = 4 * 1024 * 1024;
/// Bytes before a frame's own: direction, time, length.
const FRAME_HEAD_BYTES: usize = 13;

/// Whether a session may go on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a session that reads on when the recorder is full outgrows its bound"]
pub enum Push {
    /// The frames are taken.
    Taken,
    /// The frames are taken (unless [`RecordingHandle::failed`] says otherwise), but the session
    /// reads no more before [`RecordingHandle::room`].
    Full,
}

/// The threads that write recordings. Dropping it writes everything pushed so far and ends them.
pub struct Recorder {
    shared: Arc<Shared>,
    folder: PathBuf,
    threads: Vec<JoinHandle<()>>,
}

/// Between sessions and workers.
pub(crate) struct Shared {
    journal: Arc<Journal>,
    writer: String,
    queue: Queue,
    /// Plain bytes of all sessions that wait.
    waiting: AtomicUsize,
    most: usize,
    /// Told after each piece of work.
    progress: Notify,
    disk: Box<dyn Disk>,
}

/// One recording, shared by its session's handle and the workers.
pub(crate) struct Recording {
    shared: Arc<Shared>,
    slot: Mutex<Slot>,
    /// Locked by the worker that works on it.
    sink: Mutex<Option<Sink>>,
}

/// What waits for the worker.
#[derive(Default)]
pub(crate) struct Slot {
    /// Encoded frames.
    plain: Vec<u8>,
    /// When the first of them came.
    since: Option<Instant>,
    /// Bytes a worker has taken and not finished.
    taken: usize,
    /// In the queue, to be written at once.
    urgent: bool,
    sealing: bool,
    sealed: bool,
    failure: Option<String>,
}

impl Recorder {
    /// Starts the threads. `dir` holds the recordings; at most about `queue_bytes` of plain frames
    /// wait over all sessions. Where no thread can be had, opening a recording fails.
    pub fn start(dir: &Path, journal: Arc<Journal>, writer: &str, queue_bytes: usize) -> Self {
        Self::start_on(Box::new(System), dir, journal, writer, queue_bytes)
    }

    pub(crate) fn start_on(
        disk: Box<dyn Disk>,
        dir: &Path,
        journal: Arc<Journal>,
        writer: &str,
        queue_bytes: usize,
    ) -> Self {
        let shared = Arc::new(Shared {
            journal,
            writer: writer.to_owned(),
            queue: Queue::default(),
            waiting: AtomicUsize::new(0),
            most: queue_bytes.max(CHUNK_BYTES),
            progress: Notify::new(),
            disk,
        });
        // Half the cores: a worker is busy compressing when the carrier is busy carrying.
        let count = std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
        let spawn = |number| {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("gatebook-record-{number}"));
            thread.spawn(move || worker::run(&shared)).ok()
        };
        let threads = (0..count).filter_map(spawn).collect();
        Self { shared, folder: dir.to_owned(), threads }
    }

    /// Makes the recording's files. `head` is the content of its key file; `key` the recording
    /// key, from which the file's own key is derived. The error is for the operator.
    pub fn open(
        &self,
        session: impl AsRef<str>,
        key: [u8; 32],
        head: impl AsRef<[u8]>,
    ) -> Result<RecordingHandle, String> {
        if self.threads.is_empty() {
            return Err("the recorder has no thread".to_owned());
        }
        let sink = Sink::create(&self.folder, session.as_ref(), &key, head.as_ref())?;
        let recording = Recording {
            shared: Arc::clone(&self.shared),
            slot: Mutex::default(),
            sink: Mutex::new(Some(sink)),
        };
        let recording = Arc::new(recording);
        // The worker syncs the key file: without it the private parts of the journal are lost.
        recording.hurry();
        Ok(RecordingHandle { recording, is_sealing: false })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.queue.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a worker catches its panics and reports them to the session
        }
    }
}

/// A session's end of its recording. Dropping it seals in the background.
pub struct RecordingHandle {
    recording: Arc<Recording>,
    is_sealing: bool,
}

impl RecordingHandle {
    /// Takes frames, whose bytes lie back to back in `bytes`. Never blocks on the disk. Once the
    /// recording has failed nothing is taken: ask [`Self::failed`] after each push.
    pub fn push(&self, frames: &[Frame], bytes: &[u8]) -> Push {
        self.recording.push(frames, bytes)
    }

    /// Resolves when a full recorder takes frames again, or the recording has failed.
    pub fn room(&self) -> impl Future<Output = ()> + Send + 'static {
        let recording = Arc::clone(&self.recording);
        async move { recording.until(Recording::has_room).await }
    }

    /// Why the recording is incomplete; its session must end.
    pub fn failed(&self) -> Option<String> {
        self.recording.slot().failure.clone()
    }

    /// Writes what is left and seals. Resolves when that is done, or has failed.
    pub async fn seal(mut self) {
        self.is_sealing = true;
        self.recording.want_seal();
        self.recording.until(|recording| recording.slot().sealed).await;
    }
}

impl Drop for RecordingHandle {
    fn drop(&mut self) {
        if !self.is_sealing {
            self.recording.want_seal();
        }
    }
}

impl Recording {
    fn push(self: &Arc<Self>, frames: &[Frame], bytes: &[u8]) -> Push {
        let mut slot = self.slot();
        if slot.failure.is_some() {
            return Push::Full;
        }
        let before = slot.plain.len();
        encode(&mut slot.plain, frames, bytes);
        let added = slot.plain.len() - before;
        if added == 0 {
            return Push::Taken;
        }
        let waiting = self.shared.waiting.fetch_add(added, Ordering::AcqRel) + added;
        let is_full = slot.plain.len() + slot.taken >= SESSION_BYTES || waiting >= self.shared.most;
        let is_urgent = slot.plain.len() >= CHUNK_BYTES || is_full;
        let is_first = slot.since.is_none();
        let now = Instant::now();
        let since = *slot.since.get_or_insert(now);
        let to_queue = is_urgent && !slot.urgent;
        slot.urgent |= is_urgent;
        drop(slot);
        if to_queue {
            self.hurry();
        } else if is_first {
            self.shared.queue.push_timed(self, since);
        }
        if is_full {
            Push::Full
        } else {
            Push::Taken
        }
    }

    fn want_seal(self: &Arc<Self>) {
        let mut slot = self.slot();
        slot.sealing = true;
        if !std::mem::replace(&mut slot.urgent, true) {
            drop(slot);
            self.hurry();
        }
    }

    /// Has a worker look at it now; a recorder that was stopped fails it.
    fn hurry(self: &Arc<Self>) {
        if !self.shared.queue.push_urgent(self) {
            worker::fail(self, "the recorder is stopped");
            self.shared.progress.notify_waiters();
        }
    }

    fn has_room(&self) -> bool {
        let slot = self.slot();
        let is_below = slot.plain.len() + slot.taken < SESSION_BYTES / 2
            && self.shared.waiting.load(Ordering::Acquire) < self.shared.most;
        is_below || slot.failure.is_some()
    }

    /// Waits until `is_so`, looking again after each piece of work.
    async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if is_so(self) {
                return;
            }
            progress.await;
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `frame := direction u8 | unix microseconds u64 BE | length u32 BE | bytes`. Stops where `bytes`
/// is shorter than the frames say, which no conversation does.
fn encode(plain: &mut Vec<u8>, frames: &[Frame], mut bytes: &[u8]) {
    plain.reserve(bytes.len() + frames.len() * FRAME_HEAD_BYTES);
    for frame in frames {
        let length = usize::try_from(frame.len).unwrap_or(usize::MAX);
        let Some((body, rest)) = bytes.split_at_checked(length) else { return };
        bytes = rest;
        for piece in body.chunks(PIECE_BYTES) {
            plain.push(frame.direction);
            plain.extend_from_slice(&frame.unix_us.to_be_bytes());
            plain.extend_from_slice(&u32::try_from(piece.len()).unwrap_or(u32::MAX).to_be_bytes());
            plain.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests;

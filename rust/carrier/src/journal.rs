// SPDX-License-Identifier: Apache-2.0
//! The writer of one journal folder (docs/spec/journal.md): entries are in the kernel, or on disk,
//! before the token exists that lets an operation move on.
//!
//! - A batch is one `pwrite` (two where a segment ends in it), together with whatever was staged
//!   before it. A batch that has time ([`Durability::Soon`]) is staged: it is linked, and in the
//!   kernel with the next write or [`Journal::settle`].
//! - Nobody waits for the disk on the thread that writes: a batch that needs it gets a
//!   [`PendingSync`].
//! - The first error of a write or sync is the last thing this writer does: everything behind it
//!   is refused with that error until the process starts again. What the failed call left in the
//!   file is judged by the recovery of the next writer.
//! - A segment's end is synced by the thread that meets it; the sync thread runs ahead of it so
//!   that little is left to do then.

mod disk;
mod fault;
mod reader;
mod recovery;
mod segment;
mod syncer;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use gatebook_wire::{Batch, Durability, Token};

pub use disk::FaultPlan;
pub(crate) use disk::{Disk, Faulty, System};
pub use fault::JournalFault;
pub use reader::{Entry, JournalReader, SegmentReader, Stop};
pub use recovery::Recovery;
pub use segment::{is_writer_id, Header, HEADER_BYTES};
use syncer::{locked, Syncer};
use writer::{ToSync, Writer};

/// LIMIT: smallest segment, so that a header and some entries fit; peers use megabytes.
pub const LEAST_SEGMENT_BYTES: u64 = 512;

/// When a batch waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// When it holds a privileged operation.
    Privileged,
    /// Always.
    Every,
}

/// What became of a batch.
#[derive(Debug)]
#[must_use = "a batch that waits for the disk is not in the journal yet"]
pub enum Written {
    /// It has reached what it needs.
    Done(Token),
    /// It is in the kernel and has to reach the disk.
    NeedsSync(PendingSync),
}

/// The writer of one folder. All methods may be called from any thread at any time.
pub struct Journal {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
    recovery: Recovery,
}

struct Inner {
    mode: SyncMode,
    /// Records are staged: looked at without the lock before a thread sleeps.
    is_staged: AtomicBool,
    writer: Mutex<Writer>,
    syncer: Syncer,
    /// Held over a sync outside the writer's lock. The kernel tells an error of a sync once per
    /// open file: whoever syncs next must know of it first, or would be told that all is well.
    turn: Mutex<()>,
}

impl Journal {
    /// Takes the folder's lock, recovers, preallocates. Makes the folder (0700) where it is not.
    ///
    /// `writer` is the folder's name, at most 64 of `[A-Za-z0-9_.-]`. Refuses where another
    /// process holds the folder, the disk has no room for a segment, or the last segment has no
    /// good header. Entries behind the last good one are set aside, and an entry says so.
    pub fn open(
        folder: &Path,
        writer: &str,
        sync: SyncMode,
        segment_bytes: u64,
        fault: Option<FaultPlan>,
    ) -> Result<Self, JournalFault> {
        let disk: Box<dyn Disk> = match fault {
            Some(plan) => Box::new(Faulty::new(plan)),
            None => Box::new(System),
        };
        Self::open_on(disk, folder, writer, sync, segment_bytes)
    }

    fn open_on(
        disk: Box<dyn Disk>,
        folder: &Path,
        writer: &str,
        sync: SyncMode,
        segment_bytes: u64,
    ) -> Result<Self, JournalFault> {
        if !is_writer_id(writer) || folder.file_name().is_none_or(|name| name != writer) {
            return Err(JournalFault::refused("a journal's folder bears the name of its writer"));
        }
        if segment_bytes < LEAST_SEGMENT_BYTES {
            return Err(JournalFault::refused("a journal segment is too small"));
        }
        let (writer, recovery) = Writer::open(folder, writer, segment_bytes, disk)?;
        let synced = writer.position();
        let inner = Arc::new(Inner {
            mode: sync,
            is_staged: AtomicBool::new(false),
            writer: Mutex::new(writer),
            syncer: Syncer::default(),
            turn: Mutex::default(),
        });
        inner.syncer.reach(synced);
        let thread = std::thread::Builder::new().name("gatebook-sync".to_owned()).spawn({
            let inner = Arc::clone(&inner);
            move || inner.sync_until_stopped()
        });
        let thread =
            thread.map_err(|error| JournalFault::io("cannot start the sync thread", &error))?;
        Ok(Self { inner, thread: Mutex::new(Some(thread)), recovery })
    }

    /// Writes the batch into the kernel, or stages one that has time. Where that is all it needs,
    /// empties it and gives the token; else the batch stays as it is until [`PendingSync::wait`].
    ///
    /// Does not wait for the disk, but where a segment ends in the batch. A batch that is no
    /// sequence of entries within their bounds is refused and the writer goes on.
    pub fn write_kernel(&self, batch: &mut Batch) -> Result<Written, JournalFault> {
        let position = self.inner.write(batch)?.position;
        if self.inner.needs_disk(batch) {
            self.inner.syncer.want(position);
            let (bytes, inner) = (batch.bytes().len(), Arc::clone(&self.inner));
            return Ok(Written::NeedsSync(PendingSync { inner, position, bytes }));
        }
        let token = batch.written(Durability::Kernel).ok_or_else(out_of_step)?;
        Ok(Written::Done(token))
    }

    /// Writes what is staged. Called by each thread of the carrier before it sleeps. A failure is
    /// the journal's: whoever writes next hears of it, and [`Self::failure`] tells.
    pub fn settle(&self) {
        if self.inner.is_staged.load(Ordering::Acquire) {
            self.inner.settle();
        }
    }

    /// Appends one entry and returns its number (from 1 over the life of the writer). With
    /// `durable`, or where every entry is synced, blocks until it is on disk.
    pub fn append(&self, leaf: &[u8], private: &[u8], durable: bool) -> Result<u64, JournalFault> {
        let mut batch = Batch::default();
        let need = if durable { Durability::Disk } else { Durability::Kernel };
        batch.push(leaf, private, need);
        let written = self.inner.write(&batch)?;
        if self.inner.needs_disk(&batch) {
            self.inner.sync_to(written.position)?;
        }
        Ok(written.last)
    }

    /// Entries over the life of the writer.
    pub fn entries(&self) -> u64 {
        locked(&self.inner.writer).entries()
    }

    /// Why the writer refuses everything; `None` while it does not.
    pub fn failure(&self) -> Option<JournalFault> {
        locked(&self.inner.writer).failure()
    }

    /// What opening found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Syncs, cuts the segment to what was written and gives the lock back; everything later is
    /// refused. May be called again. Dropping the journal does it too.
    pub fn close(&self) {
        let synced = locked(&self.inner.writer).close();
        match synced {
            Some(position) => self.inner.syncer.reach(position),
            None => self.inner.syncer.fail(&JournalFault::lost("the journal is closed")),
        }
        self.inner.syncer.stop();
        if let Some(thread) = locked(&self.thread).take() {
            let _ = thread.join(); // a sync thread that panicked has nothing left to say
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn write(&self, batch: &Batch) -> Result<writer::Place, JournalFault> {
        let has_time = batch.need() == Durability::Soon && self.mode != SyncMode::Every;
        let mut writer = locked(&self.writer);
        let written = writer.write(batch, has_time);
        self.noted(&mut writer);
        written
    }

    fn settle(&self) {
        let mut writer = locked(&self.writer);
        // The fault stays with the writer, which refuses everything from here on.
        let _ = writer.flush();
        self.noted(&mut writer);
    }

    /// Tells the syncer, and whoever looks before sleeping, what the writer has done.
    fn noted(&self, writer: &mut Writer) {
        if let Some(fault) = writer.failure() {
            self.syncer.fail(&fault);
        }
        if let Some(position) = writer.take_synced() {
            self.syncer.reach(position);
        }
        if let Some(position) = writer.wants_sync() {
            self.syncer.want(position);
        }
        let is_staged = writer.is_staged() && writer.failure().is_none();
        self.is_staged.store(is_staged, Ordering::Release);
    }

    fn needs_disk(&self, batch: &Batch) -> bool {
        self.mode == SyncMode::Every || batch.need() == Durability::Disk
    }

    fn sync_until_stopped(&self) {
        while self.syncer.next_work() {
            let _ = self.sync(); // whoever waits is told by the syncer
        }
    }

    /// Syncs everything written so far, without the lock.
    fn sync(&self) -> Result<u64, JournalFault> {
        let _turn = locked(&self.turn);
        let ToSync { disk, file, position } = match locked(&self.writer).to_sync() {
            Ok(work) => work,
            Err(fault) => {
                self.syncer.fail(&fault);
                return Err(fault);
            }
        };
        match disk.sync(&file) {
            Ok(()) => {
                self.syncer.reach(position);
                Ok(position)
            }
            Err(error) => {
                let fault = locked(&self.writer).fail("cannot sync the journal", &error);
                self.syncer.fail(&fault);
                Err(fault)
            }
        }
    }

    /// Blocks until everything up to `position` is on disk.
    fn sync_to(&self, position: u64) -> Result<(), JournalFault> {
        while self.sync()? < position {}
        Ok(())
    }
}

/// A batch that is in the kernel and waits for the disk.
#[must_use = "the batch is not in the journal before the wait is over"]
pub struct PendingSync {
    inner: Arc<Inner>,
    position: u64,
    bytes: usize,
}

impl std::fmt::Debug for PendingSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingSync({})", self.position)
    }
}

impl PendingSync {
    /// Waits for the sync that covers the batch, empties it and gives the token. `batch` is the
    /// one that was written, unchanged.
    pub async fn wait(self, batch: &mut Batch) -> Result<Token, JournalFault> {
        self.inner.syncer.wait(self.position).await?;
        if batch.bytes().len() != self.bytes {
            return Err(out_of_step());
        }
        batch.written(Durability::Disk).ok_or_else(out_of_step)
    }
}

fn out_of_step() -> JournalFault {
    JournalFault::refused("the batch is not the one that was written")
}

#[cfg(test)]
mod tests;

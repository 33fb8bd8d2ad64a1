// SPDX-License-Identifier: Apache-2.0
//! What stands under the journal's lock: the open segment and the place in it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gatebook_wire::journal::{entries, link, put_record, ENTRY_BYTES, LEAF_BYTES, LINK_BYTES};
use gatebook_wire::Batch;
use rustix::fs::{flock, FlockOperation};

use super::disk::Disk;
use super::fault::JournalFault;
use super::recovery::{leaf, resume, Recovery, Resumed};
use super::segment::{create, list, name_of, remove_unfinished, Header, HEADER_BYTES};

/// The sync thread is asked to start when so much is written and not synced, so that a segment's
/// end has little left to sync.
const SYNC_AHEAD_BYTES: u64 = 8 * 1024 * 1024;
/// LIMIT: staged records that wait for a write of something else.
const SOON_BYTES: usize = 64 * 1024;
/// LIMIT: memory of the stage kept between batches; a larger one is given back.
const STAGE_BYTES: usize = 1024 * 1024;
const LOCK: &str = "lock";

/// Where a batch went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Number of its last entry.
    pub(crate) last: u64,
    /// Position behind it: what has to be synced for it to be on disk.
    pub(crate) position: u64,
}

/// What a sync has to cover.
pub(crate) struct ToSync {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) file: Arc<File>,
    pub(crate) position: u64,
}

pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    id: String,
    segment_bytes: u64,
    /// Holds the folder's `flock` while it is open.
    lock: Option<File>,
    file: File,
    /// The same segment opened once more, for the sync thread: the kernel tells an error of a
    /// sync once per open file, and both who sync must hear of it.
    to_sync: Arc<File>,
    /// Preallocated bytes of the segment.
    size: u64,
    /// Behind the last record.
    offset: u64,
    /// Number of the next entry.
    next: u64,
    link: [u8; LINK_BYTES],
    /// Linked records that no write has carried yet, how many they are, and the last one's link.
    stage: Vec<u8>,
    staged: u64,
    staged_link: [u8; LINK_BYTES],
    /// Bytes written by this object, headers and all.
    position: u64,
    /// Position at the last sync that this object made or asked for.
    asked: u64,
    /// Set when a segment's end was synced.
    synced: Option<u64>,
    failure: Option<JournalFault>,
}

impl Writer {
    pub(crate) fn open(
        folder: &Path,
        id: &str,
        segment_bytes: u64,
        disk: Box<dyn Disk>,
    ) -> Result<(Self, Recovery), JournalFault> {
        let disk: Arc<dyn Disk> = Arc::from(disk);
        let lock = take_lock(folder)?;
        remove_unfinished(folder)?;
        let resumed = match list(folder)?.last() {
            Some(&first) => resume(&*disk, folder, first, id, now_us())?,
            None => first_segment(&*disk, folder, id, segment_bytes)?,
        };
        let size = segment_bytes.max(resumed.offset);
        let no_room = |error| JournalFault::io("cannot preallocate the journal", &error);
        disk.allocate(&resumed.file, size).map_err(no_room)?;
        let mut writer = Self {
            disk,
            folder: folder.to_owned(),
            id: id.to_owned(),
            segment_bytes,
            lock: Some(lock),
            to_sync: reopen(folder, resumed.first)?,
            file: resumed.file,
            size,
            offset: resumed.offset,
            next: resumed.next,
            link: resumed.link,
            stage: Vec::new(),
            staged: 0,
            staged_link: resumed.link,
            position: 0,
            asked: 0,
            synced: None,
            failure: None,
        };
        if resumed.recovery.cut > 0 {
            writer.enter_recovery(&resumed.recovery)?;
        }
        Ok((writer, resumed.recovery))
    }

    /// Says in the journal what was set aside, on disk before anything else is entered.
    fn enter_recovery(&mut self, recovery: &Recovery) -> Result<(), JournalFault> {
        let mut record = Vec::new();
        put_record(&mut record, &leaf(recovery, &self.id, now_us()), &[]);
        self.write_records(&record)?;
        let synced = self.disk.sync(&self.file);
        synced.map_err(|error| self.fail("cannot sync the journal", &error))?;
        self.asked = self.position;
        Ok(())
    }

    /// Writes the batch's records with their links, behind whatever was staged before; a batch
    /// that has time is staged only.
    pub(crate) fn write(&mut self, batch: &Batch, has_time: bool) -> Result<Place, JournalFault> {
        if let Some(fault) = &self.failure {
            return Err(fault.clone());
        }
        check(batch)?;
        self.stage(batch.bytes())?;
        if !has_time || self.stage.len() >= SOON_BYTES {
            self.flush()?;
        }
        Ok(Place { last: self.next + self.staged - 1, position: self.position })
    }

    fn write_records(&mut self, records: &[u8]) -> Result<(), JournalFault> {
        self.stage(records)?;
        self.flush()
    }

    fn stage(&mut self, records: &[u8]) -> Result<(), JournalFault> {
        for entry in entries(records) {
            let bytes = wide(4 + entry.len() + LINK_BYTES);
            if self.offset + wide(self.stage.len()) + bytes > self.size {
                self.flush()?;
                self.rotate(bytes)?;
            }
            self.staged_link = link(&self.staged_link, entry);
            let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
            self.stage.extend_from_slice(&length.to_be_bytes());
            self.stage.extend_from_slice(entry);
            self.stage.extend_from_slice(&self.staged_link);
            self.staged += 1;
        }
        Ok(())
    }

    /// One `pwrite` of all that is staged; only when it has succeeded do the records count.
    pub(crate) fn flush(&mut self) -> Result<(), JournalFault> {
        if let Some(fault) = &self.failure {
            return Err(fault.clone());
        }
        if self.stage.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.disk.write(&self.file, &self.stage, self.offset) {
            return Err(self.fail("cannot write the journal", &error));
        }
        let bytes = wide(self.stage.len());
        self.offset += bytes;
        self.position += bytes;
        self.next += std::mem::take(&mut self.staged);
        self.link = self.staged_link;
        self.stage.clear();
        self.stage.shrink_to(STAGE_BYTES);
        Ok(())
    }

    /// Whether records wait for a write.
    pub(crate) fn is_staged(&self) -> bool {
        !self.stage.is_empty()
    }

    /// Ends the segment and begins one that holds at least a record of `bytes`; an empty segment
    /// that is too small for it is made larger.
    fn rotate(&mut self, bytes: u64) -> Result<(), JournalFault> {
        let size = self.segment_bytes.max(wide(HEADER_BYTES) + bytes);
        if self.offset == wide(HEADER_BYTES) {
            let grown = self.disk.allocate(&self.file, size);
            grown.map_err(|error| self.fail("cannot preallocate the journal", &error))?;
            self.size = size;
            return Ok(());
        }
        if let Err(error) = self.sync_and_cut() {
            return Err(self.fail("cannot end a journal segment", &error));
        }
        let header = header(self.next, self.link, &self.id);
        let made = create(&*self.disk, &self.folder, &header, size)
            .and_then(|file| Ok((file, reopen(&self.folder, self.next)?)));
        match made {
            Ok(files) => (self.file, self.to_sync) = files,
            Err(fault) => {
                self.failure.get_or_insert_with(|| fault.clone());
                return Err(fault);
            }
        }
        self.size = size;
        self.offset = wide(HEADER_BYTES);
        self.asked = self.position;
        self.synced = Some(self.position);
        Ok(())
    }

    fn sync_and_cut(&self) -> io::Result<()> {
        self.disk.sync(&self.file)?;
        self.disk.truncate(&self.file, self.offset)
    }

    /// What a sync has to cover now.
    pub(crate) fn to_sync(&self) -> Result<ToSync, JournalFault> {
        match &self.failure {
            Some(fault) => Err(fault.clone()),
            None => Ok(ToSync {
                disk: Arc::clone(&self.disk),
                file: Arc::clone(&self.to_sync),
                position: self.position,
            }),
        }
    }

    /// A position that the end of a segment has synced, once.
    pub(crate) fn take_synced(&mut self) -> Option<u64> {
        self.synced.take()
    }

    /// A position to sync ahead to, now and then.
    pub(crate) fn wants_sync(&mut self) -> Option<u64> {
        let due = self.position - self.asked >= SYNC_AHEAD_BYTES;
        due.then(|| {
            self.asked = self.position;
            self.position
        })
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn entries(&self) -> u64 {
        self.next - 1
    }

    pub(crate) fn failure(&self) -> Option<JournalFault> {
        self.failure.clone()
    }

    /// Refuses everything from now on; gives the first fault.
    pub(crate) fn fail(&mut self, what: &str, error: &io::Error) -> JournalFault {
        self.failure.get_or_insert_with(|| JournalFault::io(what, error)).clone()
    }

    /// The position that is on disk now; `None` if the writer had failed, or does.
    pub(crate) fn close(&mut self) -> Option<u64> {
        self.lock.as_ref()?;
        let synced = self.flush().ok().and_then(|()| {
            let synced = self.sync_and_cut();
            synced.map_err(|error| self.fail("cannot close the journal", &error)).ok()
        });
        self.failure.get_or_insert_with(|| JournalFault::lost("the journal is closed"));
        self.lock = None;
        synced.map(|()| self.position)
    }
}

/// Everything that is known of a batch before it is written; the writer goes on after a refusal.
fn check(batch: &Batch) -> Result<(), JournalFault> {
    let (mut bytes, mut count) = (0, 0);
    for entry in entries(batch.bytes()) {
        let leaf = entry
            .first_chunk::<4>()
            .and_then(|length| usize::try_from(u32::from_be_bytes(*length)).ok());
        let fits = leaf.is_some_and(|leaf| leaf <= LEAF_BYTES && leaf + 4 <= entry.len());
        if !fits || entry.len() > ENTRY_BYTES {
            return Err(JournalFault::refused("an entry is larger than the journal takes"));
        }
        bytes += 4 + entry.len();
        count += 1;
    }
    if bytes != batch.bytes().len() || count != batch.entries() {
        return Err(JournalFault::refused("a batch is no sequence of entries"));
    }
    Ok(())
}

fn take_lock(folder: &Path) -> Result<File, JournalFault> {
    let fault = |error| JournalFault::io("cannot open the journal", &error);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(folder.join(LOCK)).map_err(fault)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(JournalFault::refused("another process writes this journal"))
        }
        Err(errno) => Err(JournalFault::io("cannot lock the journal", &errno.into())),
    }
}

fn first_segment(
    disk: &dyn Disk,
    folder: &Path,
    id: &str,
    bytes: u64,
) -> Result<Resumed, JournalFault> {
    let file = create(disk, folder, &header(1, [0; LINK_BYTES], id), bytes)?;
    let (offset, recovery) = (wide(HEADER_BYTES), Recovery::default());
    Ok(Resumed { file, first: 1, offset, next: 1, link: [0; LINK_BYTES], recovery })
}

fn reopen(folder: &Path, first: u64) -> Result<Arc<File>, JournalFault> {
    let file = OpenOptions::new().read(true).write(true).open(folder.join(name_of(first)));
    file.map(Arc::new).map_err(|error| JournalFault::io("cannot open a journal segment", &error))
}

fn header(first: u64, previous: [u8; LINK_BYTES], writer: &str) -> Header {
    Header { first, previous, created_us: now_us(), writer: writer.to_owned() }
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

// SPDX-License-Identifier: Apache-2.0
//! The recorder's thread: takes what waits, makes chunks of it, seals what has ended.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use super::queue::Work;
use super::sink::{Press, Sink};
use super::{Recording, Shared};

/// Works until the queue is stopped and empty.
pub(crate) fn run(shared: &Shared) {
    let mut press = Press::new();
    while let Some(work) = shared.queue.next() {
        let (recording, is_due) = match &work {
            Work::Now(recording) => (recording, recording.slot().urgent),
            Work::Timed(recording, since) => (recording, recording.slot().since == Some(*since)),
        };
        // A panic is a bug; it must cost this session its recording, not all sessions theirs.
        if catch_unwind(AssertUnwindSafe(|| write(recording, &mut press, is_due))).is_err() {
            *sink_of(recording) = None;
            fail(recording, "the recorder panicked");
        }
        shared.progress.notify_waiters();
    }
}

/// Writes everything that waits in the recording, and seals it if that is wanted.
fn write(recording: &Recording, press: &mut Press, is_due: bool) {
    // One worker at a time; the lock is taken first, so that chunks keep the order of the frames.
    let mut sink = sink_of(recording);
    let (plain, sealing) = if is_due { take(recording) } else { (Vec::new(), false) };
    if let Some(open) = sink.as_mut() {
        if let Err(words) = write_through(open, recording, press, &plain, sealing) {
            *sink = None;
            fail(recording, &words);
        } else if sealing {
            *sink = None;
        }
    }
    let mut slot = recording.slot();
    recording.shared.waiting.fetch_sub(slot.taken, Ordering::AcqRel);
    slot.taken = 0;
    slot.sealed |= sealing;
}

/// The frames that wait, and whether they are the last.
fn take(recording: &Recording) -> (Vec<u8>, bool) {
    let mut slot = recording.slot();
    slot.urgent = false;
    slot.since = None;
    slot.taken = slot.plain.len();
    (std::mem::take(&mut slot.plain), slot.sealing)
}

fn sink_of(recording: &Recording) -> MutexGuard<'_, Option<Sink>> {
    recording.sink.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_through(
    sink: &mut Sink,
    recording: &Recording,
    press: &mut Press,
    plain: &[u8],
    sealing: bool,
) -> Result<(), String> {
    let shared = &recording.shared;
    sink.sync_key(&*shared.disk)?;
    for chunk in Chunks(plain) {
        let leaf = sink.write(&*shared.disk, press, chunk, &shared.writer)?;
        shared.journal.append(&leaf, &[], false).map_err(|fault| fault.to_string())?;
    }
    if sealing {
        let leaf = sink.seal_leaf(&shared.writer);
        shared.journal.append(&leaf, &[], false).map_err(|fault| fault.to_string())?;
    }
    Ok(())
}

/// The recording is incomplete from here on; what waits in it is let go.
pub(crate) fn fail(recording: &Recording, words: &str) {
    let mut slot = recording.slot();
    slot.failure.get_or_insert_with(|| words.to_owned());
    let waiting = std::mem::take(&mut slot.plain).len() + std::mem::take(&mut slot.taken);
    recording.shared.waiting.fetch_sub(waiting, Ordering::AcqRel);
    slot.sealed |= slot.sealing;
}

/// Splits encoded frames behind the frame with which a chunk is full.
struct Chunks<'a>(&'a [u8]);

/// The plain bytes of a chunk and how many frames they are.
pub(crate) type Chunk<'a> = (&'a [u8], u32);

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let (mut end, mut frames) = (0, 0);
        while end < super::CHUNK_BYTES {
            let Some(length) = self.0.get(end + 9..end + super::FRAME_HEAD_BYTES) else { break };
            let length = length.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            end += super::FRAME_HEAD_BYTES + usize::try_from(length).unwrap_or(usize::MAX);
            frames += 1;
        }
        let (chunk, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (frames > 0).then_some((chunk, frames))
    }
}

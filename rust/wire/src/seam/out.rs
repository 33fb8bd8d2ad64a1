// SPDX-License-Identifier: Apache-2.0
//! What one turn of a conversation produced, in memory that is used again.

use super::Command;
use crate::proof::{Batch, Cleared, Forwardable};

/// One recorded frame, as the client saw or sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// `>` from the client, `<` to the client.
    pub direction: u8,
    /// When, microseconds since the epoch.
    pub unix_us: u64,
    /// Length of its bytes in [`Out::frame_bytes`].
    pub len: u32,
}

/// What one turn produced. Reused: the driver clears it.
#[derive(Debug, Default)]
pub struct Out {
    to_client: Vec<u8>,
    to_upstream: Vec<u8>,
    batch: Batch,
    frames: Vec<Frame>,
    frame_bytes: Vec<u8>,
    /// In order, after the bytes of this turn have been handed to the sockets.
    pub commands: Vec<Command>,
}

impl Out {
    /// Bytes for the client.
    pub fn client(&self) -> &[u8] {
        &self.to_client
    }

    /// Bytes for the upstream.
    pub fn upstream(&self) -> &[u8] {
        &self.to_upstream
    }

    /// Entries to write before anything of this turn is sent.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The same, for the conversation that fills and the journal that writes it.
    pub fn batch_mut(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Frames of this turn; their bytes lie back to back in [`Out::frame_bytes`].
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Bytes of the frames.
    pub fn frame_bytes(&self) -> &[u8] {
        &self.frame_bytes
    }

    /// The only way to the upstream.
    #[allow(clippy::needless_pass_by_value)] // a proof is spent by showing it
    pub fn send_upstream(&mut self, bytes: Forwardable<'_>) {
        self.to_upstream.append(bytes.0);
    }

    /// The only way to the client.
    pub fn send_client(&mut self, bytes: Cleared<'_>) {
        self.to_client.extend_from_slice(bytes.0);
    }

    /// Adds a frame to the recording.
    pub fn record(&mut self, direction: u8, unix_us: u64, bytes: &[u8]) {
        let Ok(len) = u32::try_from(bytes.len()) else { return };
        if len == 0 {
            return;
        }
        self.frame_bytes.extend_from_slice(bytes);
        match self.frames.last_mut() {
            Some(last)
                if last.direction == direction
                    && last.unix_us == unix_us
                    && last.len.checked_add(len).is_some() =>
            {
                last.len += len;
            }
            _ => self.frames.push(Frame { direction, unix_us, len }),
        }
    }

    /// Empties everything, keeping the memory up to a bound.
    pub fn clear(&mut self) {
        const KEEP: usize = 256 * 1024;
        self.to_client.clear();
        self.to_client.shrink_to(KEEP);
        self.to_upstream.clear();
        self.to_upstream.shrink_to(KEEP);
        self.frame_bytes.clear();
        self.frame_bytes.shrink_to(KEEP);
        self.frames.clear();
        self.commands.clear();
    }
}

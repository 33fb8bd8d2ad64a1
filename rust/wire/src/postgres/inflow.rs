// SPDX-License-Identifier: Apache-2.0
//! Upstream bytes of any split, cut into messages: rows are passed on as they come, the rest is held
//! whole before [`super::backend`] looks at it.

use super::message::{self, Framed, Message, HELD_BYTES};
use super::queue::Expect;
use super::session::Session;
use super::Setup;
use crate::seam::{Cause, Moment, Out};

/// Upstream bytes between messages: an incomplete one, or the rest of a long row.
#[derive(Debug, Default)]
pub struct Inflow {
    /// The beginning of a message that must be held whole, or of any header.
    partial: Vec<u8>,
    /// Bytes still to come of a row or COPY message that is passed on as it arrives.
    streaming: usize,
}

impl Inflow {
    /// Login bytes kept from before, with the new ones behind.
    pub fn take_login(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut data = std::mem::take(&mut self.partial);
        data.extend_from_slice(bytes);
        data
    }

    /// Keeps what is not a whole message yet.
    pub fn keep_login(&mut self, data: Vec<u8>) {
        self.partial = data;
    }

    /// Whether a message stands half-sent at the client: no word of ours can be put in then.
    pub fn is_mid_message(&self) -> bool {
        self.streaming > 0
    }
}

impl Session {
    /// Takes upstream bytes of any split; returns how many were used. `stepwise` stops behind the
    /// first message that was held whole, and behind a row whose beginning was passed on before.
    pub(super) fn upstream_bytes(
        &mut self,
        setup: &Setup,
        inflow: &mut Inflow,
        bytes: &[u8],
        stepwise: bool,
        at: Moment,
        out: &mut Out,
    ) -> Result<usize, Cause> {
        let mut rest = bytes;
        loop {
            if inflow.streaming > 0 {
                let piece = rest.len().min(inflow.streaming);
                let (now, later) = rest.split_at(piece);
                self.data(now, 0, at, out);
                inflow.streaming -= piece;
                rest = later;
                if stepwise && inflow.streaming == 0 {
                    return Ok(bytes.len() - rest.len());
                }
            }
            if rest.is_empty() && inflow.partial.is_empty() {
                return Ok(bytes.len());
            }
            if inflow.partial.is_empty() {
                let used = self.whole_messages(setup, inflow, rest, stepwise, at, out)?;
                rest = rest.get(used..).unwrap_or_default();
                if stepwise && used > 0 {
                    return Ok(bytes.len() - rest.len());
                }
                if inflow.streaming == 0 {
                    inflow.partial.extend_from_slice(rest);
                    return Ok(bytes.len());
                }
            } else {
                let completed = self.complete_partial(setup, inflow, &mut rest, at, out)?;
                if stepwise || !completed {
                    return Ok(bytes.len() - rest.len());
                }
            }
        }
    }

    /// Serves the messages that lie whole in `bytes` (`stepwise`: the first that is not a row), or
    /// begins to stream the last; returns how many bytes were used.
    fn whole_messages(
        &mut self,
        setup: &Setup,
        inflow: &mut Inflow,
        bytes: &[u8],
        stepwise: bool,
        at: Moment,
        out: &mut Out,
    ) -> Result<usize, Cause> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let (run, rows) = if self.streams(b'D') { run_of_rows(rest) } else { (0, 0) };
            if rows > 0 {
                self.expect_data(b'D')?;
                self.data(rest.get(..run).unwrap_or_default(), rows, at, out);
                used += run;
                continue;
            }
            match message::header(rest) {
                None => return Ok(used),
                Some(Err(length)) => return Err(bad_length(length)),
                Some(Ok((kind, body))) if self.streams(kind) && rest.len() < 5 + body => {
                    self.expect_data(kind)?;
                    self.data(rest, u64::from(kind == b'D'), at, out);
                    inflow.streaming = 5 + body - rest.len();
                    return Ok(bytes.len());
                }
                Some(Ok((kind, body))) => {
                    if !self.streams(kind) && body > HELD_BYTES {
                        return Err(bad_length(u32::try_from(body).unwrap_or(u32::MAX)));
                    }
                    let (Some(whole), Some(body)) = (rest.get(..5 + body), rest.get(5..5 + body))
                    else {
                        return Ok(used);
                    };
                    used += whole.len();
                    self.upstream_message(setup, Message { kind, whole, body }, at, out)?;
                    if stepwise {
                        return Ok(used);
                    }
                }
            }
        }
    }

    /// Adds to the partial message just what completes it (or its header). True if it was used
    /// up and the rest can be looked at.
    fn complete_partial(
        &mut self,
        setup: &Setup,
        inflow: &mut Inflow,
        rest: &mut &[u8],
        at: Moment,
        out: &mut Out,
    ) -> Result<bool, Cause> {
        let want = match message::header(&inflow.partial) {
            None => 5,
            Some(Err(length)) => return Err(bad_length(length)),
            Some(Ok((kind, _))) if self.streams(kind) => inflow.partial.len(),
            Some(Ok((_, body))) if body > HELD_BYTES => {
                return Err(bad_length(u32::try_from(body).unwrap_or(u32::MAX)))
            }
            Some(Ok((_, body))) => 5 + body,
        };
        let missing = want.saturating_sub(inflow.partial.len()).min(rest.len());
        let (now, later) = rest.split_at(missing);
        inflow.partial.extend_from_slice(now);
        *rest = later;
        if inflow.partial.len() < want || (want == 5 && message::header(&inflow.partial).is_none())
        {
            return Ok(false);
        }
        let mut held = std::mem::take(&mut inflow.partial);
        // One message at the most: nothing was added behind it.
        let used = self.whole_messages(setup, inflow, &held, false, at, out)?;
        if inflow.streaming == 0 && used < held.len() {
            held.drain(..used);
            inflow.partial = held;
            // Only the header is there; go on unless the peer has sent nothing more.
            return Ok(!rest.is_empty());
        }
        Ok(true)
    }

    /// Rows, COPY data and function results are passed on in pieces, never held whole; but for
    /// the gate's own question, whose row is read.
    pub(super) fn streams(&self, kind: u8) -> bool {
        matches!(kind, b'D' | b'd' | b'V') && !matches!(self.queue.front(), Some(Expect::Facts))
    }
}

/// The longest run of whole `DataRow` messages at the front: its bytes and their number.
fn run_of_rows(bytes: &[u8]) -> (usize, u64) {
    let (mut used, mut rows) = (0, 0);
    while let Framed::Message(Message { kind: b'D', whole, .. }) =
        message::frame(bytes.get(used..).unwrap_or_default(), usize::MAX / 2)
    {
        used += whole.len();
        rows += 1;
    }
    (used, rows)
}

fn bad_length(length: u32) -> Cause {
    Cause::with("upstream violation", format!("message of {length} bytes"))
}

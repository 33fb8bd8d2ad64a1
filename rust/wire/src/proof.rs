// SPDX-License-Identifier: Apache-2.0
//! Proof types: what may be sent to the upstream or to the client is sent only by showing one.
//!
//! `Authorized` is made from a live verdict (or names one of the listed messages that carry no
//! operation), `Forwardable` from staged authorized bytes and the journal's [`Token`], `Cleared`
//! from a mask plan. Each has one maker, here; [`crate::seam::Out`] accepts nothing else.

use crate::cache::{EpochValues, Epochs};
use crate::seam::Verdict;

/// How far a batch has to reach before its operations may be forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// With the journal's writer, which has it in the kernel before the thread sleeps or anything
    /// is forwarded behind it. For what only tells what has happened (docs/adr/0008).
    #[default]
    Soon,
    /// In the kernel: survives a killed process.
    Kernel,
    /// Synced to disk: survives power loss.
    Disk,
}

/// Entries that must be written before anything staged behind them moves on.
///
/// `bytes` holds unlinked records as [`crate::journal::put_record`] lays them out; the writer
/// adds the links.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: u32,
    need: Durability,
}

impl Batch {
    /// The unlinked records, back to back.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many entries the batch holds.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// What the writer must reach before it calls [`Batch::written`].
    pub fn need(&self) -> Durability {
        self.need
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Appends one entry; `leaf` and `private` are complete.
    pub fn push(&mut self, leaf: &[u8], private: &[u8], need: Durability) {
        crate::journal::put_record(&mut self.bytes, leaf, private);
        self.entries += 1;
        self.need = self.need.max(need);
    }

    /// The journal's token. Called by the journal writer only, once the batch has reached what
    /// it needs; `None` while `reached` is less than that. Empties the batch for reuse.
    ///
    /// INVARIANT: the carrier's journal is the only caller in production (tests/architecture).
    pub fn written(&mut self, reached: Durability) -> Option<Token> {
        if reached < self.need {
            return None;
        }
        self.bytes.clear();
        self.entries = 0;
        self.need = Durability::Soon;
        Some(Token(()))
    }
}

/// Proof that every entry handed out so far has reached what it needs.
#[derive(Debug)]
pub struct Token(());

/// Proof that a message may be staged for the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Authorized(());

/// Messages that the gate sends upstream without a verdict: they carry no operation of the
/// client, or only finish what a verdict allowed. The list is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Housekeeping {
    /// `SSLRequest`, startup, SASL: the gate's own login with its own credential.
    Login,
    /// Sync, Flush, Close, Terminate: order and release.
    Order,
    /// Describe of a statement or portal that a verdict allowed.
    Describe,
    /// Execute of a portal whose Bind was allowed and whose epochs still hold.
    Execute,
    /// `CopyData`, `CopyDone`, `CopyFail` of a COPY that a verdict allowed.
    CopyIn,
    /// The constant statement that cannot parse, standing for a refused operation.
    Refusal,
    /// The gate's own constant question about the session (facts).
    Facts,
}

impl Authorized {
    /// From a verdict, if it allows and is still live: same epochs, not expired.
    pub fn by(
        verdict: &Verdict,
        decided: EpochValues,
        epochs: &Epochs,
        session_epoch: u64,
    ) -> Option<Self> {
        let live = verdict.refusal.is_none() && decided == epochs.now(session_epoch);
        live.then_some(Self(()))
    }

    /// For a message of the closed list [`Housekeeping`].
    pub fn housekeeping(_kind: Housekeeping) -> Self {
        Self(())
    }
}

/// Authorized bytes that wait for the journal.
#[derive(Debug, Default)]
pub struct Stage(Vec<u8>);

impl Stage {
    /// Adds a message (or a piece of one) behind what is staged already.
    pub fn push(&mut self, _proof: Authorized, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Releases everything staged; called with the journal's token.
    pub fn release(&mut self, _token: &Token) -> Forwardable<'_> {
        Forwardable(&mut self.0)
    }

    /// Releases everything staged when the batch of this turn is empty: nothing had to be
    /// written. `None` if there are entries to write first.
    pub fn release_without_entries(&mut self, batch: &Batch) -> Option<Forwardable<'_>> {
        batch.is_empty().then_some(Forwardable(&mut self.0))
    }

    /// Throws away what was staged (the journal failed, or the session ends).
    pub fn discard(&mut self) {
        self.0.clear();
    }
}

/// Bytes that may leave for the upstream now.
#[derive(Debug)]
pub struct Forwardable<'a>(pub(crate) &'a mut Vec<u8>);

/// What a result must suffer before the client sees it. This build has the empty plan only; a
/// verdict that asks for more is refused in Python before it becomes a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaskPlan(());

impl MaskPlan {
    /// The empty plan: nothing in this result is classified.
    pub fn empty() -> Self {
        Self(())
    }
}

/// Bytes that may be shown to the client.
#[derive(Clone, Copy, Debug)]
pub struct Cleared<'a>(pub(crate) &'a [u8]);

impl<'a> Cleared<'a> {
    /// Upstream bytes that passed the mask plan of their operation.
    pub fn by(_plan: MaskPlan, bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The gate's own words (login answers, refusals): nothing of the upstream is in them.
    pub fn own_words(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

// SPDX-License-Identifier: Apache-2.0
//! What the session's prepared statements and portals mean, as far as the server confirmed it.
//!
//! The server's name space is one for protocol-level Parse and SQL-level PREPARE. A change made by
//! a pipelined message is pending until the server answers it: later messages of the pipeline
//! see the pending value, an error drops what its group (the messages up to a Sync) had pending.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use super::question::Matter;
use crate::cache::EpochValues;
use crate::seam::Verdict;

/// LIMIT: bytes kept of a statement's text; a session has thousands. A longer one is never parsed,
/// so nothing that is judged again depends on its end.
const KEPT_BYTES: usize = 256 * 1024;
/// LIMIT: bytes of texts and parameters that all names of a session hold. The number of names alone
/// bounds little: each may hold a message, and a session could have the gate keep gigabytes.
pub const HELD_BYTES: usize = 64 * 1024 * 1024;

/// A prepared statement: what was judged, and will be judged again.
#[derive(Debug)]
pub struct Statement {
    /// Text of the Parse, or of the whole message that held the PREPARE.
    pub text: Arc<[u8]>,
    /// Declared parameter types as on the wire.
    pub types: Box<[u8]>,
    /// The text is the beginning of a longer one.
    pub cut: bool,
}

impl Statement {
    /// A statement of a Parse.
    pub fn parsed(text: &[u8], types: &[u8]) -> Self {
        let kept = text.get(..KEPT_BYTES).unwrap_or(text);
        Self { text: kept.into(), types: types.into(), cut: kept.len() < text.len() }
    }

    /// A statement of an SQL-level PREPARE. All of one message share its text.
    pub fn prepared(text: Arc<[u8]>) -> Self {
        if text.len() > KEPT_BYTES {
            return Self::parsed(&text, &[]);
        }
        Self { text, types: Box::default(), cut: false }
    }

    /// What a Bind of a name that the gate does not know would do: the same as EXECUTE of it.
    pub fn unknown(name: &[u8]) -> Self {
        Self::parsed(&with_identifier(b"EXECUTE ", name), &[])
    }

    /// What an Execute of a portal that the gate does not know would do: the same as FETCH.
    pub fn unknown_portal(name: &[u8]) -> Self {
        Self::parsed(&with_identifier(b"FETCH ALL FROM ", name), &[])
    }

    fn size(&self) -> usize {
        self.text.len() + self.types.len()
    }

    /// What the desk judges where it is bound.
    pub fn matter(&self) -> Matter<'_> {
        let (text, types, cut) = (&self.text, &self.types, self.cut);
        Matter { via: "bind", text, types, cut, ..Matter::default() }
    }
}

fn with_identifier(words: &[u8], name: &[u8]) -> Vec<u8> {
    let mut text = words.to_vec();
    text.push(b'"');
    for &byte in name {
        if byte == b'"' {
            text.push(byte);
        }
        text.push(byte);
    }
    text.push(b'"');
    text
}

/// A portal: one Bind, which answers for every Execute.
#[derive(Debug)]
pub struct Portal {
    /// The statement it was bound from.
    pub statement: Arc<Statement>,
    /// Formats, values and result formats of the Bind.
    pub arguments: Box<[u8]>,
    /// Number of the operation, `None` for an empty statement.
    pub operation: Option<u64>,
    /// What was decided, and under which epochs.
    pub verdict: Arc<Verdict>,
    /// The epochs of that decision.
    pub decided: EpochValues,
    /// Execute messages forwarded so far.
    pub executions: u32,
    /// The group (messages up to a Sync) it was bound in.
    pub group: u64,
}

impl Portal {
    /// What it holds. A statement counts with each of its portals: it lives as long as they do.
    fn size(&self) -> usize {
        self.arguments.len() + self.statement.size()
    }
}

#[derive(Debug)]
struct Pending {
    group: u64,
    name: Box<[u8]>,
    value: Option<Arc<Statement>>,
}

/// All names of a session.
#[derive(Debug, Default)]
pub struct Names {
    statements: HashMap<Box<[u8]>, Arc<Statement>>,
    pending: VecDeque<Pending>,
    portals: HashMap<Box<[u8]>, Portal>,
    /// Bytes of all of these, without the names themselves.
    held: usize,
}

impl Names {
    /// The statement a message would find when the server comes to it.
    pub fn statement(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.pending
            .iter()
            .rev()
            .find(|change| *change.name == *name)
            .map_or_else(|| self.statements.get(name), |change| change.value.as_ref())
    }

    /// A forwarded Parse (`Some`) or Close (`None`) will change a name.
    pub fn change(&mut self, group: u64, name: &[u8], value: Option<Arc<Statement>>) {
        self.held += size_of_change(value.as_ref());
        self.pending.push_back(Pending { group, name: name.into(), value });
    }

    /// The server confirmed the oldest pending change.
    pub fn confirm(&mut self) {
        if let Some(change) = self.pending.pop_front() {
            self.release(size_of_change(change.value.as_ref()));
            match change.value {
                Some(value) => self.prepare(&change.name, value),
                None => self.forget(&change.name),
            }
        }
    }

    /// The server failed and skips all up to the end of `group`: nothing pending up to there will
    /// happen. A failed Parse of the unnamed statement has dropped the old one.
    pub fn fail(&mut self, group: u64, parsed_unnamed: bool) {
        let mut dropped = 0;
        self.pending.retain(|change| {
            let stays = change.group > group;
            if !stays {
                dropped += size_of_change(change.value.as_ref());
            }
            stays
        });
        self.release(dropped);
        if parsed_unnamed {
            self.forget(b"");
        }
    }

    /// SQL-level PREPARE, confirmed.
    pub fn prepare(&mut self, name: &[u8], statement: Arc<Statement>) {
        self.held += statement.size();
        if let Some(old) = self.statements.insert(name.into(), statement) {
            self.release(old.size());
        }
    }

    /// SQL-level DEALLOCATE, confirmed.
    pub fn forget(&mut self, name: &[u8]) {
        if let Some(old) = self.statements.remove(name) {
            self.release(old.size());
        }
    }

    /// DEALLOCATE ALL, confirmed.
    pub fn forget_all(&mut self) {
        let dropped = self.statements.drain().map(|(_, statement)| statement.size()).sum();
        self.release(dropped);
    }

    /// Names and texts of the confirmed statements, for the desk; those only that are kept whole.
    pub fn texts(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut texts: Vec<_> = self
            .statements
            .iter()
            .filter(|(_, statement)| !statement.cut)
            .map(|(name, statement)| (name.to_vec(), statement.text.to_vec()))
            .collect();
        texts.sort();
        texts
    }

    /// Statements and portals known.
    pub fn counts(&self) -> (usize, usize) {
        (self.statements.len() + self.pending.len(), self.portals.len())
    }

    /// Bytes that the names hold.
    pub fn held(&self) -> usize {
        self.held
    }

    /// A forwarded Bind opens a portal; returns the one it replaces.
    pub fn bind(&mut self, name: &[u8], portal: Portal) -> Option<Portal> {
        self.held += portal.size();
        let old = self.portals.insert(name.into(), portal);
        self.release(old.as_ref().map_or(0, Portal::size));
        old
    }

    /// An open portal.
    pub fn portal(&mut self, name: &[u8]) -> Option<&mut Portal> {
        self.portals.get_mut(name)
    }

    /// A portal is gone: closed, or its Bind failed.
    pub fn unbind(&mut self, name: &[u8]) -> Option<Portal> {
        let old = self.portals.remove(name);
        self.release(old.as_ref().map_or(0, Portal::size));
        old
    }

    /// The transaction of `group` ended: every portal bound up to then is gone. In the order of
    /// their operations.
    pub fn unbind_through(&mut self, group: u64) -> Vec<Portal> {
        if self.portals.is_empty() {
            return Vec::new();
        }
        let mut gone: Vec<_> = self
            .portals
            .extract_if(|_, portal| portal.group <= group)
            .map(|(_, portal)| portal)
            .collect();
        self.release(gone.iter().map(Portal::size).sum());
        gone.sort_by_key(|portal| portal.operation);
        gone
    }

    fn release(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }
}

fn size_of_change(value: Option<&Arc<Statement>>) -> usize {
    value.map_or(0, |statement| statement.size())
}

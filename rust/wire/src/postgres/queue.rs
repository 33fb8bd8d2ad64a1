// SPDX-License-Identifier: Apache-2.0
//! The answers that the upstream still owes, in the order of the messages forwarded to it.

use std::collections::VecDeque;

use super::evidence::Running;

/// One forwarded message whose answer is outstanding.
#[derive(Debug)]
pub enum Expect {
    /// Query: results of its statements, then `ReadyForQuery`.
    Query {
        /// Its operations, in order.
        running: Vec<Running>,
        /// The one that runs.
        current: usize,
        /// A pending change of names says that it drops the unnamed statement.
        drops_unnamed: bool,
        /// Command tag of the last statement, while an operation stands for the whole message.
        tag: Option<Box<[u8]>>,
    },
    /// Parse: `ParseComplete`.
    Parse {
        /// Its operation, if the statement is not empty.
        running: Option<Running>,
        /// Parses the unnamed statement.
        unnamed: bool,
    },
    /// Bind: `BindComplete`.
    Bind {
        /// Its operation, if the statement is not empty.
        running: Option<Running>,
        /// Portal name.
        portal: Box<[u8]>,
    },
    /// Describe: descriptions.
    Describe,
    /// Execute: rows and a completion.
    Execute {
        /// The portal's operation, with the number of this execution.
        running: Option<Running>,
    },
    /// Close: `CloseComplete`.
    Close {
        /// A statement's name is dropped by it.
        statement: bool,
    },
    /// Sync: `ReadyForQuery`.
    Sync {
        /// It was sent while COPY read data: the server may have read past it, and owe nothing.
        in_copy: bool,
    },
    /// `FunctionCall`: its response, then `ReadyForQuery`.
    Function {
        /// Its operation; taken once it ended.
        running: Option<Running>,
    },
    /// The constant statement in place of a refused extended message: an error, replaced by ours.
    Refused {
        /// Our `ErrorResponse`.
        error: Box<[u8]>,
        /// It stands for a Parse of the unnamed statement.
        unnamed: bool,
    },
    /// The constant statement in place of a refused Query: an error, then `ReadyForQuery`.
    RefusedQuery {
        /// Our `ErrorResponse`, until it was sent.
        error: Option<Box<[u8]>>,
    },
    /// The gate's question about the session; the client sees nothing of it.
    Facts,
}

impl Expect {
    /// Whether its answer ends with `ReadyForQuery`.
    pub fn ends_ready(&self) -> bool {
        matches!(
            self,
            Self::Query { .. }
                | Self::Sync { .. }
                | Self::Function { .. }
                | Self::RefusedQuery { .. }
                | Self::Facts
        )
    }
}

/// The queue; the front is being answered.
#[derive(Debug, Default)]
pub struct Queue(VecDeque<Expect>);

impl Queue {
    /// A message was staged.
    pub fn push(&mut self, expect: Expect) {
        self.0.push_back(expect);
    }

    /// The message whose answer comes next.
    pub fn front(&self) -> Option<&Expect> {
        self.0.front()
    }

    /// The same, to note progress.
    pub fn front_mut(&mut self) -> Option<&mut Expect> {
        self.0.front_mut()
    }

    /// The front is answered.
    pub fn pop(&mut self) -> Option<Expect> {
        self.0.pop_front()
    }

    /// How many answers are outstanding.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the upstream owes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everything up to, not including, the next Sync: the server skips it behind an error.
    /// The flag says whether there is such a Sync.
    pub fn take_skipped(&mut self) -> (Vec<Expect>, bool) {
        let sync = self.0.iter().position(|expect| matches!(expect, Expect::Sync { .. }));
        let skipped = self.0.drain(..sync.unwrap_or(self.0.len())).collect();
        (skipped, sync.is_some())
    }

    /// COPY begins to read data: the Syncs that were sent before are among what it reads past.
    pub fn mark_syncs_in_copy(&mut self) {
        for expect in &mut self.0 {
            if let Expect::Sync { in_copy } = expect {
                *in_copy = true;
            }
        }
    }

    /// COPY is over: drops the Syncs sent while it read data, and counts them.
    pub fn drop_syncs_in_copy(&mut self) -> u64 {
        let before = self.0.len();
        self.0.retain(|expect| !matches!(expect, Expect::Sync { in_copy: true }));
        u64::try_from(before - self.0.len()).unwrap_or(0)
    }

    /// Everything outstanding, at the end of the session.
    pub fn drain(&mut self) -> impl Iterator<Item = Expect> + '_ {
        self.0.drain(..)
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The journal's error: why nothing can be entered, in words for the operator.

use std::fmt;
use std::io;

/// Lower case, one line, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFault {
    words: String,
    is_final: bool,
}

impl JournalFault {
    /// This call is refused; the writer goes on.
    pub(crate) fn refused(words: impl Into<String>) -> Self {
        Self { words: words.into(), is_final: false }
    }

    /// The writer is lost (or was never there): everything after this is refused too.
    pub(crate) fn lost(words: impl Into<String>) -> Self {
        Self { words: words.into(), is_final: true }
    }

    /// A system call failed.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        Self::lost(format!("{what}: {error}"))
    }

    /// Whether the writer refuses everything from now on, until the process starts again.
    pub fn is_final(&self) -> bool {
        self.is_final
    }
}

impl fmt::Display for JournalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for JournalFault {}

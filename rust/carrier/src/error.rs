// SPDX-License-Identifier: Apache-2.0
//! The crate's error: something the operator gave cannot be used, in words safe to show.

use std::fmt;

/// Binding, certificates, threads: what the operator has to mend. Starts in lower case, holds no
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierError(String);

impl CarrierError {
    /// With words for the operator.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for CarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CarrierError {}

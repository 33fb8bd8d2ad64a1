// SPDX-License-Identifier: Apache-2.0
//! `gatebook._native`: what Rust does for Python, as `src/gatebook/_native.pyi` promises it.

mod asked;
mod carrier;
mod cause;
mod conversation;
mod error;
mod journal;
mod parse;
mod pure;
mod values;

use pyo3::prelude::*;

/// The native module.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::asked::{
        Cancel, CatalogueChanged, Ended, Fault, Forgotten, Hello, NotSecured, Question,
    };
    #[pymodule_export]
    use super::carrier::Carrier;
    #[pymodule_export]
    use super::conversation::PostgresConversation;
    #[pymodule_export]
    use super::error::NativeError;
    #[pymodule_export]
    use super::journal::Journal;
    #[pymodule_export]
    use super::pure::{
        journal_leaves, parse_sql, private_open, private_seal, sql_literal_free,
        sql_password_literals, sql_shape, sql_tokens,
    };
    #[pymodule_export]
    use super::values::{Admission, OperationFacts, Refusal, Verdict};
}

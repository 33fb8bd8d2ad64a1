// SPDX-License-Identifier: Apache-2.0
//! The one conversion of native errors to Python's.

use std::fmt::Display;

use pyo3::exceptions::PyException;
use pyo3::PyErr;

pyo3::create_exception!(
    gatebook._native,
    NativeError,
    PyException,
    "A parser or file of the native module refused; the message is safe to show."
);

/// Any error of ours, by its words.
#[allow(clippy::needless_pass_by_value)] // fits `map_err`
pub(crate) fn native(error: impl Display) -> PyErr {
    NativeError::new_err(error.to_string())
}

// SPDX-License-Identifier: Apache-2.0
//! The journal writer as Python sees it.

use std::path::Path;
use std::sync::Arc;

use gatebook_carrier::journal::{self, FaultPlan, SyncMode};
use pyo3::prelude::*;

use crate::error::native;

/// The writer of one journal folder (docs/spec/journal.md). One per process and folder.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct Journal(pub(crate) Arc<journal::Journal>);

#[pymethods]
impl Journal {
    /// Take the lock, recover, preallocate. `sync` is `privileged` or `every`. `NativeError` if it
    /// cannot.
    ///
    /// `fault` makes a chosen system call fail, for tests: `<step>:<n>:<fails|persists|short>`.
    #[staticmethod]
    #[pyo3(signature = (folder, writer, *, sync, segment_bytes = 67_108_864, fault = ""))]
    fn open(
        py: Python<'_>,
        folder: &str,
        writer: &str,
        sync: &str,
        segment_bytes: u64,
        fault: &str,
    ) -> PyResult<Self> {
        let sync = match sync {
            "privileged" => SyncMode::Privileged,
            "every" => SyncMode::Every,
            _ => return Err(native("sync is `privileged` or `every`")),
        };
        let plan = if fault.is_empty() { None } else { Some(FaultPlan::parse(fault)) };
        let plan = plan.transpose().map_err(native)?;
        let open = || journal::Journal::open(Path::new(folder), writer, sync, segment_bytes, plan);
        Ok(Self(Arc::new(py.detach(open).map_err(native)?)))
    }

    /// Entries kept, bytes set aside, name of the aside file (empty if none).
    fn recovery(&self) -> (u64, u64, String) {
        let recovery = self.0.recovery();
        (recovery.kept, recovery.cut, recovery.aside.clone())
    }

    /// Append one entry; return its number (from 1). `NativeError` if the writer has failed.
    #[pyo3(
        signature = (leaf, private = b"".as_slice(), *, durable = false),
        text_signature = "($self, leaf, private=b'', *, durable=False)"
    )]
    fn append(&self, py: Python<'_>, leaf: &[u8], private: &[u8], durable: bool) -> PyResult<u64> {
        py.detach(|| self.0.append(leaf, private, durable)).map_err(native)
    }

    fn entries(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.0.entries())
    }

    fn failure(&self, py: Python<'_>) -> String {
        let failure = py.detach(|| self.0.failure());
        failure.map(|fault| fault.to_string()).unwrap_or_default()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

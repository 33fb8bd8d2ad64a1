// SPDX-License-Identifier: Apache-2.0
//! Values that come to the desk: who knocks, what asks to run, what is over.

use std::sync::{Arc, Mutex, PoisonError};

use gatebook_carrier::{Cancelling, Greeting, Item, Parsed};
use gatebook_wire as wire;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::values::wipe;

/// A connection asks to become a session.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct Hello {
    #[pyo3(get)]
    ticket: u64,
    #[pyo3(get)]
    listener: u32,
    #[pyo3(get)]
    peer: (String, u16),
    #[pyo3(get)]
    tls: Option<(String, String, String)>,
    #[pyo3(get)]
    parameters: Vec<(String, String)>,
    certificates: Vec<Vec<u8>>,
    password: Mutex<Vec<u8>>,
}

#[pymethods]
impl Hello {
    /// Certificates that the client showed and the handshake verified, its own first, each DER.
    #[getter]
    fn certificates(&self) -> Vec<&[u8]> {
        self.certificates.iter().map(Vec::as_slice).collect()
    }

    /// The password as sent; readable once, wiped then.
    fn password<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut password = self.password.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = std::mem::take(&mut *password);
        let bytes = PyBytes::new(py, &taken);
        wipe(&mut taken);
        bytes
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        wipe(self.password.get_mut().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Hello {
    pub(crate) fn new(ticket: u64, greeting: Greeting) -> Self {
        let Greeting { listener, peer, mut hello } = greeting;
        let certificates =
            hello.tls.as_mut().map(|tls| std::mem::take(&mut tls.shown)).unwrap_or_default();
        Self {
            ticket,
            listener,
            peer,
            tls: hello.tls.map(|tls| (tls.version, tls.cipher, tls.peer_sha256)),
            parameters: hello.parameters,
            certificates,
            password: Mutex::new(hello.password),
        }
    }
}

/// A message asks to run.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct Question {
    #[pyo3(get)]
    ticket: u64,
    #[pyo3(get)]
    parse_error: String,
    tree: Option<Vec<u8>>,
    asked: Arc<wire::Question>,
}

#[pymethods]
impl Question {
    #[getter]
    fn session(&self) -> &str {
        &self.asked.session
    }

    #[getter]
    fn via(&self) -> &str {
        self.asked.via
    }

    #[getter]
    fn text(&self) -> &[u8] {
        &self.asked.text
    }

    #[getter]
    fn tree(&self) -> Option<&[u8]> {
        self.tree.as_deref()
    }

    #[getter]
    fn operation(&self) -> u64 {
        self.asked.operation
    }

    #[getter]
    fn types(&self) -> &[u8] {
        &self.asked.types
    }

    #[getter]
    fn arguments(&self) -> &[u8] {
        &self.asked.arguments
    }

    #[getter]
    fn facts(&self) -> Vec<Option<&[u8]>> {
        self.asked.facts.iter().map(Option::as_deref).collect()
    }

    #[getter]
    fn facts_known(&self) -> bool {
        self.asked.facts_known
    }

    #[getter]
    fn transaction(&self) -> char {
        self.asked.transaction
    }

    #[getter]
    fn prepared(&self) -> Vec<(&[u8], &[u8])> {
        self.asked.prepared.iter().map(|(name, text)| (&name[..], &text[..])).collect()
    }
}

impl Question {
    pub(crate) fn new(ticket: u64, asked: Arc<wire::Question>, parsed: Parsed) -> Self {
        Self { ticket, parse_error: parsed.error, tree: parsed.tree, asked }
    }
}

/// A connection presents a cancel key; `session` is whose it is, if anybody's.
#[pyclass(frozen, get_all, module = "gatebook._native")]
pub(crate) struct Cancel {
    ticket: u64,
    peer: (String, u16),
    session: Option<String>,
}

impl Cancel {
    pub(crate) fn new(ticket: u64, cancelling: Cancelling) -> Self {
        let Cancelling { peer, session } = cancelling;
        Self { ticket, peer, session }
    }
}

/// A client never came inside TLS: the check that failed, and the reason. `peer` is absent for `times`
/// such clients that came faster than they were taken.
#[pyclass(frozen, get_all, module = "gatebook._native")]
pub(crate) struct NotSecured {
    peer: Option<(String, u16)>,
    check: &'static str,
    reason: &'static str,
    times: u64,
}

impl From<gatebook_carrier::NotSecured> for NotSecured {
    fn from(failed: gatebook_carrier::NotSecured) -> Self {
        let (check, reason) = failed.fault.words();
        Self { peer: Some(failed.peer), check, reason, times: 1 }
    }
}

/// A connection is over.
#[pyclass(frozen, get_all, module = "gatebook._native")]
pub(crate) struct Ended {
    session: String,
    cause: String,
    operations: u64,
    refused: u64,
    rows: u64,
    client_bytes: (u64, u64),
    last_seq: u64,
}

impl From<wire::Ended> for Ended {
    fn from(ended: wire::Ended) -> Self {
        let wire::Ended { session, cause, operations, refused, rows, client_bytes, last_seq } =
            ended;
        Self { session, cause, operations, refused, rows, client_bytes, last_seq }
    }
}

/// A ticket whose answer nobody waits for any more.
#[pyclass(frozen, get_all, module = "gatebook._native")]
pub(crate) struct Forgotten {
    ticket: u64,
}

/// A statement of this session may have changed its database's catalogue.
#[pyclass(frozen, get_all, module = "gatebook._native")]
pub(crate) struct CatalogueChanged {
    session: String,
}

/// The carrier met something the operator should know (journal failed, listener lost).
#[pyclass(frozen, get_all, module = "gatebook._native")]
pub(crate) struct Fault {
    what: String,
    note: String,
}

/// An item of the desk as the Python object of its kind.
pub(crate) fn object(py: Python<'_>, item: Item) -> PyResult<Py<PyAny>> {
    Ok(match item {
        Item::Hello(ticket, greeting) => Py::new(py, Hello::new(ticket, *greeting))?.into_any(),
        Item::Question(ticket, asked, parsed) => {
            Py::new(py, Question::new(ticket, asked, parsed))?.into_any()
        }
        Item::Cancel(ticket, cancelling) => {
            Py::new(py, Cancel::new(ticket, *cancelling))?.into_any()
        }
        Item::NotSecured(failed) => Py::new(py, NotSecured::from(failed))?.into_any(),
        Item::NotSecuredBeyond(check, times) => {
            Py::new(py, NotSecured { peer: None, check, reason: "", times })?.into_any()
        }
        Item::Ended(ended) => Py::new(py, Ended::from(*ended))?.into_any(),
        Item::Forgotten(ticket) => Py::new(py, Forgotten { ticket })?.into_any(),
        Item::CatalogueChanged(session) => Py::new(py, CatalogueChanged { session })?.into_any(),
        Item::Fault(what, note) => Py::new(py, Fault { what, note })?.into_any(),
    })
}

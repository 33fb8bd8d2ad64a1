// SPDX-License-Identifier: Apache-2.0
//! The carrier as Python sees it: listeners, the desk's queue and answers, ends, counters.

use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gatebook_carrier::{self as native_carrier, ConversationMaker, ListenSpec, Options, ServerTls};
use gatebook_wire::cache::EpochKind;
use gatebook_wire::postgres::{Postgres, Setup};
use gatebook_wire::quota::Quotas;
use gatebook_wire::{Answer, Cache, Cause, Epochs};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::asked::object;
use crate::cause;
use crate::error::native;
use crate::journal::Journal;
use crate::parse::parse;
use crate::values::{held, Admission, Refusal, Verdict};

/// LIMIT: connections at once that have not logged in; each holds a socket and a few KiB.
const BEFORE_LOGIN: usize = 1000;
/// ALPN name of PostgreSQL (registered with IANA; libpq 17 sends it).
pub(crate) const POSTGRES_ALPN: &[u8] = b"postgresql";

/// Sockets, TLS and threads. Drives one conversation per connection and asks the desk.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct Carrier {
    driver: native_carrier::Carrier,
    cache: Arc<Cache>,
    epochs: Arc<Epochs>,
    quotas: Arc<Quotas>,
    writer: Arc<str>,
}

#[pymethods]
impl Carrier {
    #[new]
    #[pyo3(signature = (
        journal, *, recordings, writer, threads = 0, desk_deadline_ms = 10_000,
        record_queue_bytes = 67_108_864
    ))]
    fn new(
        py: Python<'_>,
        journal: &Journal,
        recordings: PathBuf,
        writer: String,
        threads: usize,
        desk_deadline_ms: u64,
        record_queue_bytes: usize,
    ) -> PyResult<Self> {
        let options = Options {
            recordings,
            writer: writer.clone(),
            threads,
            desk_deadline: Duration::from_millis(desk_deadline_ms),
            record_queue_bytes,
            before_login: BEFORE_LOGIN,
            parse: Arc::new(parse),
        };
        let journal = Arc::clone(&journal.0);
        let start = || native_carrier::Carrier::start(journal, &options);
        let driver = py.detach(start).map_err(native)?;
        let (cache, epochs, quotas) = (Arc::default(), Arc::default(), Arc::default());
        Ok(Self { driver, cache, epochs, quotas, writer: writer.into() })
    }

    /// Bind and accept; return (listener id, port). Certificate chain, key and roots are PEM.
    #[pyo3(signature = (
        host, port, *, protocol, certificate, key, client_roots = None, client_required = false,
        insecure_plaintext = false, bearer = None
    ))]
    #[allow(clippy::too_many_arguments)] // keyword-only behind the address
    fn listen(
        &self,
        py: Python<'_>,
        host: String,
        port: u16,
        protocol: &str,
        certificate: &[u8],
        key: &[u8],
        client_roots: Option<&[u8]>,
        client_required: bool,
        insecure_plaintext: bool,
        bearer: Option<&[u8]>,
    ) -> PyResult<(u32, u16)> {
        if certificate.is_empty() && !insecure_plaintext {
            return Err(native("a listener without certificate needs `insecure_plaintext`"));
        }
        let (alpn, make) = match protocol {
            "postgres" => (&[POSTGRES_ALPN][..], self.postgres(insecure_plaintext, bearer)),
            _ => return Err(native("the protocol is `postgres`")),
        };
        let tls = server_tls(certificate, key, client_roots, client_required);
        let spec = ListenSpec { host, port, tls, alpn, make };
        py.detach(|| self.driver.listen(spec)).map_err(native)
    }

    /// Readable while something waits in `drain`.
    fn desk_fd(&self) -> RawFd {
        self.driver.desk().descriptor()
    }

    /// Take up to `most` waiting things, fair over principals, without blocking.
    fn drain(&self, py: Python<'_>, most: usize) -> PyResult<Vec<Py<PyAny>>> {
        let items = py.detach(|| self.driver.desk().drain(most));
        items.into_iter().map(|item| object(py, item)).collect()
    }

    fn admit(&self, py: Python<'_>, ticket: u64, admission: &Admission) {
        let admission = admission.0.clone();
        py.detach(|| self.driver.admit(ticket, admission));
    }

    fn refuse(&self, py: Python<'_>, ticket: u64, refusal: &Refusal) {
        let refusal = refusal.0.clone();
        py.detach(|| self.driver.answer(ticket, Answer::Refused(refusal)));
    }

    fn answer(&self, py: Python<'_>, ticket: u64, verdict: &Verdict) {
        let verdict = Arc::clone(&verdict.0);
        py.detach(|| self.driver.answer(ticket, Answer::Verdict(verdict)));
    }

    /// Tell the client that a person has to consent; the ticket stays open for `wait_ms`.
    fn hold(
        &self,
        py: Python<'_>,
        ticket: u64,
        verdict: &Verdict,
        notice: &Refusal,
        wait_ms: u64,
    ) -> bool {
        let held = held(verdict, notice, wait_ms);
        py.detach(|| self.driver.answer(ticket, Answer::Held(held)))
    }

    /// Have what is held asked again, under a new ticket.
    fn resume(&self, py: Python<'_>, ticket: u64) -> bool {
        py.detach(|| self.driver.answer(ticket, Answer::Resume))
    }

    /// A cancel request is in the book.
    fn note(&self, py: Python<'_>, ticket: u64) {
        py.detach(|| self.driver.answer(ticket, Answer::Noted));
    }

    fn silence(&self, py: Python<'_>, ticket: u64) {
        py.detach(|| self.driver.answer(ticket, Answer::Silence));
    }

    /// End a live session; False if it is not here.
    #[pyo3(signature = (session, cause, note = ""))]
    fn end(&self, py: Python<'_>, session: &str, cause: &str, note: &str) -> PyResult<bool> {
        let cause = Cause::with(cause::word(cause)?, note);
        Ok(py.detach(|| self.driver.end(session, cause)))
    }

    /// `policy`, `grants` or `catalogue`: void kept verdicts.
    fn raise_epoch(&self, kind: &str) -> PyResult<()> {
        self.epochs.raise(epoch(kind)?);
        Ok(())
    }

    #[pyo3(signature = (
        listener, certificate, key, *, client_roots = None, client_required = false
    ))]
    fn reload_tls(
        &self,
        py: Python<'_>,
        listener: u32,
        certificate: &[u8],
        key: &[u8],
        client_roots: Option<&[u8]>,
        client_required: bool,
    ) -> PyResult<()> {
        let tls = server_tls(certificate, key, client_roots, client_required);
        py.detach(|| self.driver.reload_tls(listener, &tls)).map_err(native)
    }

    /// Stop accepting, let running operations end for so long, end the rest, seal recordings.
    fn stop(&self, py: Python<'_>, drain_ms: u64) {
        py.detach(|| self.driver.stop(Duration::from_millis(drain_ms)));
    }

    /// Counters: sessions, questions, cache hits and misses, bytes, entries.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = py.detach(|| self.driver.counts());
        let (hits, misses) = self.cache.counts();
        let metrics = PyDict::new(py);
        for (name, value) in [
            ("connections", counts.connections),
            ("turned_away", counts.turned_away),
            ("admitted", counts.admitted),
            ("live", counts.live),
            ("sessions", counts.sessions),
            ("questions", counts.questions),
            ("silences", counts.silences),
            ("open_tickets", counts.open_tickets),
            ("cache_hits", hits),
            ("cache_misses", misses),
            ("client_in_bytes", counts.client_in),
            ("client_out_bytes", counts.client_out),
            ("upstream_in_bytes", counts.upstream_in),
            ("upstream_out_bytes", counts.upstream_out),
            ("entries", counts.entries),
        ] {
            metrics.set_item(name, value)?;
        }
        Ok(metrics)
    }
}

impl Carrier {
    fn postgres(&self, insecure_plaintext: bool, bearer: Option<&[u8]>) -> ConversationMaker {
        let setup = Setup {
            insecure_plaintext,
            bearer: bearer.map(Arc::from),
            cache: Arc::clone(&self.cache),
            epochs: Arc::clone(&self.epochs),
            writer: Arc::clone(&self.writer),
            quotas: Arc::clone(&self.quotas),
        };
        Arc::new(move || Box::new(Postgres::new(setup.clone())))
    }
}

fn server_tls(
    certificate: &[u8],
    key: &[u8],
    client_roots: Option<&[u8]>,
    client_required: bool,
) -> ServerTls {
    ServerTls {
        certificate: certificate.to_vec(),
        key: key.to_vec(),
        client_roots: client_roots.unwrap_or_default().to_vec(),
        client_required,
    }
}

/// The epoch of this name.
pub(crate) fn epoch(kind: &str) -> PyResult<EpochKind> {
    match kind {
        "policy" => Ok(EpochKind::Policy),
        "grants" => Ok(EpochKind::Grants),
        "catalogue" => Ok(EpochKind::Catalogue),
        _ => Err(native("the epochs are `policy`, `grants` and `catalogue`")),
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The PostgreSQL conversation without sockets, driven from Python exactly as the carrier does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatebook_carrier::Greeting;
use gatebook_wire::journal::entries;
use gatebook_wire::postgres::{Postgres, Setup};
use gatebook_wire::{
    Answer, Ask, Cause, Command, Conversation, Durability, Epochs, Event, Moment, Out, TlsFacts,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::asked::{Ended, Hello, Question};
use crate::carrier::epoch;
use crate::cause;
use crate::error::native;
use crate::parse::parse;
use crate::values::{held, Admission, Refusal, Verdict};

/// Writer id in the entries of a conversation that has no journal.
const WRITER: &str = "playbook";

/// The PostgreSQL conversation without sockets, for playbooks and property tests.
///
/// Every method takes the moment (microseconds) and returns the turn's output in order, as tuples.
/// Entries are taken as written at once unless `hold_journal` is set; then `written` releases,
/// and everything of a turn but its entries waits for that, as it does in the carrier.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct PostgresConversation {
    driven: Mutex<Driven>,
    epochs: Arc<Epochs>,
    hold_journal: bool,
}

struct Driven {
    conversation: Postgres,
    out: Out,
    /// Bytes of the batch that Python has seen.
    told: usize,
}

/// The tuples of one turn.
type Turn<'py> = PyResult<Vec<Bound<'py, PyTuple>>>;

#[pymethods]
impl PostgresConversation {
    #[new]
    #[pyo3(signature = (*, insecure_plaintext = false, hold_journal = false, bearer = None))]
    fn new(insecure_plaintext: bool, hold_journal: bool, bearer: Option<&[u8]>) -> Self {
        let epochs = Arc::<Epochs>::default();
        let setup = Setup {
            insecure_plaintext,
            bearer: bearer.map(Arc::from),
            cache: Arc::default(),
            epochs: Arc::clone(&epochs),
            writer: Arc::from(WRITER),
            quotas: Arc::default(),
        };
        let driven = Driven { conversation: Postgres::new(setup), out: Out::default(), told: 0 };
        Self { driven: Mutex::new(driven), epochs, hold_journal }
    }

    #[pyo3(signature = (data, at = 0))]
    fn client<'py>(&self, py: Python<'py>, data: &[u8], at: u64) -> Turn<'py> {
        if data.is_empty() {
            return Err(native("a piece of bytes is never empty"));
        }
        self.turn(py, Event::ClientBytes(data), at)
    }

    #[pyo3(signature = (at = 0, alpn = "", certificates = None))]
    fn client_tls<'py>(
        &self,
        py: Python<'py>,
        at: u64,
        alpn: &str,
        certificates: Option<Vec<Vec<u8>>>,
    ) -> Turn<'py> {
        let shown = certificates.unwrap_or_default();
        let facts = TlsFacts { alpn: alpn.to_owned(), shown, ..tls_facts() };
        self.turn(py, Event::ClientTls(facts), at)
    }

    #[pyo3(signature = (at = 0))]
    fn client_closed<'py>(&self, py: Python<'py>, at: u64) -> Turn<'py> {
        self.turn(py, Event::ClientClosed, at)
    }

    #[pyo3(signature = (at = 0))]
    fn upstream_open<'py>(&self, py: Python<'py>, at: u64) -> Turn<'py> {
        self.turn(py, Event::UpstreamOpen, at)
    }

    #[pyo3(signature = (at = 0, end_point = None))]
    fn upstream_tls<'py>(&self, py: Python<'py>, at: u64, end_point: Option<&[u8]>) -> Turn<'py> {
        let end_point = end_point.unwrap_or_default().to_vec();
        self.turn(py, Event::UpstreamTls(TlsFacts { end_point, ..tls_facts() }), at)
    }

    #[pyo3(signature = (words, at = 0))]
    fn upstream_failed<'py>(&self, py: Python<'py>, words: String, at: u64) -> Turn<'py> {
        self.turn(py, Event::UpstreamFailed(words), at)
    }

    #[pyo3(signature = (data, at = 0))]
    fn upstream<'py>(&self, py: Python<'py>, data: &[u8], at: u64) -> Turn<'py> {
        if data.is_empty() {
            return Err(native("a piece of bytes is never empty"));
        }
        self.turn(py, Event::UpstreamBytes(data), at)
    }

    #[pyo3(signature = (at = 0))]
    fn upstream_closed<'py>(&self, py: Python<'py>, at: u64) -> Turn<'py> {
        self.turn(py, Event::UpstreamClosed, at)
    }

    #[pyo3(signature = (ticket, admission, at = 0))]
    fn admit<'py>(
        &self,
        py: Python<'py>,
        ticket: u64,
        admission: &Admission,
        at: u64,
    ) -> Turn<'py> {
        let answer = Answer::Admitted(Box::new(admission.0.clone()));
        self.turn(py, Event::Answered(ticket, answer), at)
    }

    #[pyo3(signature = (ticket, refusal, at = 0))]
    fn refuse<'py>(&self, py: Python<'py>, ticket: u64, refusal: &Refusal, at: u64) -> Turn<'py> {
        self.turn(py, Event::Answered(ticket, Answer::Refused(refusal.0.clone())), at)
    }

    #[pyo3(signature = (ticket, verdict, at = 0))]
    fn answer<'py>(&self, py: Python<'py>, ticket: u64, verdict: &Verdict, at: u64) -> Turn<'py> {
        let answer = Answer::Verdict(Arc::clone(&verdict.0));
        self.turn(py, Event::Answered(ticket, answer), at)
    }

    #[pyo3(signature = (ticket, verdict, notice, at = 0))]
    fn hold<'py>(
        &self,
        py: Python<'py>,
        ticket: u64,
        verdict: &Verdict,
        notice: &Refusal,
        at: u64,
    ) -> Turn<'py> {
        self.turn(py, Event::Answered(ticket, Answer::Held(held(verdict, notice, 0))), at)
    }

    #[pyo3(signature = (ticket, at = 0))]
    fn resume<'py>(&self, py: Python<'py>, ticket: u64, at: u64) -> Turn<'py> {
        self.turn(py, Event::Answered(ticket, Answer::Resume), at)
    }

    #[pyo3(signature = (ticket, at = 0))]
    fn note<'py>(&self, py: Python<'py>, ticket: u64, at: u64) -> Turn<'py> {
        self.turn(py, Event::Answered(ticket, Answer::Noted), at)
    }

    #[pyo3(signature = (ticket, at = 0))]
    fn silence<'py>(&self, py: Python<'py>, ticket: u64, at: u64) -> Turn<'py> {
        self.turn(py, Event::Answered(ticket, Answer::Silence), at)
    }

    #[pyo3(signature = (at = 0))]
    fn written<'py>(&self, py: Python<'py>, at: u64) -> Turn<'py> {
        let mut driven = self.lock();
        driven.write(moment(at));
        driven.tell(py)
    }

    #[pyo3(signature = (at = 0))]
    fn tick<'py>(&self, py: Python<'py>, at: u64) -> Turn<'py> {
        self.turn(py, Event::Tick, at)
    }

    #[pyo3(signature = (cause, note = "", at = 0))]
    fn end<'py>(&self, py: Python<'py>, cause: &str, note: &str, at: u64) -> Turn<'py> {
        let cause = Cause::with(cause::word(cause)?, note);
        self.turn(py, Event::End(cause), at)
    }

    #[pyo3(signature = (at = 0))]
    fn signal<'py>(&self, py: Python<'py>, at: u64) -> Turn<'py> {
        self.turn(py, Event::Signal, at)
    }

    fn raise_epoch(&self, kind: &str) -> PyResult<()> {
        self.epochs.raise(epoch(kind)?);
        Ok(())
    }

    fn wants_client(&self) -> bool {
        self.lock().conversation.wants_client()
    }

    fn wants_upstream(&self) -> bool {
        self.lock().conversation.wants_upstream()
    }
}

impl PostgresConversation {
    fn turn<'py>(&self, py: Python<'py>, event: Event<'_>, at: u64) -> Turn<'py> {
        let mut driven = self.lock();
        let Driven { conversation, out, .. } = &mut *driven;
        conversation.on(event, moment(at), out);
        if self.hold_journal && !driven.out.batch().is_empty() {
            return driven.tell_entries(py);
        }
        let mut told = Vec::new();
        while !driven.out.batch().is_empty() {
            told.extend(driven.tell_entries(py)?);
            driven.write(moment(at));
        }
        told.extend(driven.tell(py)?);
        Ok(told)
    }

    fn lock(&self) -> MutexGuard<'_, Driven> {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driven {
    /// Takes the batch as written and gives the token.
    fn write(&mut self, at: Moment) {
        if self.out.batch().is_empty() {
            return;
        }
        self.told = 0;
        if let Some(token) = self.out.batch_mut().written(Durability::Disk) {
            self.conversation.on(Event::Written(token), at, &mut self.out);
        }
    }

    /// The entries that Python has not seen.
    fn tell_entries<'py>(&mut self, py: Python<'py>) -> Turn<'py> {
        let bytes = self.out.batch().bytes();
        let fresh = bytes.get(self.told..).unwrap_or_default();
        self.told = bytes.len();
        entries(fresh)
            .map(|entry| {
                let (leaf, private) = split(entry).ok_or_else(|| native("an entry is broken"))?;
                ("journal", PyBytes::new(py, leaf), PyBytes::new(py, private)).into_pyobject(py)
            })
            .collect()
    }

    /// Frames, bytes and commands of the turn, in the carrier's order. Entries that `written`
    /// brought come first.
    fn tell<'py>(&mut self, py: Python<'py>) -> Turn<'py> {
        let mut told = self.tell_entries(py)?;
        let mut frames = self.out.frame_bytes();
        for frame in self.out.frames() {
            let length = usize::try_from(frame.len).map_err(native)?;
            let (bytes, rest) =
                frames.split_at_checked(length).ok_or_else(|| native("a frame is broken"))?;
            frames = rest;
            let direction = char::from(frame.direction);
            told.push(("record", direction, PyBytes::new(py, bytes)).into_pyobject(py)?);
        }
        for (side, bytes) in [("client", self.out.client()), ("upstream", self.out.upstream())] {
            if !bytes.is_empty() {
                told.push((side, PyBytes::new(py, bytes)).into_pyobject(py)?);
            }
        }
        for command in self.out.commands.drain(..) {
            told.push(tuple(py, command)?);
        }
        self.out.clear();
        Ok(told)
    }
}

fn tuple(py: Python<'_>, command: Command) -> PyResult<Bound<'_, PyTuple>> {
    match command {
        Command::StartClientTls(begun) => {
            ("start_client_tls", PyBytes::new(py, &begun)).into_pyobject(py)
        }
        Command::NotSecured(fault) => {
            let (check, reason) = fault.words();
            ("not_secured", check, reason).into_pyobject(py)
        }
        Command::Dial(dial) => ("dial", dial.host, dial.port).into_pyobject(py),
        Command::StartUpstreamTls(demand) => {
            ("start_upstream_tls", demand.server_name).into_pyobject(py)
        }
        Command::Ask(ticket, Ask::Hello(hello)) => {
            let greeting = Greeting { listener: 0, peer: (String::new(), 0), hello: *hello };
            ("ask", ticket, Hello::new(ticket, greeting)).into_pyobject(py)
        }
        Command::Ask(ticket, Ask::Question(question)) => {
            let parsed = parse(&question);
            ("ask", ticket, Question::new(ticket, Arc::new(*question), parsed)).into_pyobject(py)
        }
        Command::Ask(ticket, Ask::Cancel(key)) => {
            ("cancel", ticket, PyBytes::new(py, &key)).into_pyobject(py)
        }
        Command::Forget(ticket) => ("forget", ticket).into_pyobject(py),
        Command::OpenRecording { session, .. } => ("open_recording", session).into_pyobject(py),
        Command::Register(key) => ("register", key).into_pyobject(py),
        Command::Signal(key) => ("signal", key).into_pyobject(py),
        Command::Errand(errand) => ("errand", errand.bytes).into_pyobject(py),
        Command::CatalogueChanged(session) => ("catalogue_changed", session).into_pyobject(py),
        Command::End(cause, ended) => {
            ("end", cause.word, cause.note, Ended::from(*ended)).into_pyobject(py)
        }
    }
}

/// `leaf length u32 BE | leaf | private part`.
fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entry.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn moment(at_us: u64) -> Moment {
    Moment { unix_us: at_us, mono_us: at_us }
}

/// Facts of a handshake that never was.
fn tls_facts() -> TlsFacts {
    let cipher = "TLS_AES_256_GCM_SHA384".to_owned();
    TlsFacts { version: "TLSv1.3".to_owned(), cipher, ..TlsFacts::default() }
}

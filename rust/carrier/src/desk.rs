// SPDX-License-Identifier: Apache-2.0
//! The desk's side of the carrier: what sessions ask, what Python has to know, and the answers.
//!
//! Sessions put and never wait. Python is woken by a descriptor, drains, and answers by ticket.
//! Questions take turns between principals, twice: before the parser and before Python. A ticket
//! that is spent, forgotten or of another kind answers nothing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use gatebook_wire::{Admission, Answer, Ended, Hello, Question};

use crate::fair::Fair;
use crate::mailbox::Mailbox;
use crate::parser::Parsed;
use crate::registry::Registry;

mod handshakes;

use handshakes::Handshakes;
pub use handshakes::NotSecured;

/// LIMIT: tickets open at once over all sessions; the next one is answered with silence.
pub(crate) const OPEN_TICKETS: usize = 10_000;
/// LIMIT: notices that nobody drains; ends of connections that never became a session are
/// dropped behind it, ends of sessions are as many as Python admitted.
const WAITING_NOTICES: usize = 10_000;
/// LIMIT: different faults remembered so that each is told once.
const KNOWN_FAULTS: usize = 1_000;

/// A connection that wants to become a session.
#[derive(Debug)]
pub struct Greeting {
    /// Listener id.
    pub listener: u32,
    /// Address and port of the peer.
    pub peer: (String, u16),
    /// What it said.
    pub hello: Hello,
}

/// A connection that presents a cancel key.
#[derive(Debug)]
pub struct Cancelling {
    /// Address and port of the peer.
    pub peer: (String, u16),
    /// The session that has the key, if any has. The key itself does not come this far.
    pub session: Option<String>,
}

/// What a session puts to the desk.
#[derive(Debug)]
pub enum Asked {
    /// May this connection become a session?
    Hello(Box<Greeting>),
    /// May this message run?
    Question(Arc<Question>),
    /// Enter that a key was presented.
    Cancel(Box<Cancelling>),
}

/// What Python drains.
#[derive(Debug)]
pub enum Item {
    /// Answer with [`Desk::admit`] or [`Answer::Refused`].
    Hello(u64, Box<Greeting>),
    /// Answer with [`Answer::Verdict`], or with [`Answer::Held`] and later with [`Answer::Resume`].
    Question(u64, Arc<Question>, Parsed),
    /// Answer with [`Answer::Noted`].
    Cancel(u64, Box<Cancelling>),
    /// A client never came inside TLS.
    NotSecured(NotSecured),
    /// So many more of whom nothing but the check that failed was kept.
    NotSecuredBeyond(&'static str, u64),
    /// A connection is over.
    Ended(Box<Ended>),
    /// Nobody waits for this ticket any more.
    Forgotten(u64),
    /// A statement of this session may have changed its database's catalogue.
    CatalogueChanged(String),
    /// Something for the operator: what, and a note.
    Fault(String, String),
}

#[derive(Debug)]
enum Stage {
    /// Waits for the parser, or is being parsed.
    Unparsed(Arc<Question>),
    /// Waits for Python.
    Ready(Item),
    /// Python has it.
    Drained,
}

/// What was asked, and so which answers fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hello,
    Question,
    Cancel,
}

#[derive(Debug)]
struct Open {
    mailbox: Arc<Mailbox>,
    /// The conversation's own ticket.
    local: u64,
    key: Arc<str>,
    kind: Kind,
    stage: Stage,
    /// A person has to consent.
    is_held: bool,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<u64, Open>,
    unparsed: Fair,
    ready: Fair,
    notices: VecDeque<Item>,
    handshakes: Handshakes,
    faults: HashSet<(String, String)>,
    signalled: bool,
    closed: bool,
    asked: u64,
    silenced: u64,
}

/// The queue between sessions and Python. All methods may be called from any thread.
#[derive(Debug)]
pub struct Desk {
    state: Mutex<State>,
    parse: Condvar,
    /// Holds one byte while something waits.
    bell: UnixStream,
    ear: UnixStream,
}

impl Desk {
    /// An empty desk; fails only where the process has no descriptors left.
    pub(crate) fn new() -> io::Result<Self> {
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self { state: Mutex::default(), parse: Condvar::new(), bell, ear })
    }

    /// Readable while something waits in [`Desk::drain`].
    pub fn descriptor(&self) -> RawFd {
        self.ear.as_raw_fd()
    }

    /// Takes up to `most` things: notices, asks and failed handshakes in turn, asks fair over
    /// principals.
    pub fn drain(&self, most: usize) -> Vec<Item> {
        let mut state = self.lock();
        let mut drained = Vec::new();
        while drained.len() < most {
            let before = drained.len();
            drained.extend(state.notices.pop_front());
            if drained.len() < most {
                drained.extend(state.next_ready());
            }
            if drained.len() < most {
                drained.extend(state.handshakes.take());
            }
            if drained.len() == before {
                break;
            }
        }
        let is_empty =
            state.notices.is_empty() && state.ready.is_empty() && state.handshakes.is_empty();
        if state.signalled && is_empty {
            state.signalled = false;
            // One byte at most was rung; a failed read leaves a descriptor that wakes once more.
            let _ = (&self.ear).read(&mut [0; 8]);
        }
        drained
    }

    /// Lets a connection in and makes it known to `end` under its session id.
    ///
    /// Every admission is followed by one [`Item::Ended`], also where nobody waits any more.
    pub(crate) fn admit(&self, ticket: u64, admission: Admission, registry: &Registry) -> bool {
        let open = self.lock().open.remove(&ticket);
        let session = admission.session.clone();
        let is_in = match open {
            Some(open) if open.kind == Kind::Hello => {
                // Named before it can end, so that it never stays named after.
                registry.name(&session, &open.mailbox);
                let is_in = open.mailbox.answer(open.local, Answer::Admitted(Box::new(admission)));
                if !is_in {
                    registry.unname(&session);
                }
                is_in
            }
            Some(open) => {
                open.mailbox.answer(open.local, Answer::Silence);
                false
            }
            None => false,
        };
        if !is_in {
            let cause = "not admitted".to_owned();
            self.ended(Box::new(Ended { session, cause, ..Ended::default() }));
        }
        is_in
    }

    /// Answers a ticket; an answer of the wrong kind is silence. False if nobody waits, if what is to
    /// be held is held already, and if what is to be resumed is not.
    pub(crate) fn answer(&self, ticket: u64, answer: Answer) -> bool {
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&ticket) else { return false };
        match &answer {
            Answer::Held(_) if open.kind == Kind::Question => {
                if std::mem::replace(&mut open.is_held, true) {
                    return false;
                }
                let (mailbox, local) = (Arc::clone(&open.mailbox), open.local);
                drop(state);
                return mailbox.answer(local, answer); // it stays open
            }
            Answer::Resume if !open.is_held => return false,
            _ => {}
        }
        let Some(open) = state.open.remove(&ticket) else { return false };
        drop(state);
        let fits = match &answer {
            Answer::Admitted(_) | Answer::Refused(_) => open.kind == Kind::Hello,
            Answer::Verdict(_) | Answer::Resume => open.kind == Kind::Question,
            Answer::Held(_) => false,
            Answer::Noted => open.kind == Kind::Cancel,
            Answer::Silence => true,
        };
        open.mailbox.answer(open.local, if fits { answer } else { Answer::Silence })
    }

    /// Puts an ask; `None` if too much waits, which the caller answers with silence.
    ///
    /// `key` is who takes turns: the principal, or the peer before it is known.
    pub(crate) fn ask(
        &self,
        mailbox: &Arc<Mailbox>,
        local: u64,
        key: Arc<str>,
        what: Asked,
    ) -> Option<u64> {
        let mut state = self.lock();
        state.asked += 1;
        if state.closed || state.open.len() >= OPEN_TICKETS {
            state.silenced += 1;
            return None;
        }
        state.next += 1;
        let ticket = state.next;
        let mailbox = Arc::clone(mailbox);
        let (kind, begins) = match what {
            Asked::Hello(greeting) => (Kind::Hello, Stage::Ready(Item::Hello(ticket, greeting))),
            Asked::Question(question) => (Kind::Question, Stage::Unparsed(question)),
            Asked::Cancel(cancel) => (Kind::Cancel, Stage::Ready(Item::Cancel(ticket, cancel))),
        };
        if kind == Kind::Question {
            state.unparsed.push(&key, ticket);
            self.parse.notify_one();
        } else {
            state.ready.push(&key, ticket);
            self.ring(&mut state);
        }
        let open = Open { mailbox, local, key, kind, stage: begins, is_held: false };
        state.open.insert(ticket, open);
        Some(ticket)
    }

    /// Nobody waits for this ticket any more; Python is told only if it has it.
    pub(crate) fn forget(&self, ticket: u64) {
        let mut state = self.lock();
        let Some(open) = state.open.remove(&ticket) else { return };
        match open.stage {
            Stage::Unparsed(_) => state.unparsed.remove(&open.key, ticket),
            Stage::Ready(_) => state.ready.remove(&open.key, ticket),
            Stage::Drained => self.notice(&mut state, Item::Forgotten(ticket)),
        }
    }

    /// Counts a ticket whose deadline passed, and forgets it.
    pub(crate) fn give_up(&self, ticket: u64) {
        self.lock().silenced += 1;
        self.forget(ticket);
    }

    /// The next question for a parser thread; blocks, `None` once the desk is closed.
    pub(crate) fn next_unparsed(&self) -> Option<(u64, Arc<Question>)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            while let Some(ticket) = state.unparsed.pop() {
                if let Some(Open { stage: Stage::Unparsed(question), .. }) = state.open.get(&ticket)
                {
                    return Some((ticket, Arc::clone(question)));
                }
            }
            state = self.parse.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A question is parsed, or its time for that is over: it waits for Python now. The first of
    /// the two counts.
    pub(crate) fn parsed(&self, ticket: u64, parsed: Parsed) {
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&ticket) else { return };
        let Stage::Unparsed(question) = &open.stage else { return };
        let question = Arc::clone(question);
        open.stage = Stage::Ready(Item::Question(ticket, question, parsed));
        let key = Arc::clone(&open.key);
        state.unparsed.remove(&key, ticket);
        state.ready.push(&key, ticket);
        self.ring(&mut state);
    }

    /// A connection is over.
    pub(crate) fn ended(&self, ended: Box<Ended>) {
        let mut state = self.lock();
        if !ended.session.is_empty() || state.notices.len() < WAITING_NOTICES {
            self.notice(&mut state, Item::Ended(ended));
        }
    }

    /// A client never came inside TLS.
    pub(crate) fn not_secured(&self, failed: NotSecured) {
        let mut state = self.lock();
        state.handshakes.put(failed);
        self.ring(&mut state);
    }

    /// The catalogue of this session's database may have changed.
    pub(crate) fn catalogue_changed(&self, session: String) {
        let mut state = self.lock();
        if state.notices.len() < WAITING_NOTICES {
            self.notice(&mut state, Item::CatalogueChanged(session));
        }
    }

    /// Tells the operator, once per what and note. True the first time.
    pub(crate) fn fault(&self, what: &str, note: &str) -> bool {
        let mut state = self.lock();
        let fault = (what.to_owned(), note.to_owned());
        if state.faults.len() >= KNOWN_FAULTS || !state.faults.insert(fault.clone()) {
            return false;
        }
        self.notice(&mut state, Item::Fault(fault.0, fault.1));
        true
    }

    /// Nothing is asked any more; parser threads end. What waits can still be drained.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.parse.notify_all();
    }

    /// Asks so far, silences so far, tickets open now.
    pub(crate) fn counts(&self) -> (u64, u64, usize) {
        let state = self.lock();
        (state.asked, state.silenced, state.open.len())
    }

    fn notice(&self, state: &mut State, item: Item) {
        state.notices.push_back(item);
        self.ring(state);
    }

    fn ring(&self, state: &mut State) {
        if !state.signalled {
            // The socket is empty, so one byte always fits.
            state.signalled = (&self.bell).write(&[1]).is_ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_ready(&mut self) -> Option<Item> {
        while let Some(ticket) = self.ready.pop() {
            let Some(open) = self.open.get_mut(&ticket) else { continue };
            if let Stage::Ready(item) = std::mem::replace(&mut open.stage, Stage::Drained) {
                return Some(item);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;

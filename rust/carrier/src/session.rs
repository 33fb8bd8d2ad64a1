// SPDX-License-Identifier: Apache-2.0
//! One task per connection: turns readiness, letters and time into events of its conversation.
//!
//! Each round waits for one event ([`Session::poll_event`]), gives it to the conversation while
//! the bytes still lie in the thread's read buffer, and carries out what came of it
//! (`turn`). Writing never blocks reading the other side: bytes that a socket does not take wait
//! in its [`Side`], and reading stops only where that much waits or the conversation says so.

use std::future::{poll_fn, Future};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};

use gatebook_wire::{Answer, Cause, Conversation, Ended, Event, Out};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use crate::asks::Asks;
use crate::mailbox::{Letter, Mailbox};
use crate::pipes::{Pipe, Socket};
use crate::pool;
use crate::recorder::RecordingHandle;
use crate::shared::{EvidenceFault, Shared, EVIDENCE_FAILED};
use crate::side::{Side, Worked};

/// A conversation gets a tick this often.
const TICK_US: u64 = 500_000;

/// A wait for room in the recorder's queue.
pub(crate) type Room = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reading one side.
type Read = fn(&mut Session, &mut Context<'_>, bool) -> Poll<()>;

/// A connection and everything it holds.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) conversation: Box<dyn Conversation>,
    pub(crate) client: Side,
    pub(crate) upstream: Side,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) listener: u32,
    pub(crate) peer: SocketAddr,
    /// The listener's TLS as it was when the connection came.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Output of the turn under way.
    pub(crate) out: Option<Out>,
    pub(crate) recording: Option<RecordingHandle>,
    /// Set while the recorder takes no more.
    pub(crate) room: Option<Room>,
    pub(crate) asks: Asks,
    /// Keys under which other connections find this one.
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) errands: Vec<JoinHandle<()>>,
    /// Set by the conversation's end.
    pub(crate) ended: Option<Box<Ended>>,
    /// The session's id once it is admitted.
    pub(crate) name: String,
    pub(crate) life: Life,
    is_upstream_first: bool,
    number: u64,
    permit: Option<OwnedSemaphorePermit>,
    tick_us: u64,
    timer: Pin<Box<Sleep>>,
    pub(crate) moved: Moved,
}

/// How far a session is towards its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Served.
    Serving,
    /// Ended once nothing runs.
    Draining,
    /// `Event::End` was given: what follows are the gate's own last words.
    Ending,
    /// The desk was told.
    Gone,
}

/// Bytes that passed since the last tick.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub(crate) client_in: u64,
    pub(crate) client_out: u64,
    pub(crate) upstream_in: u64,
    pub(crate) upstream_out: u64,
}

impl Session {
    /// A connection that was just accepted. `permit` is given back at admission.
    pub(crate) fn new(
        shared: Arc<Shared>,
        conversation: Box<dyn Conversation>,
        stream: TcpStream,
        listener: u32,
        peer: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let (number, mailbox) = shared.registry.enter();
        let tick_us = shared.clock.now().mono_us + TICK_US;
        let timer = Box::pin(tokio::time::sleep_until(shared.clock.instant(tick_us).into()));
        Self {
            shared,
            conversation,
            client: Side::open(Pipe::Plain(Socket::Tcp(stream))),
            upstream: Side::default(),
            mailbox,
            listener,
            peer,
            tls,
            out: None,
            recording: None,
            room: None,
            asks: Asks::default(),
            keys: Vec::new(),
            errands: Vec::new(),
            ended: None,
            name: String::new(),
            life: Life::Serving,
            is_upstream_first: false,
            number,
            permit: Some(permit),
            tick_us,
            timer,
            moved: Moved::default(),
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn run(mut self) {
        while self.ended.is_none() {
            poll_fn(|cx| self.poll_event(cx)).await;
            self.settle().await;
            if self.life == Life::Draining && self.conversation.is_idle() {
                self.mailbox.end(Cause::of("gate stopping"));
            }
        }
        self.close().await;
    }

    /// Ready once an event was given to the conversation, or nothing but bookkeeping came of it.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(letter) = self.mailbox.poll(cx) {
            self.read_letter(letter);
            return Poll::Ready(());
        }
        if self.poll_work(cx).is_ready() || self.poll_flush(cx).is_ready() {
            return Poll::Ready(());
        }
        let has_room = self.poll_room(cx);
        // Whoever was read last time waits this time: a flood of one side never silences the other.
        self.is_upstream_first = !self.is_upstream_first;
        let sides: [Read; 2] = if self.is_upstream_first {
            [Self::poll_upstream, Self::poll_client]
        } else {
            [Self::poll_client, Self::poll_upstream]
        };
        if sides.iter().any(|read| read(self, cx, has_room).is_ready()) {
            return Poll::Ready(());
        }
        self.poll_timer(cx)
    }

    fn read_letter(&mut self, letter: Letter) {
        match letter {
            Letter::End(cause) => {
                self.life = Life::Ending;
                self.give(Event::End(cause));
            }
            Letter::Answered(local, answer) => {
                if let Answer::Admitted(admission) = &answer {
                    self.name.clone_from(&admission.session);
                    self.permit = None;
                    self.shared.tally.admitted.fetch_add(1, Ordering::Relaxed);
                }
                let wait_us = match &answer {
                    Answer::Held(held) => Some(held.wait_us),
                    _ => None,
                };
                self.give(Event::Answered(local, answer));
                match wait_us {
                    Some(wait_us) => self.waits_for_person(local, wait_us),
                    None => self.answered(local),
                }
            }
            Letter::Signal => self.give(Event::Signal),
            Letter::Drain if self.life == Life::Serving => self.life = Life::Draining,
            Letter::Drain => {}
        }
    }

    /// The ticket stays open for so long.
    fn waits_for_person(&mut self, local: u64, wait_us: u64) {
        let now = self.shared.clock.now().mono_us;
        self.asks.held(local, now.saturating_add(wait_us));
        self.arm();
    }

    /// The end of a dial or a handshake.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(worked) = self.client.poll_work(cx) {
            if let Worked::Failed(failure) = &worked {
                self.not_secured(failure.fault);
            }
            self.give(match worked {
                Worked::Tls(facts) => Event::ClientTls(facts),
                Worked::Dialled | Worked::Failed(_) => Event::ClientClosed,
            });
            return Poll::Ready(());
        }
        if let Poll::Ready(worked) = self.upstream.poll_work(cx) {
            self.give(match worked {
                Worked::Tls(facts) => Event::UpstreamTls(facts),
                Worked::Dialled => Event::UpstreamOpen,
                Worked::Failed(failure) => Event::UpstreamFailed(failure.words),
            });
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Goes on sending; ready only where that lost the client.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // An upstream that takes no more may still have something to say: its end is met reading.
        let _ = self.upstream.poll_flush(cx);
        if let Poll::Ready(Err(_)) = self.client.poll_flush(cx) {
            self.give(Event::ClientClosed);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(room) = &mut self.room {
            if room.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.room = None;
        }
        true
    }

    fn poll_client(&mut self, cx: &mut Context<'_>, has_room: bool) -> Poll<()> {
        if !has_room || self.upstream.is_full() || !self.conversation.wants_client() {
            return Poll::Pending;
        }
        let Self { client, conversation, out, shared, moved, .. } = self;
        client.poll_read(cx, |bytes| {
            let event =
                if bytes.is_empty() { Event::ClientClosed } else { Event::ClientBytes(bytes) };
            moved.client_in += wide(bytes.len());
            conversation.on(event, shared.clock.now(), out.get_or_insert_with(pool::take));
        })
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>, has_room: bool) -> Poll<()> {
        if !has_room || self.client.is_full() || !self.conversation.wants_upstream() {
            return Poll::Pending;
        }
        let Self { upstream, conversation, out, shared, moved, .. } = self;
        upstream.poll_read(cx, |bytes| {
            let event =
                if bytes.is_empty() { Event::UpstreamClosed } else { Event::UpstreamBytes(bytes) };
            moved.upstream_in += wide(bytes.len());
            conversation.on(event, shared.clock.now(), out.get_or_insert_with(pool::take));
        })
    }

    /// Ticks, and deadlines of what was asked.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let now = self.shared.clock.now().mono_us;
        self.asks.hurry(&self.shared.desk, now);
        if let Some(local) = self.asks.give_up(&self.shared.desk, now) {
            self.mailbox.answer(local, Answer::Silence);
        }
        if now >= self.tick_us {
            self.tick_us = now + TICK_US;
            self.count();
            self.shared.journal.settle(); // a thread that never sleeps
            self.check_evidence();
            self.give(Event::Tick);
        }
        self.arm();
        Poll::Ready(())
    }

    /// Ends a session that has nothing to write just now when evidence cannot be written.
    fn check_evidence(&mut self) {
        let recording = self.recording.as_ref().and_then(RecordingHandle::failed);
        let fault = match (self.shared.journal.failure(), recording) {
            (Some(fault), _) => EvidenceFault::journal(fault),
            (None, Some(words)) => EvidenceFault::recording(words),
            (None, None) => return,
        };
        self.shared.evidence_failed(&fault);
        self.mailbox.end(Cause::with(EVIDENCE_FAILED, fault.note));
    }

    /// Sets the timer to whatever is due next.
    pub(crate) fn arm(&mut self) {
        let next_us = self.asks.due_us().map_or(self.tick_us, |due| due.min(self.tick_us));
        let next = Instant::from_std(self.shared.clock.instant(next_us));
        if self.timer.deadline() != next {
            self.timer.as_mut().reset(next);
        }
    }

    fn give(&mut self, event: Event<'_>) {
        let out = self.out.get_or_insert_with(pool::take);
        self.conversation.on(event, self.shared.clock.now(), out);
    }

    /// Adds what passed to the carrier's counters.
    fn count(&mut self) {
        let add = |counter: &AtomicU64, moved: &mut u64| {
            counter.fetch_add(std::mem::take(moved), Ordering::Relaxed);
        };
        let tally = &self.shared.tally;
        add(&tally.client_in, &mut self.moved.client_in);
        add(&tally.client_out, &mut self.moved.client_out);
        add(&tally.upstream_in, &mut self.moved.upstream_in);
        add(&tally.upstream_out, &mut self.moved.upstream_out);
    }

    /// Tells the desk that the connection is over and takes it off every list. Once, and under
    /// the name by which the desk admitted it, even if the conversation never heard of that.
    pub(crate) fn leave(&mut self, mut ended: Box<Ended>) {
        if std::mem::replace(&mut self.life, Life::Gone) == Life::Gone {
            return;
        }
        self.count();
        self.asks.forget_all(&self.shared.desk);
        for (_, answer) in self.mailbox.close() {
            if let Answer::Admitted(admission) = answer {
                self.name.clone_from(&admission.session);
            }
        }
        ended.session.clone_from(&self.name);
        self.shared.desk.ended(ended);
        self.shared.registry.leave(self.number, &self.name, &self.keys);
    }
}

impl Drop for Session {
    /// A task that panicked, or that a stopping runtime dropped, still ends its session: the
    /// desk hears of it, and its recording is sealed behind it.
    fn drop(&mut self) {
        if self.life == Life::Gone {
            return;
        }
        if std::thread::panicking() {
            self.shared.desk.fault("session", "a session's task panicked; the session was ended");
        }
        let cause = "gateway fault".to_owned();
        self.leave(Box::new(Ended { cause, ..Ended::default() }));
    }
}

/// A length as a counter counts it.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

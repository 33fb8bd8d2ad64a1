// SPDX-License-Identifier: Apache-2.0
//! One side of a session: its pipe, the bytes that wait for it, and work that replaces the pipe.
//!
//! Sending never waits: what the socket does not take stays in `pending`, and whoever produces
//! more looks at [`Side::is_full`] first. A side can be lost for writing and still be read, so
//! that the last words of a peer which closed are not missed.

use std::cell::RefCell;
use std::future::{poll_fn, Future};
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use gatebook_wire::{TlsFacts, TlsFault};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::pipes::Pipe;

/// LIMIT: bytes that wait for a side before nothing more is read for it.
pub(crate) const PENDING_BYTES: usize = 256 * 1024;
/// Memory that an idle side keeps.
const KEPT_BYTES: usize = 4 * 1024;
/// One read; per thread, not per session.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What became of work on a pipe.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The dial succeeded.
    Dialled(Pipe),
    /// The handshake succeeded.
    Tls(Pipe, TlsFacts),
}

/// Why work ended in no pipe.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For the operator, of an upstream.
    pub(crate) words: String,
    /// For the book, of a client.
    pub(crate) fault: TlsFault,
}

impl From<String> for Failure {
    fn from(words: String) -> Self {
        Self { words, fault: TlsFault::Closed }
    }
}

impl From<TlsFault> for Failure {
    fn from(fault: TlsFault) -> Self {
        Self { words: String::new(), fault }
    }
}

/// Work that ends in a new pipe, or in none.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Opened, Failure>> + Send>>;

/// What work brought, once its pipe is in place.
#[derive(Debug)]
pub(crate) enum Worked {
    /// Connected, in plaintext.
    Dialled,
    /// TLS is spoken from here.
    Tls(TlsFacts),
    /// Nothing is connected.
    Failed(Failure),
}

/// One side of a session.
#[derive(Default)]
pub(crate) struct Side {
    pipe: Option<Pipe>,
    work: Option<Work>,
    pending: Vec<u8>,
    sent: usize,
    is_readable: bool,
    is_lost: bool,
}

impl Side {
    /// A side that is connected.
    pub(crate) fn open(pipe: Pipe) -> Self {
        Self { pipe: Some(pipe), is_readable: true, ..Self::default() }
    }

    /// Starts work that needs no pipe (a dial).
    pub(crate) fn start(&mut self, work: Work) {
        self.pipe = None;
        self.work = Some(work);
    }

    /// Sends what is pending, then starts work on the pipe (a handshake).
    ///
    /// `bound` covers both. Without a pipe the work fails at once.
    pub(crate) fn start_on_pipe<F>(
        &mut self,
        bound: std::time::Duration,
        handshake: impl FnOnce(Pipe) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<Opened, Failure>> + Send,
    {
        let pending = std::mem::take(&mut self.pending);
        let sent = std::mem::take(&mut self.sent);
        let pipe = self.pipe.take();
        let work = async move {
            let mut pipe = pipe.ok_or_else(|| "nothing is connected".to_owned())?;
            pipe.write_all(pending.get(sent..).unwrap_or_default())
                .await
                .map_err(|error| error.to_string())?;
            handshake(pipe).await
        };
        self.work = Some(Box::pin(async move {
            let words = "no answer in time".to_owned();
            let late = Failure { words, fault: TlsFault::Timeout };
            tokio::time::timeout(bound, work).await.map_err(|_| late)?
        }));
    }

    /// The end of the work under way; pending for ever where there is none.
    pub(crate) fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Worked> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let opened = ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(match opened {
            Ok(Opened::Dialled(pipe)) => self.put(pipe, Worked::Dialled),
            Ok(Opened::Tls(pipe, facts)) => self.put(pipe, Worked::Tls(facts)),
            Err(failure) => {
                self.is_readable = false;
                Worked::Failed(failure)
            }
        })
    }

    fn put(&mut self, pipe: Pipe, worked: Worked) -> Worked {
        self.pipe = Some(pipe);
        self.is_readable = true;
        self.is_lost = false;
        worked
    }

    /// Sends what the socket takes now and keeps the rest.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.is_lost {
            return;
        }
        poll_fn(|cx| {
            let mut rest = bytes;
            if self.waiting() == 0 && self.work.is_none() {
                rest = self.write_now(cx, bytes);
            }
            self.pending.extend_from_slice(rest);
            Poll::Ready(())
        })
        .await;
    }

    /// Writes until the socket is full; the rest. A failed write loses the side.
    fn write_now<'a>(&mut self, cx: &mut Context<'_>, mut bytes: &'a [u8]) -> &'a [u8] {
        let Some(pipe) = &mut self.pipe else { return bytes };
        while !bytes.is_empty() {
            match Pin::new(&mut *pipe).poll_write(cx, bytes) {
                Poll::Pending => return bytes,
                Poll::Ready(Ok(taken)) if taken > 0 => {
                    bytes = bytes.get(taken..).unwrap_or_default();
                }
                Poll::Ready(_) => {
                    self.lose();
                    return &[];
                }
            }
        }
        bytes
    }

    /// Goes on with what is pending. An error is told once, then the side is lost for writing.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(pipe) = &mut self.pipe else { return Poll::Ready(Ok(())) };
        while let Some(rest) = self.pending.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut *pipe).poll_write(cx, rest)) {
                Ok(taken) if taken > 0 => self.sent += taken,
                other => {
                    self.lose();
                    return Poll::Ready(other.and(Err(io::ErrorKind::WriteZero.into())));
                }
            }
        }
        if self.sent > 0 {
            self.pending.clear();
            self.pending.shrink_to(KEPT_BYTES);
            self.sent = 0;
        }
        if pipe.holds_back() {
            if let Err(error) = ready!(Pin::new(&mut *pipe).poll_flush(cx)) {
                self.lose();
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once into the thread's buffer and hands the bytes to `take`; empty at the end of
    /// the stream, which is told once. Pending for ever where nothing can be read.
    pub(crate) fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<T> {
        let Some(pipe) = self.pipe.as_mut().filter(|_| self.is_readable) else {
            return Poll::Pending;
        };
        READ.with_borrow_mut(|memory| {
            let mut buffer = ReadBuf::new(memory);
            let read = ready!(Pin::new(pipe).poll_read(cx, &mut buffer));
            // A broken stream ends like a closed one: the conversation judges what it has.
            let bytes = if read.is_ok() { buffer.filled() } else { &[] };
            if bytes.is_empty() {
                self.is_readable = false;
            }
            Poll::Ready(take(bytes))
        })
    }

    /// Bytes that wait for the socket.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.len().saturating_sub(self.sent)
    }

    /// Whether so much waits that nothing more should be read for this side.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting() > PENDING_BYTES
    }

    /// Whether the peer may still be sending.
    pub(crate) fn is_readable(&self) -> bool {
        self.is_readable && self.pipe.is_some()
    }

    /// Closes the sending direction; TLS says goodbye first. Errors are the peer's loss.
    pub(crate) async fn shut(&mut self) {
        if let Some(pipe) = &mut self.pipe {
            let _ = pipe.shutdown().await;
        }
    }

    fn lose(&mut self) {
        self.is_lost = true;
        self.pending = Vec::new();
        self.sent = 0;
    }
}

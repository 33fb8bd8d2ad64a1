// SPDX-License-Identifier: Apache-2.0
//! What others tell a session: answers of the desk, an end, a signal. Bounded by what it asked.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use gatebook_wire::{Answer, Cause};

/// One thing a session is told.
#[derive(Debug)]
pub(crate) enum Letter {
    /// End now.
    End(Cause),
    /// The desk's answer, by the conversation's own ticket.
    Answered(u64, Answer),
    /// Another connection presented this session's key.
    Signal,
    /// End as soon as nothing runs.
    Drain,
}

/// The box of one session. Signals and ends coalesce; answers are at most two per open ticket: a
/// hold, and what ends it.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Mail>,
}

#[derive(Debug, Default)]
struct Mail {
    end: Option<Cause>,
    answers: VecDeque<(u64, Answer)>,
    signal: bool,
    drain: bool,
    closed: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    /// Ends the session; the first cause stands. False if it is over already.
    pub(crate) fn end(&self, cause: Cause) -> bool {
        self.put(|mail| {
            mail.end.get_or_insert(cause);
        })
    }

    /// Delivers an answer. False if the session is over.
    pub(crate) fn answer(&self, ticket: u64, answer: Answer) -> bool {
        self.put(|mail| mail.answers.push_back((ticket, answer)))
    }

    /// Delivers a signal.
    pub(crate) fn signal(&self) -> bool {
        self.put(|mail| mail.signal = true)
    }

    /// Asks the session to end when nothing runs.
    pub(crate) fn drain(&self) -> bool {
        self.put(|mail| mail.drain = true)
    }

    /// Nothing is read from here any more; answers that nobody read.
    pub(crate) fn close(&self) -> VecDeque<(u64, Answer)> {
        let mut mail = self.lock();
        std::mem::replace(&mut *mail, Mail { closed: true, ..Mail::default() }).answers
    }

    /// The next letter: an end before everything, then answers in order.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Letter> {
        let mut mail = self.lock();
        if let Some(cause) = mail.end.take() {
            return Poll::Ready(Letter::End(cause));
        }
        if let Some((ticket, answer)) = mail.answers.pop_front() {
            return Poll::Ready(Letter::Answered(ticket, answer));
        }
        if std::mem::take(&mut mail.signal) {
            return Poll::Ready(Letter::Signal);
        }
        if std::mem::take(&mut mail.drain) {
            return Poll::Ready(Letter::Drain);
        }
        match &mut mail.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn put(&self, put: impl FnOnce(&mut Mail)) -> bool {
        let waker = {
            let mut mail = self.lock();
            if mail.closed {
                return false;
            }
            put(&mut mail);
            mail.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(mailbox: &Mailbox) -> Option<Letter> {
        match mailbox.poll(&Context::from_waker(Waker::noop())) {
            Poll::Ready(letter) => Some(letter),
            Poll::Pending => None,
        }
    }

    #[test]
    fn an_end_comes_before_answers_and_signals_coalesce() {
        let mailbox = Mailbox::default();
        assert!(mailbox.signal());
        assert!(mailbox.signal());
        assert!(mailbox.answer(7, Answer::Silence));
        assert!(mailbox.end(Cause::of("first")));
        assert!(mailbox.end(Cause::of("second")));
        assert!(matches!(take(&mailbox), Some(Letter::End(cause)) if cause.word == "first"));
        assert!(matches!(take(&mailbox), Some(Letter::Answered(7, Answer::Silence))));
        assert!(matches!(take(&mailbox), Some(Letter::Signal)));
        assert!(take(&mailbox).is_none());
    }

    #[test]
    fn a_closed_box_takes_nothing() {
        let mailbox = Mailbox::default();
        assert!(mailbox.answer(7, Answer::Silence));
        assert!(matches!(mailbox.close().pop_front(), Some((7, Answer::Silence))));
        assert!(!mailbox.end(Cause::of("late")));
        assert!(take(&mailbox).is_none());
    }
}

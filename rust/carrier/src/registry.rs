// SPDX-License-Identifier: Apache-2.0
//! The live connections: by number, by session id, and by the keys they registered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatebook_wire::Cause;
use tokio::sync::Notify;

use crate::mailbox::Mailbox;

/// Who is connected and how to reach the task that serves it.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    live: HashMap<u64, Arc<Mailbox>>,
    sessions: HashMap<String, Arc<Mailbox>>,
    keys: HashMap<Vec<u8>, Owner>,
}

/// Whom a key means.
#[derive(Debug)]
struct Owner {
    session: String,
    mailbox: Arc<Mailbox>,
}

impl Registry {
    /// A new connection: its number and its mailbox.
    pub(crate) fn enter(&self) -> (u64, Arc<Mailbox>) {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        let mailbox = Arc::new(Mailbox::default());
        inner.live.insert(number, Arc::clone(&mailbox));
        (number, mailbox)
    }

    /// A connection became this session.
    pub(crate) fn name(&self, session: &str, mailbox: &Arc<Mailbox>) {
        self.lock().sessions.insert(session.to_owned(), Arc::clone(mailbox));
    }

    /// The admission did not reach the connection.
    pub(crate) fn unname(&self, session: &str) {
        self.lock().sessions.remove(session);
    }

    /// Another connection that presents `key` means this session.
    pub(crate) fn register(&self, key: &[u8], session: &str, mailbox: &Arc<Mailbox>) {
        let owner = Owner { session: session.to_owned(), mailbox: Arc::clone(mailbox) };
        self.lock().keys.insert(key.to_vec(), owner);
    }

    /// The session that registered `key`, if any.
    pub(crate) fn owner(&self, key: &[u8]) -> Option<String> {
        self.lock().keys.get(key).map(|owner| owner.session.clone())
    }

    /// Signals the connection that registered `key`, if any.
    pub(crate) fn signal(&self, key: &[u8]) {
        let found = self.lock().keys.get(key).map(|owner| Arc::clone(&owner.mailbox));
        if let Some(mailbox) = found {
            mailbox.signal();
        }
    }

    /// Ends a session; false if it is not here.
    pub(crate) fn end(&self, session: &str, cause: Cause) -> bool {
        let found = self.lock().sessions.get(session).map(Arc::clone);
        found.is_some_and(|mailbox| mailbox.end(cause))
    }

    /// Tells every connection.
    pub(crate) fn tell_all(&self, tell: impl Fn(&Mailbox) -> bool) {
        let all: Vec<_> = self.lock().live.values().map(Arc::clone).collect();
        for mailbox in all {
            tell(&mailbox);
        }
    }

    /// A connection is over, with the session it was and the keys it had registered. Its box is
    /// closed before.
    pub(crate) fn leave(&self, number: u64, session: &str, keys: &[Vec<u8>]) {
        let mut inner = self.lock();
        let Some(mailbox) = inner.live.remove(&number) else { return };
        if inner.sessions.get(session).is_some_and(|named| Arc::ptr_eq(named, &mailbox)) {
            inner.sessions.remove(session);
        }
        for key in keys {
            if inner.keys.get(key).is_some_and(|owner| Arc::ptr_eq(&owner.mailbox, &mailbox)) {
                inner.keys.remove(key);
            }
        }
        if inner.live.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Connections and named sessions now.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.live.len(), inner.sessions.len())
    }

    /// Returns once no connection is left.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.counts().0 == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

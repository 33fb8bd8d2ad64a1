// SPDX-License-Identifier: Apache-2.0
//! Output buffers per thread and not per session: an idle session holds none.

use std::cell::RefCell;

use gatebook_wire::Out;

/// LIMIT: one is in use at a time; a second appears only while a session waits for the disk.
const KEPT_PER_THREAD: usize = 4;

thread_local! {
    static KEPT: RefCell<Vec<Out>> = const { RefCell::new(Vec::new()) };
}

/// An empty output buffer, with memory from an earlier turn where there is one.
pub(crate) fn take() -> Out {
    KEPT.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives one back after a turn whose batch was written.
///
/// A buffer with an unwritten batch is dropped: its entries must not reach another session.
pub(crate) fn put(mut out: Out) {
    if !out.batch().is_empty() {
        return;
    }
    out.clear();
    KEPT.with_borrow_mut(|kept| {
        if kept.len() < KEPT_PER_THREAD {
            kept.push(out);
        }
    });
}

// SPDX-License-Identifier: Apache-2.0
//! Threads that parse a question before Python sees it: two, and never more.
//!
//! What parsing means is the protocol's business and comes as a hook. The threads live as long as
//! the carrier: parsers keep state per thread.

use std::io;
use std::sync::Arc;

use gatebook_wire::Question;

use crate::desk::Desk;

/// LIMIT: statements parsed at once; a parse costs microseconds, a hostile one milliseconds.
const THREADS: usize = 2;
/// Stack of a parser thread: room for the nesting that a grammar allows before it gives up.
const STACK_BYTES: usize = 4 * 1024 * 1024;
/// LIMIT: longest text that is parsed at all.
const TEXT_BYTES: usize = 256 * 1024;
/// LIMIT: a question waits this long for its parse, then it is judged as unparsable.
pub(crate) const PARSE_US: u64 = 2_000_000;

/// What the parser found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The tree, in the form the desk expects; `None` where there is no text or no tree.
    pub tree: Option<Vec<u8>>,
    /// Why there is no tree; empty otherwise.
    pub error: String,
}

impl Parsed {
    /// No tree, for this reason.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { tree: None, error: error.into() }
    }
}

/// Parses a question's text. Called on the parser threads only; must not block on the desk.
pub type ParseHook = Arc<dyn Fn(&Question) -> Parsed + Send + Sync>;

/// Starts the threads; they end when the desk is closed.
pub(crate) fn start(desk: &Arc<Desk>, hook: &ParseHook) -> io::Result<()> {
    for number in 0..THREADS {
        let (desk, hook) = (Arc::clone(desk), Arc::clone(hook));
        std::thread::Builder::new()
            .name(format!("gatebook-parse-{number}"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                while let Some((ticket, question)) = desk.next_unparsed() {
                    desk.parsed(ticket, parse(&hook, &question));
                }
            })?;
    }
    Ok(())
}

/// The hook within its bounds; a hook that panics found nothing.
fn parse(hook: &ParseHook, question: &Question) -> Parsed {
    if question.text.is_empty() {
        return Parsed::default();
    }
    if question.too_long || question.text.len() > TEXT_BYTES {
        return Parsed::failed("too long");
    }
    let run = std::panic::AssertUnwindSafe(|| hook(question));
    std::panic::catch_unwind(run).unwrap_or_else(|_| Parsed::failed("the parser failed"))
}

#[cfg(test)]
#[allow(clippy::panic)] // one hook panics on purpose
mod tests {
    use super::*;

    fn question(text: &[u8]) -> Question {
        Question { text: text.to_vec(), ..Question::default() }
    }

    #[test]
    fn a_hook_that_panics_found_nothing() {
        let hook: ParseHook = Arc::new(|_| panic!("on purpose"));
        assert_eq!(parse(&hook, &question(b"x")), Parsed::failed("the parser failed"));
    }

    #[test]
    fn text_that_is_empty_or_too_long_never_reaches_the_hook() {
        let hook: ParseHook = Arc::new(|_| Parsed::failed("reached"));
        assert_eq!(parse(&hook, &question(b"")), Parsed::default());
        assert_eq!(
            parse(&hook, &question(&vec![b'x'; TEXT_BYTES + 1])),
            Parsed::failed("too long")
        );
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Conversations of the byte-heavy protocols as sans-I/O state machines, and the pure
//! pieces they need: proofs, entries, the decision cache, the shape lexer.
//!
//! A conversation takes [`Event`]s and fills an [`Out`]. It performs no I/O, reads no clock
//! and draws no randomness: the same events give the same output however the bytes are split.
//! The carrier drives it in production; playbooks, property tests and fuzzers drive it too.
#![forbid(unsafe_code)]

pub mod cache;
pub mod entry;
pub mod journal;
pub mod leaves;
pub mod postgres;
pub mod proof;
pub mod quota;
pub mod seam;
pub mod shape;

pub use cache::{Cache, Epochs};
pub use proof::{Batch, Durability, Token};
pub use seam::{
    Admission, Answer, Ask, CacheScope, Cause, Command, Conversation, Dial, Effect, Ended, Errand,
    Event, Frame, Held, Hello, Limits, Moment, OperationFacts, Out, Question, Refusal, TlsDemand,
    TlsFacts, TlsFault, TlsVerify, Verdict,
};

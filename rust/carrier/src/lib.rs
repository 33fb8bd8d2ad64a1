// SPDX-License-Identifier: Apache-2.0
//! Sockets, TLS, timers, threads and evidence files: drives any conversation of `gatebook-wire`
//! and knows no protocol.
//!
//! One task per session (`session`) turns readiness into events and output into system calls;
//! `desk` is the queue to Python; `listener` accepts; `journal` and `recorder` write evidence.
#![deny(unsafe_code)] // allowed where the journal talks to its file

mod asks;
mod carrier;
mod clock;
mod desk;
mod dial;
mod end_point;
mod errand;
mod error;
mod fair;
pub mod journal;
mod lanes;
mod listener;
mod mailbox;
mod parser;
mod pipes;
mod pool;
pub mod recorder;
mod registry;
mod session;
mod shared;
mod side;
mod tls;
mod tls_fault;
mod turn;

pub use carrier::{Carrier, Options};
pub use clock::Clock;
pub use desk::{Asked, Cancelling, Desk, Greeting, Item, NotSecured};
pub use error::CarrierError;
pub use listener::{ConversationMaker, ListenSpec, ServerTls};
pub use parser::{ParseHook, Parsed};
pub use shared::Counts;

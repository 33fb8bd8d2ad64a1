// SPDX-License-Identifier: Apache-2.0
//! How a refused statement is answered: in a pipeline, in a transaction block, or alone.
//!
//! The state after a refusal is the one the protocol has after an error, and it is the server that
//! keeps it. Where nothing of the implicit transaction has been forwarded the gate answers alone. Everywhere
//! else it sends, in place of the refused message, a constant statement that cannot parse and carries only
//! the operation id; the server fails there, in order, and its `ErrorResponse` is replaced by ours.
//! Rollback, skipping to Sync and `ReadyForQuery` are then the server's own.

use super::message::{self, put, put_text};
use super::queue::Expect;
use super::session::{Session, Skip};
use crate::entry::Object;
use crate::proof::{Authorized, Cleared, Housekeeping};
use crate::seam::{Moment, Out, Refusal};

/// Which message is refused: that decides how it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Query or `FunctionCall`: answered by an error and `ReadyForQuery`.
    Simple,
    /// Parse of the unnamed statement: the old one is dropped by the server's own error.
    ParseUnnamed,
    /// Parse of a name, Bind, Describe, Execute: an error, then silence up to Sync.
    Extended,
}

/// Name under which the constant statement is parsed; it never comes to exist.
const CONSTANT_NAME: &[u8] = b"gatebook";

impl Session {
    /// Answers a refused message. `operation` is the number of its (first) entry.
    pub(super) fn answer_refusal(
        &mut self,
        kind: Refused,
        refusal: &Refusal,
        operation: u64,
        at: Moment,
        out: &mut Out,
    ) {
        let id = self.evidence.operation_id(operation);
        let detail = refusal.detail.replace("{operation}", &id);
        let error = message::error("ERROR", refusal, &detail);
        if self.answers_alone(kind) {
            self.show(&error, at, out);
            match kind {
                Refused::Simple => self.show(&message::ready(self.transaction), at, out),
                Refused::ParseUnnamed | Refused::Extended => self.skip = Skip::Alone,
            }
            return;
        }
        let text = format!("gatebook refused operation {id}").into_bytes();
        let proof = Authorized::housekeeping(Housekeeping::Refusal);
        let error = error.into_boxed_slice();
        if kind == Refused::Simple {
            self.stage.push(proof, &message::query(&text));
            self.queue.push(Expect::RefusedQuery { error: Some(error) });
            self.end_group();
        } else {
            let name = if kind == Refused::ParseUnnamed { b"" } else { CONSTANT_NAME };
            let mut parse = Vec::with_capacity(96);
            put(&mut parse, b'P', |out| {
                put_text(out, name);
                put_text(out, &text);
                out.extend_from_slice(&0_u16.to_be_bytes());
            });
            self.stage.push(proof, &parse);
            self.queue.push(Expect::Refused { error, unnamed: kind == Refused::ParseUnnamed });
            self.group_open = true;
            self.skip = Skip::Server;
        }
    }

    /// Whether nothing that the refusal would have to undo has been forwarded.
    fn answers_alone(&self, kind: Refused) -> bool {
        let clean = self.queue.is_empty() && self.transaction == b'I' && !self.group_open;
        let drops = kind == Refused::ParseUnnamed && self.names.statement(b"").is_some();
        clean && !drops
    }

    /// Sends the gate's own words to the client.
    pub(super) fn show(&mut self, bytes: &[u8], at: Moment, out: &mut Out) {
        out.send_client(Cleared::own_words(bytes));
        self.record(b'<', bytes, at, out);
    }
}

/// The gate's own refusals, which no policy decides; the catalogue is docs/spec/refusals.md.
pub fn gate_refusal(code: &'static str, message: &str) -> Refusal {
    let (sqlstate, hint) = match code {
        "desk.silent" => ("42501", "retry; if it stays, tell the operator of the gate"),
        "desk.stale" => ("42501", "retry: policy changed while this was decided"),
        "limit.statement" | "limit.message" => ("54000", "send less in one message"),
        "limit.evidence" => ("53400", "wait for the next hour, or ask the operator for more room"),
        "approval.cancelled" => ("57014", "send the statement again to ask again"),
        "limit.names" => ("54000", "close prepared statements or portals that are not needed"),
        "protocol.tls_required" => ("28000", "connect with sslmode=verify-full"),
        "protocol.version" => ("0A000", "use protocol 3.0"),
        "protocol.unknown_statement" => ("26000", "prepare the statement again"),
        "protocol.unknown_portal" => ("34000", "bind the portal again"),
        "authn.failed" => ("28P01", "log in with an access token, which libpq 18 can get for you"),
        "upstream.failed" => ("08001", "the operator can run `gatebook target test`"),
        "upstream.lost" => ("08006", "reconnect"),
        "evidence.failed" => {
            ("58030", "the operator of the gate has to act; nothing runs unrecorded")
        }
        "gate.ended" => ("57P01", "reconnect if you are still permitted to"),
        _ => ("08P01", "see docs/reference/postgres.md for what the gate speaks"),
    };
    let mut detail = Vec::new();
    Object::open(&mut detail).text("code", code).text("operation", "{operation}").close();
    Refusal {
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
        detail: String::from_utf8_lossy(&detail).into_owned(),
        hint: hint.to_owned(),
        code: code.to_owned(),
    }
}

/// A FATAL error of the gate, outside any operation.
pub fn fatal(code: &'static str, message: &str) -> Vec<u8> {
    let refusal = gate_refusal(code, message);
    let mut detail = Vec::new();
    Object::open(&mut detail).text("code", code).close();
    message::error("FATAL", &refusal, &String::from_utf8_lossy(&detail))
}

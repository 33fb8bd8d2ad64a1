// SPDX-License-Identifier: Apache-2.0
//! Parts of the entries of a session, as canonical JSON (docs/spec/entry.md).

use super::evidence::{Progress, Running, Status, Subject};
use super::message::{Diagnostics, Reader};
use crate::entry::{put_base64, put_bytes, put_number, put_string, sha256, Object, PRIVATE_BYTES};
use crate::seam::{Admission, Moment, TlsFacts};

pub(super) fn put_operation(out: &mut Vec<u8>, session: &str, operation: u64) {
    out.push(b'"');
    out.extend_from_slice(session.as_bytes());
    out.push(b'.');
    put_number(out, operation);
    out.push(b'"');
}

pub(super) fn put_effect(
    out: &mut Vec<u8>,
    running: &Running,
    status: Status<'_>,
    progress: &mut Progress,
    at: Moment,
) {
    let mut effect = Object::open(out);
    effect.number("bytes", progress.bytes);
    effect.number("duration_us", at.mono_us.saturating_sub(running.since_us));
    if let Some(hash) = progress.received_hash.take() {
        effect.number("received_bytes", progress.received);
        effect.hash("received_sha256", hash.finish().as_ref());
    }
    if let Some(hash) = progress.hash.take() {
        effect.hash("result", hash.finish().as_ref());
    }
    effect.number("rows", progress.rows);
    if let Status::Error(error) = status {
        let sqlstate = error.sqlstate.get(..5).unwrap_or(error.sqlstate);
        effect.with("sqlstate", |out| put_bounded(out, sqlstate));
    }
    effect.text(
        "status",
        match status {
            Status::Done(_) | Status::Suspended => "done",
            Status::Error(error) if error.sqlstate == b"57014" => "cancelled",
            Status::Error(_) => "error",
            Status::Skipped => "skipped",
            Status::NotExecuted => "not executed",
            Status::Unknown => "unknown",
        },
    );
    match status {
        Status::Suspended => drop(effect.raw("suspended", b"true")),
        Status::Done(tag) if !tag.is_empty() => {
            effect.with("tag", |out| put_bounded(out, tag));
        }
        _ => {}
    }
    effect.close();
}

pub(super) fn put_error(out: &mut Vec<u8>, error: &Diagnostics<'_>) {
    Object::open(out)
        .with("error", |out| {
            let mut object = Object::open(out);
            for (key, value) in [
                ("detail", error.detail),
                ("hint", error.hint),
                ("message", error.message),
                ("where", error.context),
            ] {
                if !value.is_empty() {
                    object.with(key, |out| put_bytes(out, value));
                }
            }
            object.close();
        })
        .close();
}

/// Text and parameters, or their hashes where they are too long for an entry; the salt unless empty.
pub(super) fn put_private(out: &mut Vec<u8>, subject: &Subject<'_>, salt: &str) {
    let mut private = Object::open(out);
    // Six bytes is the longest escape of one; an entry holds at most 4 MiB.
    let short = subject.text.len() + subject.arguments.len() < PRIVATE_BYTES / 2;
    if !subject.arguments.is_empty() {
        private.with("params", |out| {
            if !short || put_parameters(out, subject.arguments).is_none() {
                put_digest(out, subject.arguments);
            }
        });
    }
    if !salt.is_empty() {
        private.text("salt", salt);
    }
    private.with("text", |out| {
        if short {
            put_bytes(out, subject.text);
        } else {
            put_digest(out, subject.text);
        }
    });
    private.close();
}

/// A value that a peer chose and that stands in a leaf: at most 1,024 bytes, and as base64 where escapes
/// could blow it up past the bound of a leaf.
pub(super) fn put_bounded(out: &mut Vec<u8>, value: &[u8]) {
    if value.len() > 1024 {
        put_digest(out, value);
    } else if value.iter().any(|&byte| byte < 0x20) {
        Object::open(out).with("base64", |out| put_base64(out, value)).close();
    } else {
        put_bytes(out, value);
    }
}

pub(super) fn put_digest(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u64::try_from(bytes.len()).unwrap_or(0);
    Object::open(out).number("bytes", length).hash("sha256", &sha256(bytes)).close();
}

/// Values of a Bind as an array; `None`, and nothing written, where they are malformed.
pub(super) fn put_parameters(out: &mut Vec<u8>, arguments: &[u8]) -> Option<()> {
    let start = out.len();
    let written = try_put_parameters(out, arguments);
    if written.is_none() {
        out.truncate(start);
    }
    written
}

pub(super) fn try_put_parameters(out: &mut Vec<u8>, arguments: &[u8]) -> Option<()> {
    let mut reader = Reader(arguments);
    let formats = reader.short()?;
    let mut formats = Reader(reader.take(usize::from(formats) * 2)?);
    let mut format = formats.short().unwrap_or(0);
    let one_for_all = formats.0.is_empty();
    let values = reader.short()?;
    out.push(b'[');
    for index in 0..values {
        if index > 0 {
            out.push(b',');
            if !one_for_all {
                format = formats.short()?;
            }
        }
        let Some(value) = reader.value()? else {
            out.extend_from_slice(b"{\"null\":true}");
            continue;
        };
        let mut object = Object::open(out);
        match std::str::from_utf8(value) {
            Ok(text) if format == 0 => object.with("text", |out| put_string(out, text)),
            _ => object.with("base64", |out| put_base64(out, value)),
        }
        .close();
    }
    out.push(b']');
    Some(())
}

/// `upstream` object of `session.start`.
pub fn upstream_object(
    admission: &Admission,
    tls: Option<&TlsFacts>,
    process: u32,
    server_version: &str,
) -> Vec<u8> {
    let mut json = Vec::with_capacity(128);
    let mut object = Object::open(&mut json);
    object.text("address", &format!("{}:{}", admission.dial.host, admission.dial.port));
    object.number("process", process.into()).text("server", server_version);
    if let Some(tls) = tls {
        object.with("tls", |out| put_tls(out, tls));
    }
    object.close();
    json
}

pub(super) fn put_tls(out: &mut Vec<u8>, tls: &TlsFacts) {
    let mut object = Object::open(out);
    object.text("cipher", &tls.cipher);
    if !tls.peer_sha256.is_empty() {
        object.text("peer", &format!("sha256:{}", tls.peer_sha256));
    }
    object.text("version", &tls.version).close();
}

// SPDX-License-Identifier: Apache-2.0
//! Values that Python makes and gives: admission, refusal, facts of operations, verdict.

use std::sync::Arc;

use gatebook_wire as wire;
use pyo3::prelude::*;

use crate::carrier::POSTGRES_ALPN;
use crate::error::native;

/// A server name, how far to verify, and trusted roots; then the gate's own certificate and key.
type Tls<'a> = (String, String, &'a [u8], &'a [u8], &'a [u8]);

/// Consent to a session; see `rust/wire/src/seam/admission.rs` for each field. Times in microseconds.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct Admission(pub(crate) wire::Admission);

#[pymethods]
impl Admission {
    #[new]
    #[pyo3(signature = (
        *, session, host, port, tls, account, password, nonce, startup, scope, principal,
        facts_query, cancel_secret, recording_key, recording_head, identity, source, place,
        ends_at_us = 0, statement_bytes = 0, message_bytes = 0, names = 0, pipeline = 0,
        idle_us = 0, journal_bytes_per_hour = 0, recording_bytes_per_hour = 0,
        insecure_md5 = false
    ))]
    #[allow(clippy::too_many_arguments)] // keyword-only, one per field of the seam
    fn new(
        session: String,
        host: String,
        port: u16,
        tls: Option<Tls<'_>>,
        account: String,
        password: &[u8],
        nonce: String,
        startup: Vec<(String, String)>,
        scope: &[u8],
        principal: String,
        facts_query: &[u8],
        cancel_secret: &[u8],
        recording_key: &[u8],
        recording_head: &[u8],
        identity: &[u8],
        source: &[u8],
        place: &[u8],
        ends_at_us: u64,
        statement_bytes: u32,
        message_bytes: u32,
        names: u32,
        pipeline: u32,
        idle_us: u64,
        journal_bytes_per_hour: u64,
        recording_bytes_per_hour: u64,
        insecure_md5: bool,
    ) -> PyResult<Self> {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if session.is_empty() || session.len() > 64 || !session.bytes().all(is_id) {
            return Err(native("a session id is 1 to 64 letters, digits and underscores"));
        }
        let usual = wire::Limits::default();
        let limits = wire::Limits {
            statement_bytes: or_usual(statement_bytes, usual.statement_bytes),
            message_bytes: or_usual(message_bytes, usual.message_bytes),
            names: or_usual(names, usual.names),
            pipeline: or_usual(pipeline, usual.pipeline),
            idle_us: or_usual(idle_us, usual.idle_us),
            journal_bytes_per_hour: or_usual(journal_bytes_per_hour, usual.journal_bytes_per_hour),
            recording_bytes_per_hour: or_usual(
                recording_bytes_per_hour,
                usual.recording_bytes_per_hour,
            ),
            ..usual
        };
        Ok(Self(wire::Admission {
            session,
            dial: wire::Dial { host, port },
            tls: tls.map(demand).transpose()?,
            account,
            password: password.to_vec(),
            insecure_md5,
            nonce,
            startup,
            scope: sized(scope, "scope")?,
            principal,
            facts_query: facts_query.to_vec(),
            cancel_secret: sized(cancel_secret, "cancel_secret")?,
            recording_key: sized(recording_key, "recording_key")?,
            recording_head: recording_head.to_vec(),
            identity: identity.to_vec(),
            source: source.to_vec(),
            place: place.to_vec(),
            ends_at_us,
            limits,
        }))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        wipe(&mut self.0.password);
        if let Some(tls) = &mut self.0.tls {
            wipe(&mut tls.identity_pem.1);
        }
        wipe(&mut self.0.recording_key);
    }
}

/// A no, in the protocol's own fields.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct Refusal(pub(crate) wire::Refusal);

#[pymethods]
impl Refusal {
    #[new]
    #[pyo3(signature = (*, sqlstate, message, detail, hint, code))]
    fn new(
        sqlstate: String,
        message: String,
        detail: String,
        hint: String,
        code: String,
    ) -> PyResult<Self> {
        if sqlstate.len() != 5 || !sqlstate.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(native("an SQLSTATE is five letters and digits"));
        }
        let fields = [&message, &detail, &hint, &code];
        if fields.iter().any(|field| field.contains('\0')) {
            return Err(native("a refusal holds a NUL character"));
        }
        Ok(Self(wire::Refusal { sqlstate, message, detail, hint, code }))
    }
}

/// What is fixed about one operation at its verdict.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct OperationFacts(wire::OperationFacts);

#[pymethods]
impl OperationFacts {
    #[new]
    #[pyo3(signature = (*, action, decision, privileged, effects, whole=false))]
    fn new(
        action: &[u8],
        decision: &[u8],
        privileged: bool,
        effects: Vec<(String, String)>,
        whole: bool,
    ) -> PyResult<Self> {
        let effects = effects.into_iter().map(effect).collect::<PyResult<_>>()?;
        Ok(Self(wire::OperationFacts {
            action: action.to_vec(),
            decision: decision.to_vec(),
            privileged,
            effects,
            whole,
        }))
    }
}

/// A message that waits for a person.
pub(crate) fn held(verdict: &Verdict, notice: &Refusal, wait_ms: u64) -> Box<wire::Held> {
    Box::new(wire::Held {
        verdict: Arc::clone(&verdict.0),
        notice: notice.0.clone(),
        wait_us: wait_ms.saturating_mul(1000),
    })
}

/// What was decided about one message.
#[pyclass(frozen, module = "gatebook._native")]
pub(crate) struct Verdict(pub(crate) Arc<wire::Verdict>);

#[pymethods]
impl Verdict {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // a list is extracted into a value
    #[pyo3(signature = (*, operations, refusal, cache, ttl_us, blots, salt = ""))]
    fn new(
        operations: Vec<PyRef<'_, OperationFacts>>,
        refusal: Option<&Refusal>,
        cache: &str,
        ttl_us: u64,
        blots: Vec<(u32, u32)>,
        salt: &str,
    ) -> PyResult<Self> {
        let cache = match cache {
            "none" => wire::CacheScope::None,
            "exact" => wire::CacheScope::Exact,
            "shape" => wire::CacheScope::Shape,
            _ => return Err(native("cache is `none`, `exact` or `shape`")),
        };
        let ends = blots.iter().map(|(_, end)| *end);
        let is_ascending = std::iter::once(0)
            .chain(ends)
            .zip(&blots)
            .all(|(before, (start, end))| before <= *start && start <= end);
        if !is_ascending {
            return Err(native("blots are ranges in ascending order"));
        }
        Ok(Self(Arc::new(wire::Verdict {
            operations: operations.iter().map(|facts| facts.0.clone()).collect(),
            refusal: refusal.map(|refusal| refusal.0.clone()),
            cache,
            ttl_us,
            mask: wire::proof::MaskPlan::empty(),
            blots,
            salt: salt.to_owned(),
        })))
    }
}

fn demand((server_name, verify, roots, chain, key): Tls<'_>) -> PyResult<wire::TlsDemand> {
    let verify = match verify.as_str() {
        "full" => wire::TlsVerify::Full,
        "chain" => wire::TlsVerify::Chain,
        "insecure_none" => wire::TlsVerify::InsecureNone,
        _ => return Err(native("TLS is verified `full`, `chain` or `insecure_none`")),
    };
    Ok(wire::TlsDemand {
        server_name,
        verify,
        roots_pem: roots.to_vec(),
        identity_pem: (chain.to_vec(), key.to_vec()),
        alpn: POSTGRES_ALPN.to_vec(),
    })
}

fn effect((kind, name): (String, String)) -> PyResult<wire::Effect> {
    Ok(match kind.as_str() {
        "prepare" => wire::Effect::Prepare(name),
        "deallocate" => wire::Effect::Deallocate(name),
        "deallocate_all" => wire::Effect::DeallocateAll,
        "facts_stale" => wire::Effect::FactsStale,
        "catalogue_changed" => wire::Effect::CatalogueChanged,
        _ => return Err(native("that effect is not known")),
    })
}

fn sized<const N: usize>(bytes: &[u8], name: &str) -> PyResult<[u8; N]> {
    bytes.try_into().map_err(|_| native(format!("{name} has {N} bytes")))
}

fn or_usual<T: PartialEq + Default>(given: T, usual: T) -> T {
    if given == T::default() {
        usual
    } else {
        given
    }
}

/// Overwrites a secret before its memory is given back.
pub(crate) fn wipe(secret: &mut [u8]) {
    secret.fill(0);
    // Keeps the writes, which nobody reads, from being left out.
    std::hint::black_box(secret);
}

// SPDX-License-Identifier: Apache-2.0
//! Encoding of leaves and private parts (docs/spec/entry.md), without allocation beyond the
//! buffers handed in.
//!
//! Keys are written in sorted order by the caller; values are escaped here as RFC 8785 says.

use std::fmt::Write as _;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_256_GCM, NONCE_LEN};
use ring::digest::{digest, SHA256};
use ring::hkdf::{Salt, HKDF_SHA256};
use ring::hmac;

/// LIMIT: a private blob; beyond it text and parameters enter by hash.
pub const PRIVATE_BYTES: usize = 1024 * 1024;
/// Bytes of the salt in front of a private blob.
pub const SALT_BYTES: usize = 32;

/// Writes one JSON object with keys that the caller gives in sorted order.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Opens the object.
    pub fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Writes a member whose value is JSON already.
    pub fn raw(&mut self, key: &str, json: &[u8]) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(json);
        self
    }

    /// Writes a string member.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        put_string(self.out, value);
        self
    }

    /// Writes an integer member. INVARIANT: callers count things that stay below 2^53.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        put_number(self.out, value);
        self
    }

    /// Writes a hash member, `sha256:` and hex.
    pub fn hash(&mut self, key: &str, value: &[u8]) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(b"\"sha256:");
        put_hex(self.out, value);
        self.out.push(b'"');
        self
    }

    /// Writes a member whose value `fill` writes.
    pub fn with(&mut self, key: &str, fill: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.key(key);
        fill(self.out);
        self
    }

    /// Closes the object.
    pub fn close(&mut self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Writes a JSON string as RFC 8785 section 3.2.2.2 escapes it.
pub fn put_string(out: &mut Vec<u8>, value: &str) {
    let is_escaped = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    out.push(b'"');
    let mut rest = value.as_bytes();
    // Runs of bytes that stand for themselves are copied whole: nearly all text is one run.
    while let Some(at) = rest.iter().position(is_escaped) {
        let (run, behind) = rest.split_at(at);
        out.extend_from_slice(run);
        let Some((&byte, behind)) = behind.split_first() else { break };
        put_escape(out, byte);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    match byte {
        0x08 => out.extend_from_slice(b"\\b"),
        0x09 => out.extend_from_slice(b"\\t"),
        0x0a => out.extend_from_slice(b"\\n"),
        0x0c => out.extend_from_slice(b"\\f"),
        0x0d => out.extend_from_slice(b"\\r"),
        0..=0x1f => {
            out.extend_from_slice(b"\\u00");
            put_hex(out, &[byte]);
        }
        quote_or_backslash => out.extend_from_slice(&[b'\\', quote_or_backslash]),
    }
}

/// Writes text as a string, or `{"base64":"..."}` where it is not UTF-8; never repaired.
pub fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    if let Ok(text) = std::str::from_utf8(value) {
        put_string(out, text);
    } else {
        Object::open(out).with("base64", |out| put_base64(out, value)).close();
    }
}

/// Writes a quoted base64 string.
pub fn put_base64(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(value).as_bytes());
    out.push(b'"');
}

/// Writes a decimal integer.
pub fn put_number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// Writes lower-case hex.
pub fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

/// Writes a quoted RFC 3339 time, UTC, six digits.
///
/// The civil date comes from days since the epoch by the usual era arithmetic (400 years are
/// 146,097 days), valid for every `u64` of microseconds that a clock of this millennium gives.
pub fn put_time(out: &mut Vec<u8>, unix_us: u64) {
    let (seconds, micros) = (unix_us / 1_000_000, unix_us % 1_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    out.push(b'"');
    put_padded(out, year, 4);
    for (mark, value) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(mark);
        put_padded(out, value, 2);
    }
    out.push(b'.');
    put_padded(out, micros, 6);
    out.extend_from_slice(b"Z\"");
}

fn put_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let start = out.len();
    put_number(out, value);
    for _ in (out.len() - start)..width {
        out.insert(start, b'0');
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Lower-case hex of bytes, for ids.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

/// Seals the private parts of one session.
pub struct Sealer {
    key: LessSafeKey,
    salts: hmac::Key,
    session: Box<str>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", self.session)
    }
}

/// A 32-byte key derived from the recording key for one use.
///
/// # Errors
/// `None` only if the crypto library refuses, which it does for no 32-byte input.
pub fn derive(recording_key: &[u8; 32], info: &[u8]) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    Salt::new(HKDF_SHA256, &[])
        .extract(recording_key)
        .expand(&[info], HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .ok()?;
    Some(key)
}

impl Sealer {
    /// Derives the keys; `None` only if the crypto library refuses.
    pub fn new(recording_key: &[u8; 32], session: &str) -> Option<Self> {
        let sealing = derive(recording_key, b"gatebook private v1")?;
        let salting = derive(recording_key, b"gatebook salt v1")?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &sealing).ok()?);
        Some(Self {
            key,
            salts: hmac::Key::new(hmac::HMAC_SHA256, &salting),
            session: session.into(),
        })
    }

    /// Appends `nonce || ciphertext` of `salt || json` to `out` and returns the commitment.
    /// Never called twice with the same `seq`; `None` only if the crypto library refuses.
    pub fn seal(
        &self,
        seq: u64,
        operation: u64,
        json: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<[u8; 32]> {
        let mut place = [0; 16];
        place.first_chunk_mut::<8>()?.copy_from_slice(&operation.to_be_bytes());
        place.last_chunk_mut::<8>()?.copy_from_slice(&seq.to_be_bytes());
        let salt = hmac::sign(&self.salts, &place);
        let nonce = nonce_of(seq);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(salt.as_ref());
        out.extend_from_slice(json);
        let blob = out.get_mut(start..)?;
        let commitment = sha256(blob);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.session.as_bytes()),
                blob,
            )
            .ok()?;
        out.extend_from_slice(tag.as_ref());
        Some(commitment)
    }

    /// Opens what `seal` made; `None` if it does not authenticate or was made for another `seq`.
    pub fn open(&self, seq: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        if *nonce != nonce_of(seq) {
            return None;
        }
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(self.session.as_bytes()),
                &mut body,
            )
            .ok()?
            .len();
        body.truncate(plain);
        Some(body)
    }
}

fn nonce_of(seq: u64) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    let (domain, counter) = nonce.split_at_mut(4);
    domain.copy_from_slice(&1_u32.to_be_bytes());
    counter.copy_from_slice(&seq.to_be_bytes());
    nonce
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use super::*;

    fn text(fill: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        fill(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_times_of_known_instants() {
        assert_eq!(text(|out| put_time(out, 0)), "\"1970-01-01T00:00:00.000000Z\"");
        assert_eq!(
            text(|out| put_time(out, 1_709_164_799_999_999)),
            "\"2024-02-28T23:59:59.999999Z\""
        );
        assert_eq!(
            text(|out| put_time(out, 1_709_164_800_000_001)),
            "\"2024-02-29T00:00:00.000001Z\""
        );
        assert_eq!(
            text(|out| put_time(out, 4_102_444_800_000_000)),
            "\"2100-01-01T00:00:00.000000Z\""
        );
    }

    #[test]
    fn escapes_strings_as_rfc_8785() {
        assert_eq!(
            text(|out| put_string(out, "\u{20ac}$\u{f}\u{a}A'\u{42}\u{22}\u{5c}\\\"\u{2f}")),
            "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\""
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_enter_as_base64() {
        assert_eq!(text(|out| put_bytes(out, b"\xff\x00")), "{\"base64\":\"/wA=\"}");
    }

    #[test]
    fn numbers_keep_all_digits() {
        assert_eq!(text(|out| put_number(out, 0)), "0");
        assert_eq!(text(|out| put_number(out, u64::MAX)), "18446744073709551615");
    }

    #[test]
    fn a_sealed_part_opens_only_under_its_own_seq_and_session() {
        let sealer = Sealer::new(&[7; 32], "s_1").unwrap();
        let mut part = Vec::new();
        let commitment = sealer.seal(5, 2, b"{\"text\":\"SELECT 1\"}", &mut part).unwrap();
        let blob = sealer.open(5, &part).unwrap();
        assert_eq!(blob.get(SALT_BYTES..).unwrap(), b"{\"text\":\"SELECT 1\"}");
        assert_eq!(sha256(&blob), commitment);
        assert_eq!(sealer.open(6, &part), None);
        assert_eq!(Sealer::new(&[7; 32], "s_2").unwrap().open(5, &part), None);
        *part.last_mut().unwrap() ^= 1;
        assert_eq!(sealer.open(5, &part), None);
    }
}

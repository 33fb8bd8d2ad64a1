// SPDX-License-Identifier: Apache-2.0
//! What a TLS server's certificate is for channel binding: its hash under the hash function of its
//! own signature, SHA-256 in place of MD5 and SHA-1 (RFC 5929, section 4.1).
//!
//! A certificate is DER (RFC 5280, section 4.1): `SEQUENCE { tbsCertificate SEQUENCE,
//! signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, ... }, ... }`. Only the algorithm's identifier is
//! read. Without an answer: algorithms that name no hash there (RSA-PSS, Ed25519), unknown ones, and
//! what is no such structure; the login then does without channel binding, as libpq's does.

use ring::digest::{digest, Algorithm, SHA256, SHA384, SHA512};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Contents of the object identifiers (RFC 3279, 4055, 5758), and the hash each signs.
const SIGNATURES: [(&[u8], &Algorithm); 10] = [
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", &SHA256), // md5WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", &SHA256), // sha1WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", &SHA256), // sha256WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", &SHA384), // sha384WithRSAEncryption
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", &SHA512), // sha512WithRSAEncryption
    (b"\x2a\x86\x48\xce\x3d\x04\x01", &SHA256),         // ecdsa-with-SHA1
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x02", &SHA256),     // ecdsa-with-SHA256
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x03", &SHA384),     // ecdsa-with-SHA384
    (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", &SHA512),     // ecdsa-with-SHA512
    (b"\x60\x86\x48\x01\x65\x03\x04\x03\x02", &SHA256), // dsa-with-sha256
];

/// The hash of a certificate, or `None` where its signature does not say by which function.
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (inside, _) = take(certificate, SEQUENCE)?;
    let (_, behind) = take(inside, SEQUENCE)?;
    let (algorithm, _) = take(behind, SEQUENCE)?;
    let (identifier, _) = take(algorithm, OBJECT_IDENTIFIER)?;
    let (_, hash) = SIGNATURES.iter().find(|(known, _)| *known == identifier)?;
    Some(digest(hash, certificate).as_ref().to_vec())
}

/// The content of the element of kind `tag` at the front, and what lies behind it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(short), rest),
        // LIMIT: four bytes of length; a certificate in a handshake has less than 2^24.
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (bytes.iter().fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    (first == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use super::*;

    /// A certificate's outline: the two elements that are looked at.
    fn outline(identifier: &[u8], to_sign: usize) -> Vec<u8> {
        let element = |tag: u8, content: &[u8]| {
            let mut der = vec![tag];
            if content.len() > 0x7f {
                der.push(0x82);
                der.extend_from_slice(&u16::try_from(content.len()).unwrap().to_be_bytes());
            } else {
                der.push(u8::try_from(content.len()).unwrap());
            }
            der.extend_from_slice(content);
            der
        };
        let algorithm = element(SEQUENCE, &element(OBJECT_IDENTIFIER, identifier));
        element(SEQUENCE, &[element(SEQUENCE, &vec![0; to_sign]), algorithm].concat())
    }

    #[test]
    fn hashes_by_the_function_of_the_signature() {
        for (identifier, hash) in SIGNATURES {
            let certificate = outline(identifier, 600);
            assert_eq!(end_point(&certificate).unwrap(), digest(hash, &certificate).as_ref());
        }
    }

    #[test]
    fn has_no_answer_for_what_names_no_hash_or_is_cut() {
        assert_eq!(end_point(&outline(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", 600)), None); // RSA-PSS
        assert_eq!(end_point(&outline(b"\x2b\x65\x70", 600)), None); // Ed25519
        let whole = outline(SIGNATURES[2].0, 600);
        for end in 0..whole.len() {
            assert_eq!(end_point(whole.get(..end).unwrap()), None);
        }
        assert_eq!(end_point(&[SEQUENCE, 0x85, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }
}

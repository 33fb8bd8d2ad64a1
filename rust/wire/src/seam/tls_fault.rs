// SPDX-License-Identifier: Apache-2.0
//! Why a client never came inside TLS, in the gate's own words: nothing that a peer said is told.

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The client closed, or was lost, before the handshake was done.
    Closed,
    /// The handshake was not done in time.
    Timeout,
    /// The client broke it off with an alert: mostly it does not trust the gate's certificate.
    Alert,
    /// No version in common.
    Version,
    /// No cipher suite, group or kind of signature in common.
    Cipher,
    /// The client names other protocols only, or none where it has to name one (ALPN).
    Alpn,
    /// What came in the handshake is no TLS, or out of turn.
    Malformed,
    /// What is only served inside TLS came outside.
    Plaintext,
    /// The gate's own fault, or one that has no word here.
    Other,
    /// A certificate is required and the client showed none.
    CertificateMissing,
    /// A certificate that the client showed cannot be read.
    CertificateMalformed,
    /// No configured root vouches for it.
    CertificateAuthority,
    /// A signature is wrong, or of a kind that is not taken: one of the chain, or the client's proof
    /// that it holds the key.
    CertificateSignature,
    /// Its time is over.
    CertificateExpired,
    /// Its time has not come.
    CertificateEarly,
    /// It is not for clients.
    CertificatePurpose,
    /// It is not good for a reason that has no word here; so is an authority's own.
    CertificateOther,
}

impl TlsFault {
    /// The check that failed and the reason, as `docs/spec/entry.md` names them.
    pub fn words(self) -> (&'static str, &'static str) {
        const TLS: &str = "tls";
        const CERTIFICATE: &str = "certificate";
        match self {
            Self::Closed => (TLS, "closed"),
            Self::Timeout => (TLS, "timeout"),
            Self::Alert => (TLS, "alert"),
            Self::Version => (TLS, "version"),
            Self::Cipher => (TLS, "cipher"),
            Self::Alpn => (TLS, "alpn"),
            Self::Malformed => (TLS, "malformed"),
            Self::Plaintext => (TLS, "plaintext"),
            Self::Other => (TLS, "other"),
            Self::CertificateMissing => (CERTIFICATE, "missing"),
            Self::CertificateMalformed => (CERTIFICATE, "malformed"),
            Self::CertificateAuthority => (CERTIFICATE, "authority"),
            Self::CertificateSignature => (CERTIFICATE, "signature"),
            Self::CertificateExpired => (CERTIFICATE, "expired"),
            Self::CertificateEarly => (CERTIFICATE, "not yet valid"),
            Self::CertificatePurpose => (CERTIFICATE, "purpose"),
            Self::CertificateOther => (CERTIFICATE, "other"),
        }
    }
}

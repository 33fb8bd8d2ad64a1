// SPDX-License-Identifier: Apache-2.0
//! What evidence keeps of a client's handshake that failed: a word of ours for each error.

use std::io;

use gatebook_wire::TlsFault;
use rustls::{CertificateError, Error, PeerIncompatible};

/// The fault behind the end of a handshake as server: the socket's own error or end, or what of TLS
/// was wrong.
pub(crate) fn handshake_fault(error: &io::Error) -> TlsFault {
    let of_tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    of_tls.map_or(TlsFault::Closed, tls_fault)
}

/// The fault behind what of TLS was wrong.
pub(crate) fn tls_fault(error: &Error) -> TlsFault {
    match error {
        Error::AlertReceived(_) => TlsFault::Alert,
        Error::PeerIncompatible(lacking) => incompatible(lacking),
        Error::NoApplicationProtocol => TlsFault::Alpn,
        Error::NoCertificatesPresented => TlsFault::CertificateMissing,
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord
        | Error::DecryptError => TlsFault::Malformed,
        _ => TlsFault::Other,
    }
}

fn incompatible(lacking: &PeerIncompatible) -> TlsFault {
    match lacking {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        // Looked for before the version; clients of TLS 1.1 and older do not have it.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => TlsFault::Version,
        _ => TlsFault::Cipher,
    }
}

fn certificate(fault: &CertificateError) -> TlsFault {
    match fault {
        CertificateError::BadEncoding => TlsFault::CertificateMalformed,
        CertificateError::UnknownIssuer => TlsFault::CertificateAuthority,
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            TlsFault::CertificateSignature
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            TlsFault::CertificateExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFault::CertificateEarly
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            TlsFault::CertificatePurpose
        }
        _ => TlsFault::CertificateOther,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, InvalidMessage};

    fn words(error: Error) -> (&'static str, &'static str) {
        handshake_fault(&io::Error::new(io::ErrorKind::InvalidData, error)).words()
    }

    #[test]
    fn each_error_of_a_handshake_has_a_word_of_ours() {
        let certificate = |fault| words(Error::InvalidCertificate(fault));
        for (told, check, reason) in [
            (words(Error::AlertReceived(AlertDescription::UnknownCA)), "tls", "alert"),
            (words(PeerIncompatible::Tls12NotOffered.into()), "tls", "version"),
            (
                words(PeerIncompatible::SignatureAlgorithmsExtensionRequired.into()),
                "tls",
                "version",
            ),
            (words(PeerIncompatible::NoCipherSuitesInCommon.into()), "tls", "cipher"),
            (words(Error::NoApplicationProtocol), "tls", "alpn"),
            (words(InvalidMessage::InvalidContentType.into()), "tls", "malformed"),
            (words(Error::General("anything".to_owned())), "tls", "other"),
            (words(Error::NoCertificatesPresented), "certificate", "missing"),
            (certificate(CertificateError::BadEncoding), "certificate", "malformed"),
            (certificate(CertificateError::UnknownIssuer), "certificate", "authority"),
            (certificate(CertificateError::BadSignature), "certificate", "signature"),
            (certificate(CertificateError::Expired), "certificate", "expired"),
            (certificate(CertificateError::NotValidYet), "certificate", "not yet valid"),
            (certificate(CertificateError::InvalidPurpose), "certificate", "purpose"),
            (certificate(CertificateError::UnhandledCriticalExtension), "certificate", "other"),
        ] {
            assert_eq!(told, (check, reason));
        }
    }

    #[test]
    fn a_lost_socket_is_no_fault_of_the_handshake() {
        let lost = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(handshake_fault(&lost), TlsFault::Closed);
        assert_eq!(handshake_fault(&io::ErrorKind::ConnectionReset.into()), TlsFault::Closed);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! TLS of both roles: server configuration from PEM, client configuration as admission demands.
//!
//! TLS 1.2 and 1.3, ring. No tickets and no early data as server: a session is one connection.

use std::collections::HashMap;
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use gatebook_wire::entry::{hex, sha256};
use gatebook_wire::{TlsDemand, TlsFacts, TlsFault, TlsVerify};
use ring::digest::{Context, SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{ring as provider, CryptoProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, CommonState, DigitallySignedStruct, Error, RootCertStore,
    ServerConfig, ServerConnection, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::end_point::end_point;
use crate::error::CarrierError;
use crate::listener::ServerTls;
use crate::pipes::Pipe;
use crate::tls_fault::{handshake_fault, tls_fault};

/// LIMIT: different demands remembered; more are built each time.
const KEPT_CONFIGS: usize = 64;

/// A server configuration from a certificate chain and its key, and from the roots of clients'
/// certificates, all PEM.
///
/// `alpn` is what the listener's protocol is called; a client that offers only other names is
/// refused in the handshake, one that offers none is served.
pub(crate) fn server_config(
    tls: &ServerTls,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, CarrierError> {
    let chain = CertificateDer::pem_slice_iter(&tls.certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CarrierError::new(format!("the certificate is no PEM: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(&tls.key)
        .map_err(|_| CarrierError::new("the certificate's key is no PEM of a private key"))?;
    let provider = Arc::new(provider::default_provider());
    let clients = client_verifier(tls, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_client_cert_verifier(clients).with_single_cert(chain, key))
        .map_err(|error| CarrierError::new(format!("certificate and key do not serve: {error}")))?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Asks clients for a certificate, or for none. Chain, validity and usage are verified; whose root
/// it was that vouched, the desk finds out again.
fn client_verifier(
    tls: &ServerTls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, CarrierError> {
    if tls.client_roots.is_empty() && !tls.client_required {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let words = |error: &dyn std::fmt::Display| {
        CarrierError::new(format!("the roots of clients' certificates do not serve: {error}"))
    };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&tls.client_roots) {
        let root = root.map_err(|error| words(&error))?;
        roots.add(root).map_err(|error| words(&error))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if tls.client_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map(|made| made as Arc<dyn ClientCertVerifier>).map_err(|error| words(&error))
}

/// Handshake as server. `begun` is what was read of the client's part already.
pub(crate) async fn accept(
    pipe: Pipe,
    config: Arc<ServerConfig>,
    begun: &[u8],
) -> Result<(Pipe, TlsFacts), TlsFault> {
    let Pipe::Plain(socket) = pipe else { return Err(TlsFault::Other) }; // TLS is spoken already
    let mut broken = None;
    let handshake = TlsAcceptor::from(config)
        .accept_with(socket, |connection| broken = take_begun(connection, begun).err());
    if let Some(error) = broken {
        // One turn sends the alert; more would wait for bytes that mend nothing.
        let mut handshake = pin!(handshake);
        poll_fn(|cx| {
            let _ = handshake.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
        return Err(tls_fault(&error));
    }
    let stream = handshake.await.map_err(|error| handshake_fault(&error))?;
    let state = stream.get_ref().1;
    let shown = state.peer_certificates().unwrap_or_default();
    let shown = shown.iter().map(|certificate| certificate.to_vec()).collect();
    let facts = TlsFacts { shown, ..facts(state) };
    Ok((Pipe::Tls(Box::new(TlsStream::Server(stream))), facts))
}

/// Gives the connection what was read already.
fn take_begun(connection: &mut ServerConnection, mut begun: &[u8]) -> Result<(), Error> {
    while !begun.is_empty() {
        let is_taken = connection.read_tls(&mut begun).is_ok_and(|count| count > 0);
        if !is_taken {
            return Err(Error::PeerSentOversizedRecord); // more than it holds for one message
        }
        connection.process_new_packets()?;
    }
    Ok(())
}

/// Client configurations, kept by what was demanded.
#[derive(Debug, Default)]
pub(crate) struct UpstreamTls {
    kept: Mutex<HashMap<[u8; 32], Arc<ClientConfig>>>,
}

impl UpstreamTls {
    /// Handshake as client, verified as demanded; words for the operator where it fails.
    pub(crate) async fn connect(
        &self,
        pipe: Pipe,
        demand: &TlsDemand,
    ) -> Result<(Pipe, TlsFacts), String> {
        let Pipe::Plain(socket) = pipe else { return Err("TLS is spoken already".to_owned()) };
        let config = self.config(demand)?;
        let name = ServerName::try_from(demand.server_name.clone())
            .map_err(|_| format!("`{}` is no name to verify", demand.server_name))?;
        let stream = TlsConnector::from(config)
            .connect(name, socket)
            .await
            .map_err(|error| error.to_string())?;
        let facts = facts(stream.get_ref().1);
        Ok((Pipe::Tls(Box::new(TlsStream::Client(stream))), facts))
    }

    fn config(&self, demand: &TlsDemand) -> Result<Arc<ClientConfig>, String> {
        let mut context = Context::new(&SHA256);
        context.update(match demand.verify {
            TlsVerify::InsecureNone => b"n",
            TlsVerify::Chain => b"c",
            TlsVerify::Full => b"f",
        });
        let (chain, private) = &demand.identity_pem;
        for part in [&demand.roots_pem, chain, private, &demand.alpn] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = kept.get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(client_config(demand)?);
        if kept.len() < KEPT_CONFIGS {
            kept.insert(key, Arc::clone(&config));
        }
        Ok(config)
    }
}

fn client_config(demand: &TlsDemand) -> Result<ClientConfig, String> {
    let provider = Arc::new(provider::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match demand.verify {
        TlsVerify::InsecureNone => Arc::new(AnyCertificate(Arc::clone(&provider))),
        TlsVerify::Chain => Arc::new(AnyName(chain_verifier(demand, &provider)?)),
        TlsVerify::Full => chain_verifier(demand, &provider)?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let (chain_pem, key_pem) = &demand.identity_pem;
    let mut config = if chain_pem.is_empty() {
        builder.with_no_client_auth()
    } else {
        let chain = CertificateDer::pem_slice_iter(chain_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("the gate's own certificate is no PEM: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|_| "the key of the gate's own certificate is no PEM".to_owned())?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("the gate's own certificate and key do not serve: {error}"))?
    };
    config.alpn_protocols.extend((!demand.alpn.is_empty()).then(|| demand.alpn.clone()));
    Ok(config)
}

fn chain_verifier(
    demand: &TlsDemand,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    if demand.roots_pem.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for root in CertificateDer::pem_slice_iter(&demand.roots_pem) {
        let root = root.map_err(|error| format!("the trusted roots are no PEM: {error}"))?;
        roots.add(root).map_err(|error| format!("a trusted root cannot be used: {error}"))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| format!("the trusted roots cannot be used: {error}"))
}

/// Chain to the roots, any name (libpq's `verify-ca`).
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            // The name is looked at last, behind the chain.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Encrypts to whoever answers ([`TlsVerify::InsecureNone`]); the handshake itself is checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What evidence keeps of a handshake.
fn facts(state: &CommonState) -> TlsFacts {
    let version = match state.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "",
    };
    // rustls says `TLS13_AES_...` where IANA says `TLS_AES_...`.
    let cipher = state
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        .map(|name| name.replacen("TLS13_", "TLS_", 1))
        .unwrap_or_default();
    let peer = state.peer_certificates().and_then(|chain| chain.first());
    let alpn = String::from_utf8_lossy(state.alpn_protocol().unwrap_or_default()).into_owned();
    TlsFacts {
        version: version.to_owned(),
        cipher,
        shown: Vec::new(),
        peer_sha256: peer.map(|certificate| hex(&sha256(certificate))).unwrap_or_default(),
        alpn,
        end_point: peer.and_then(|certificate| end_point(certificate)).unwrap_or_default(),
    }
}

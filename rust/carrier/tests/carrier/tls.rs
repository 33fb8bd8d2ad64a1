// SPDX-License-Identifier: Apache-2.0
//! TLS with the client and with the upstream, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::support::{
    certificate, echo, expect, rest, server_tls, upstream, Certificate, Gate, Setup,
};
use gatebook_carrier::ServerTls;
use gatebook_wire::{TlsDemand, TlsVerify};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

type Client = StreamOwned<ClientConnection, TcpStream>;

fn gate(certificate: &Certificate) -> Gate {
    Gate::start(Setup { certificate: Some(certificate.clone()), ..Setup::default() })
}

/// A gate that asks clients for a certificate of this one's root.
fn asking(clients: &Certificate, required: bool) -> (Gate, Certificate) {
    let own = certificate("gate.test");
    let clients = (clients.root.clone(), required);
    let certificate = Some(own.clone());
    (Gate::start(Setup { certificate, clients, ..Setup::default() }), own)
}

/// A TLS client that trusts `root`, after the gate's `S`.
fn secure(gate: &Gate, root: &[u8], alpn: &[&[u8]]) -> std::io::Result<Client> {
    secure_as(gate, root, alpn, None)
}

/// The same, with a certificate of its own to show.
fn secure_as(
    gate: &Gate,
    root: &[u8],
    alpn: &[&[u8]],
    own: Option<&Certificate>,
) -> std::io::Result<Client> {
    let mut plain = gate.connect();
    plain.write_all(b"S").unwrap();
    expect(&mut plain, b"S");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let chain = CertificateDer::pem_slice_iter(&own.chain).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(&own.key).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("gate.test").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    connection.complete_io(&mut plain)?;
    Ok(StreamOwned::new(connection, plain))
}

/// An upstream that echoes inside TLS.
fn secure_echo(certificate: &Certificate) -> u16 {
    let chain = CertificateDer::pem_slice_iter(&certificate.chain).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(&certificate.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    upstream(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            stream.write_all(buffer.get(..count).unwrap()).unwrap();
        }
    })
}

fn demand(name: &str, verify: TlsVerify, roots: &[u8]) -> TlsDemand {
    TlsDemand {
        server_name: name.to_owned(),
        verify,
        roots_pem: roots.to_vec(),
        identity_pem: Default::default(),
        alpn: Vec::new(),
    }
}

/// What a client hears that is let in under this demand.
fn heard(gate: &Gate, port: u16, tls: TlsDemand) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let session = format!("s{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut client = gate.connect();
    client.write_all(b"H").unwrap();
    assert!(gate.carrier.admit(gate.hello(), crate::support::admission(&session, port, Some(tls))));
    let mut word = [0; 2];
    client.read_exact(&mut word).unwrap();
    if &word == b"ok" {
        client.write_all(b"ping").unwrap();
        expect(&mut client, b"ping");
        return "ok".to_owned();
    }
    String::from_utf8_lossy(&word).into_owned() + &rest(&mut client)
}

#[test]
fn a_client_inside_tls_reaches_a_plain_upstream_and_the_facts_are_kept() {
    let certificate = certificate("gate.test");
    let gate = gate(&certificate);
    let mut client = secure(&gate, &certificate.root, &[]).unwrap();
    client.write_all(b"H").unwrap();
    assert!(gate
        .carrier
        .admit(gate.hello(), crate::support::admission("s1", upstream(echo), None)));
    expect(&mut client, b"ok");
    client.write_all(b"short").unwrap();
    expect(&mut client, b"short");
    for round in 0..100_u8 {
        let block = vec![b'a' + round % 26; 50_000];
        let mut back = vec![0; block.len()];
        client.write_all(&block).unwrap();
        client.read_exact(&mut back).unwrap();
        assert!(back == block, "round {round}");
    }
    let facts = gate.seen.peers.lock().unwrap().first().cloned().unwrap();
    assert_eq!(facts.version, "TLSv1.3");
    assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
    assert_eq!(facts.peer_sha256, "");
}

#[test]
fn an_ended_session_says_goodbye_inside_tls() {
    let certificate = certificate("gate.test");
    let gate = gate(&certificate);
    let mut client = secure(&gate, &certificate.root, &[b"relay"]).unwrap();
    client.write_all(b"H").unwrap();
    assert!(gate.carrier.answer(gate.hello(), gatebook_wire::Answer::Silence));
    // An end without close_notify would be an error here.
    assert_eq!(rest(&mut client), "bye:silence");
}

#[test]
fn a_client_that_speaks_another_protocol_is_refused_in_the_handshake() {
    let certificate = certificate("gate.test");
    let gate = gate(&certificate);
    let error = secure(&gate, &certificate.root, &[b"http/1.1"]).unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    assert_eq!(gate.not_secured(), ("tls", "alpn"));
}

#[test]
fn a_listener_without_certificate_closes_a_client_that_wants_tls() {
    let gate = Gate::start(Setup::default());
    let mut client = gate.connect();
    client.write_all(b"S").unwrap();
    assert_eq!(rest(&mut client), "S");
    assert_eq!(gate.not_secured(), ("tls", "other"));
}

#[test]
fn what_is_no_tls_a_client_that_leaves_and_one_that_does_not_trust_the_gate_are_told_apart() {
    let gate = gate(&certificate("gate.test"));
    let asked = || {
        let mut client = gate.connect();
        client.write_all(b"S").unwrap();
        expect(&mut client, b"S");
        client
    };
    let mut babbling = asked();
    babbling.write_all(b"GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n").unwrap();
    assert_eq!(gate.not_secured(), ("tls", "malformed"));
    drop(asked());
    assert_eq!(gate.not_secured(), ("tls", "closed"));
    let stranger = certificate("gate.test");
    assert!(secure(&gate, &stranger.root, &[]).is_err());
    assert_eq!(gate.not_secured(), ("tls", "alert"));
}

#[test]
fn a_connection_that_says_nothing_is_no_failed_handshake() {
    let gate = gate(&certificate("gate.test"));
    drop(gate.connect());
    assert_eq!(gate.ended().cause, "client closed");
    assert!(gate.carrier.desk().drain(9).is_empty());
}

#[test]
fn new_connections_meet_the_reloaded_certificate_and_open_ones_live_on() {
    let (old, new) = (certificate("gate.test"), certificate("gate.test"));
    let gate = gate(&old);
    let mut open = secure(&gate, &old.root, &[]).unwrap();
    gate.carrier.reload_tls(gate.listener, &server_tls(&new)).unwrap();
    assert!(secure(&gate, &old.root, &[]).is_err());
    assert!(secure(&gate, &new.root, &[]).is_ok());
    open.write_all(b"H").unwrap();
    assert!(gate.carrier.answer(gate.hello(), gatebook_wire::Answer::Silence));
    expect(&mut open, b"bye:silence");
    let nonsense = ServerTls { certificate: b"nonsense".to_vec(), ..ServerTls::default() };
    let error = gate.carrier.reload_tls(gate.listener, &nonsense).unwrap_err();
    assert!(error.to_string().starts_with("the certificate"), "{error}");
    assert!(secure(&gate, &new.root, &[]).is_ok());
}

/// What a client hears that shows this certificate: `bye` of a desk that lets nobody in, or why not.
fn shown(gate: &Gate, own: &Certificate, client: Option<&Certificate>) -> Result<String, String> {
    let mut stream = secure_as(gate, &own.root, &[], client).map_err(|error| error.to_string())?;
    stream.write_all(b"H").map_err(|error| error.to_string())?;
    // In TLS 1.3 the server's no to a certificate comes behind the client's own handshake.
    let mut first = [0; 1];
    let mut answer = std::thread::scope(|scope| {
        scope.spawn(|| gate.carrier.answer(gate.hello(), gatebook_wire::Answer::Silence));
        stream.read_exact(&mut first).map(|()| String::from_utf8_lossy(&first).into_owned())
    })
    .map_err(|error| error.to_string())?;
    answer.push_str(&rest(&mut stream));
    Ok(answer)
}

#[test]
fn a_client_that_shows_a_certificate_of_a_root_is_known_by_it_and_one_without_comes_too() {
    let client = certificate("agent.test");
    let (gate, own) = asking(&client, false);
    assert_eq!(shown(&gate, &own, Some(&client)).unwrap(), "bye:silence");
    assert_eq!(shown(&gate, &own, None).unwrap(), "bye:silence");
    let peers = gate.seen.peers.lock().unwrap();
    let ders: Vec<Vec<Vec<u8>>> = peers.iter().map(|facts| facts.shown.clone()).collect();
    let chain: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&client.chain)
        .map(|certificate| certificate.unwrap().to_vec())
        .collect();
    assert_eq!(ders, [chain, Vec::new()]);
}

#[test]
fn a_certificate_of_another_root_is_refused_in_the_handshake() {
    let (client, stranger) = (certificate("agent.test"), certificate("stranger.test"));
    let (gate, own) = asking(&client, false);
    let mut stream = secure_as(&gate, &own.root, &[], Some(&stranger)).unwrap();
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert!(error.to_string().contains("UnknownCA"), "{error}");
    assert_eq!(gate.not_secured(), ("certificate", "authority"));
}

#[test]
fn where_a_certificate_is_required_none_comes_without() {
    let client = certificate("agent.test");
    let (gate, own) = asking(&client, true);
    let mut stream = secure_as(&gate, &own.root, &[], None).unwrap();
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    assert_eq!(gate.not_secured(), ("certificate", "missing"));
    assert_eq!(shown(&gate, &own, Some(&client)).unwrap(), "bye:silence");
}

#[test]
fn reloaded_roots_hold_for_new_connections_and_wrong_ones_are_refused() {
    let (first, second) = (certificate("agent.test"), certificate("agent.test"));
    let (gate, own) = asking(&first, false);
    let tls = ServerTls { client_roots: second.root.clone(), ..server_tls(&own) };
    gate.carrier.reload_tls(gate.listener, &tls).unwrap();
    assert_eq!(shown(&gate, &own, Some(&second)).unwrap(), "bye:silence");
    let mut stream = secure_as(&gate, &own.root, &[], Some(&first)).unwrap();
    assert!(stream.read(&mut [0; 1]).is_err());
    let none = ServerTls { client_required: true, ..server_tls(&own) };
    let plain = ServerTls { client_required: true, ..ServerTls::default() };
    for wrong in [none, plain] {
        let error = gate.carrier.reload_tls(gate.listener, &wrong).unwrap_err().to_string();
        assert!(error.contains("certificates"), "{error}");
    }
}

#[test]
fn full_verification_wants_chain_and_name() {
    let certificate = certificate("db.test");
    let port = secure_echo(&certificate);
    let gate = Gate::start(Setup::default());
    let full = |name| heard(&gate, port, demand(name, TlsVerify::Full, &certificate.root));
    assert_eq!(full("db.test"), "ok");
    assert!(full("other.test").contains("not valid for name"), "{}", full("other.test"));
    let facts = gate.seen.peers.lock().unwrap().first().cloned().unwrap();
    assert_eq!((facts.version.as_str(), facts.peer_sha256.len()), ("TLSv1.3", 64));
}

#[test]
fn chain_verification_takes_any_name_under_a_known_root() {
    let certificate = certificate("db.test");
    let port = secure_echo(&certificate);
    let stranger = crate::support::certificate("db.test");
    let gate = Gate::start(Setup::default());
    let chain = |root: &[u8]| heard(&gate, port, demand("10.0.0.9", TlsVerify::Chain, root));
    assert_eq!(chain(&certificate.root), "ok");
    let refused = chain(&stranger.root);
    assert!(refused.contains("certificate"), "{refused}");
    assert!(refused.ends_with("bye:upstream failed"), "{refused}");
    let public = heard(&gate, port, demand("db.test", TlsVerify::Full, b""));
    assert!(public.ends_with("bye:upstream failed"), "{public}");
}

#[test]
fn no_verification_encrypts_to_whoever_answers() {
    let port = secure_echo(&certificate("db.test"));
    let gate = Gate::start(Setup::default());
    assert_eq!(heard(&gate, port, demand("any.test", TlsVerify::InsecureNone, b"")), "ok");
}

#[test]
fn an_upstream_that_speaks_no_tls_fails() {
    let gate = Gate::start(Setup::default());
    let port = upstream(|mut stream| stream.write_all(b"N, and no TLS here").unwrap());
    let words = heard(&gate, port, demand("db.test", TlsVerify::InsecureNone, b""));
    assert!(words.ends_with("bye:upstream failed"), "{words}");
}

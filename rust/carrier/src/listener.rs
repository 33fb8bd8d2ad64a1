// SPDX-License-Identifier: Apache-2.0
//! Accepting connections: bound addresses, certificates that can be swapped, one bound on
//! connections that have not logged in.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use gatebook_wire::Conversation;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::error::CarrierError;
use crate::lanes::Lanes;
use crate::pipes::tune;
use crate::session::Session;
use crate::shared::Shared;
use crate::tls;

/// Pause after an accept that failed for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(100);

/// Makes the conversation of a new connection.
pub type ConversationMaker = Arc<dyn Fn() -> Box<dyn Conversation> + Send + Sync>;

/// What to listen on and what to speak there.
pub struct ListenSpec {
    /// Address or name to bind.
    pub host: String,
    /// Port; 0 picks a free one.
    pub port: u16,
    /// How TLS is spoken there.
    pub tls: ServerTls,
    /// The protocol's ALPN names.
    pub alpn: &'static [&'static [u8]],
    /// Makes a conversation per connection.
    pub make: ConversationMaker,
}

/// TLS of a listener as its owner wants it.
#[derive(Clone, Default)]
pub struct ServerTls {
    /// Certificate chain, PEM; empty where no TLS is spoken, together with `key`.
    pub certificate: Vec<u8>,
    /// Private key, PEM.
    pub key: Vec<u8>,
    /// Roots of clients' certificates, PEM; empty where clients are asked for none.
    pub client_roots: Vec<u8>,
    /// A client without a certificate is refused in the handshake.
    pub client_required: bool,
}

/// TLS of one listener; `None` where it has no certificate.
pub(crate) type ListenerTls = Arc<RwLock<Option<Arc<ServerConfig>>>>;

/// A bound listener. Dropping it stops accepting.
pub(crate) struct Listener {
    alpn: &'static [&'static [u8]],
    tls: ListenerTls,
    task: JoinHandle<()>,
}

impl Listener {
    /// Binds and starts accepting; the port that was bound.
    pub(crate) async fn start(
        id: u32,
        spec: ListenSpec,
        shared: Arc<Shared>,
        lanes: Arc<Lanes>,
    ) -> Result<(Self, u16), CarrierError> {
        let tls = config(&spec.tls, spec.alpn)?;
        let words = |error: io::Error| {
            CarrierError::new(format!("cannot listen on {}:{}: {error}", spec.host, spec.port))
        };
        let socket = TcpListener::bind((spec.host.as_str(), spec.port)).await.map_err(words)?;
        let port = socket.local_addr().map_err(words)?.port();
        let tls = Arc::new(RwLock::new(tls));
        let door = Door { id, tls: Arc::clone(&tls), make: spec.make, shared, lanes };
        let task = tokio::spawn(accept(socket, door));
        Ok((Self { alpn: spec.alpn, tls, task }, port))
    }

    /// New connections speak TLS like this; those that are open go on as they began.
    pub(crate) fn reload(&self, tls: &ServerTls) -> Result<(), CarrierError> {
        let fresh = config(tls, self.alpn)?;
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(tls: &ServerTls, alpn: &[&[u8]]) -> Result<Option<Arc<ServerConfig>>, CarrierError> {
    if tls.certificate.is_empty() && tls.key.is_empty() {
        // Without TLS no certificate can be asked for: silence would let everybody in without one.
        let is_plain = tls.client_roots.is_empty() && !tls.client_required;
        let words = "certificates of clients are asked for, and no TLS is spoken";
        return if is_plain { Ok(None) } else { Err(CarrierError::new(words)) };
    }
    tls::server_config(tls, alpn).map(Some)
}

struct Door {
    id: u32,
    tls: ListenerTls,
    make: ConversationMaker,
    shared: Arc<Shared>,
    lanes: Arc<Lanes>,
}

async fn accept(socket: TcpListener, door: Door) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => enter(&door, stream, peer),
            // The peer gave up before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                door.shared.desk.fault("listener", &error.to_string());
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

fn enter(door: &Door, stream: TcpStream, peer: SocketAddr) {
    let tally = &door.shared.tally;
    tally.connections.fetch_add(1, Ordering::Relaxed);
    let Ok(permit) = Arc::clone(&door.shared.before_login).try_acquire_owned() else {
        tally.turned_away.fetch_add(1, Ordering::Relaxed);
        return;
    };
    if door.shared.registry.counts().0 >= door.shared.most_connections {
        tally.turned_away.fetch_add(1, Ordering::Relaxed);
        return;
    }
    // Fails only on a socket that is gone already, which reading then finds.
    let _ = tune(&stream);
    let tls = door.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
    let (shared, conversation, id) = (Arc::clone(&door.shared), (door.make)(), door.id);
    // The stream is handed over without its place in this thread's reactor.
    let (Ok(stream), Some(lane)) = (stream.into_std(), door.lanes.next()) else { return };
    lane.spawn(async move {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        Session::new(shared, conversation, stream, id, peer, tls, permit).run().await;
    });
}

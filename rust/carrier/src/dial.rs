// SPDX-License-Identifier: Apache-2.0
//! Opening the upstream: names resolved, every address tried, one deadline over all.

use std::time::Duration;

use gatebook_wire::Dial;
use tokio::net::{lookup_host, TcpStream, UnixStream};

use crate::pipes::{tune, Socket};

/// LIMIT: resolving and connecting together; libpq's users set five to ten seconds.
pub(crate) const DIAL: Duration = Duration::from_secs(10);

/// Connects within [`DIAL`]; words for the operator where it cannot.
pub(crate) async fn dial(to: &Dial) -> Result<Socket, String> {
    tokio::time::timeout(DIAL, connect(to))
        .await
        .map_err(|_| format!("{}: no answer in {} s", place(to), DIAL.as_secs()))?
        .map_err(|error| format!("{}: {error}", place(to)))
}

async fn connect(to: &Dial) -> std::io::Result<Socket> {
    if to.host.starts_with('/') {
        return Ok(Socket::Unix(UnixStream::connect(&to.host).await?));
    }
    let mut failure = std::io::Error::other("the name has no address");
    for address in lookup_host((to.host.as_str(), to.port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                tune(&stream)?;
                return Ok(Socket::Tcp(stream));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn place(to: &Dial) -> String {
    if to.host.starts_with('/') {
        return to.host.clone();
    }
    format!("{}:{}", to.host, to.port)
}

// SPDX-License-Identifier: Apache-2.0
//! A side connection that sends a few bytes and closes: best effort, bounded, says nothing.

use std::time::Duration;

use gatebook_wire::Errand;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dial::dial;
use crate::pipes::Pipe;
use crate::tls::UpstreamTls;

/// LIMIT: from dial to close.
pub(crate) const ERRAND: Duration = Duration::from_secs(5);

/// Runs it. A failure changes nothing: what the errand wanted stopped then ends by itself.
pub(crate) async fn run(errand: Errand, tls: &UpstreamTls) {
    let _ = tokio::time::timeout(ERRAND, send(errand, tls)).await;
}

async fn send(errand: Errand, tls: &UpstreamTls) -> Result<(), String> {
    let words = |error: std::io::Error| error.to_string();
    let mut pipe = Pipe::Plain(dial(&errand.dial).await?);
    if let Some(demand) = &errand.tls {
        let (preface, expected) = &errand.preface;
        pipe.write_all(preface).await.map_err(words)?;
        let mut answer = vec![0; expected.len()];
        pipe.read_exact(&mut answer).await.map_err(words)?;
        if answer != *expected {
            return Err("another answer than expected".to_owned());
        }
        pipe = tls.connect(pipe, demand).await?.0;
    }
    pipe.write_all(&errand.bytes).await.map_err(words)?;
    pipe.shutdown().await.map_err(words)?;
    // The peer closes once it has acted: what comes after must not overtake it.
    let _ = pipe.read(&mut [0; 16]).await;
    Ok(())
}

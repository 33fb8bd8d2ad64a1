// SPDX-License-Identifier: Apache-2.0
//! The driver's turn: journal, recording, bytes, commands, in the order that `seam` fixes, and
//! the end of a session.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use gatebook_wire::{Ask, Cause, Command, Dial, Event, Hello, Out, TlsDemand, TlsFault};

use crate::asks::Open;
use crate::desk::{Asked, Cancelling, Greeting, NotSecured};
use crate::dial::{dial, DIAL};
use crate::journal::Written;
use crate::parser::PARSE_US;
use crate::pipes::Pipe;
use crate::pool;
use crate::recorder::{Push, RecordingHandle};
use crate::session::{wide, Life, Session};
use crate::shared::{EvidenceFault, EVIDENCE_FAILED};
use crate::side::{Failure, Opened, Side};
use crate::{errand, tls};

/// LIMIT: a handshake of either side.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// LIMIT: the client's last bytes, once the session is over.
const FLUSH: Duration = Duration::from_secs(5);
/// LIMIT: goodbyes, and reading what a client still sends so that its last answer is not reset.
const GOODBYE: Duration = Duration::from_secs(1);

impl Session {
    /// Carries out what the event brought. Evidence that cannot be written ends the session.
    pub(crate) async fn settle(&mut self) {
        let Some(mut out) = self.out.take() else { return };
        match self.carry(&mut out).await {
            Ok(()) => pool::put(out),
            Err(fault) => self.end_without_evidence(&fault, out).await,
        }
    }

    async fn carry(&mut self, out: &mut Out) -> Result<(), EvidenceFault> {
        self.write_entries(out).await?;
        self.check_recording(out)?;
        self.moved.upstream_out += wide(out.upstream().len());
        self.moved.client_out += wide(out.client().len());
        self.upstream.send(out.upstream()).await;
        self.client.send(out.client()).await;
        // Behind the bytes, while the peers already work: the recorder takes whatever it is given,
        // and one that takes nothing more was found above.
        self.record(out)?;
        for command in out.commands.drain(..) {
            self.obey(command)?;
        }
        Ok(())
    }

    /// Writes the batch and gives the token, until nothing is left to write.
    async fn write_entries(&mut self, out: &mut Out) -> Result<(), EvidenceFault> {
        while !out.batch().is_empty() {
            let written = self
                .shared
                .journal
                .write_kernel(out.batch_mut())
                .map_err(EvidenceFault::journal)?;
            let token = match written {
                Written::Done(token) => token,
                Written::NeedsSync(pending) => {
                    pending.wait(out.batch_mut()).await.map_err(EvidenceFault::journal)?
                }
            };
            self.conversation.on(Event::Written(token), self.shared.clock.now(), out);
        }
        Ok(())
    }

    /// Before a byte leaves: a recording is open for the turn's frames and has not failed.
    fn check_recording(&mut self, out: &mut Out) -> Result<(), EvidenceFault> {
        if out.frames().is_empty() {
            return Ok(());
        }
        if self.recording.is_none() {
            let opens = |command: &Command| matches!(command, Command::OpenRecording { .. });
            let Some(at) = out.commands.iter().position(opens) else {
                return Err(EvidenceFault::recording("frames came before their recording"));
            };
            let command = out.commands.remove(at);
            self.obey(command)?;
        }
        let failed = self.recording.as_ref().and_then(RecordingHandle::failed);
        failed.map_or(Ok(()), |words| Err(EvidenceFault::recording(words)))
    }

    /// Hands the turn's frames to the recorder.
    fn record(&mut self, out: &Out) -> Result<(), EvidenceFault> {
        let Some(recording) = self.recording.as_ref().filter(|_| !out.frames().is_empty()) else {
            return Ok(());
        };
        let push = recording.push(out.frames(), out.frame_bytes());
        if push == Push::Full {
            if let Some(words) = recording.failed() {
                return Err(EvidenceFault::recording(words));
            }
            if self.room.is_none() {
                self.room = Some(Box::pin(recording.room()));
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> Result<(), EvidenceFault> {
        match command {
            Command::StartClientTls(begun) => self.start_client_tls(begun),
            Command::NotSecured(fault) => self.not_secured(fault),
            Command::Dial(to) => self.start_dial(to),
            Command::StartUpstreamTls(demand) => self.start_upstream_tls(demand),
            Command::Ask(local, ask) => {
                self.asks.push(local, ask);
                self.ask_next();
            }
            Command::Forget(local) => {
                self.asks.forget(&self.shared.desk, local);
                self.ask_next();
            }
            Command::OpenRecording { session, key, head } => {
                let opened = self.shared.recorder.open(&session, *key, &head);
                self.recording = Some(opened.map_err(EvidenceFault::recording)?);
            }
            Command::Register(key) => {
                self.shared.registry.register(&key, &self.name, &self.mailbox);
                self.keys.push(key);
            }
            Command::Signal(key) => self.shared.registry.signal(&key),
            Command::Errand(errand) => {
                let shared = Arc::clone(&self.shared);
                let run = async move { errand::run(*errand, &shared.upstream_tls).await };
                self.errands.push(tokio::spawn(run));
            }
            Command::CatalogueChanged(session) => self.shared.desk.catalogue_changed(session),
            Command::End(_, ended) => self.ended = Some(ended),
        }
        Ok(())
    }

    fn start_client_tls(&mut self, begun: Vec<u8>) {
        let config = self.tls.clone();
        self.client.start_on_pipe(HANDSHAKE, |pipe| async move {
            let config = config.ok_or(TlsFault::Other)?; // this listener has no certificate
            let accepted = tls::accept(pipe, config, &begun).await;
            accepted.map(|(pipe, facts)| Opened::Tls(pipe, facts)).map_err(Failure::from)
        });
    }

    /// Tells the desk that the client never came inside TLS.
    pub(crate) fn not_secured(&self, fault: TlsFault) {
        let peer = (self.peer.ip().to_string(), self.peer.port());
        self.shared.desk.not_secured(NotSecured { peer, fault });
    }

    fn start_dial(&mut self, to: Dial) {
        debug_assert!(DIAL <= HANDSHAKE);
        self.upstream
            .start(Box::pin(async move { Ok(Opened::Dialled(Pipe::Plain(dial(&to).await?))) }));
    }

    fn start_upstream_tls(&mut self, demand: TlsDemand) {
        let shared = Arc::clone(&self.shared);
        self.upstream.start_on_pipe(HANDSHAKE, move |pipe| async move {
            let opened = shared.upstream_tls.connect(pipe, &demand).await;
            opened.map(|(pipe, facts)| Opened::Tls(pipe, facts)).map_err(Failure::from)
        });
    }

    /// The conversation has an answer: the next ask may go.
    pub(crate) fn answered(&mut self, local: u64) {
        self.asks.closed(local);
        self.ask_next();
        self.arm();
    }

    fn ask_next(&mut self) {
        while let Some((local, ask)) = self.asks.next() {
            let (key, asked, is_parsed) = self.address(ask);
            let desk = &self.shared.desk;
            let Some(ticket) = desk.ask(&self.mailbox, local, key.into(), asked) else {
                self.mailbox.answer(local, gatebook_wire::Answer::Silence);
                continue;
            };
            let now = self.shared.clock.now().mono_us;
            let deadline_us = now.saturating_add(self.shared.desk_deadline_us);
            let parse_until_us = is_parsed.then_some(now.saturating_add(PARSE_US));
            self.asks.opened(Open { local, ticket, deadline_us, parse_until_us });
            self.arm();
        }
    }

    /// Who takes turns for an ask, and what the desk is told with it.
    fn address(&self, ask: Ask) -> (String, Asked, bool) {
        match ask {
            Ask::Hello(hello) => {
                let ip = self.peer.ip().to_string();
                // A principal's key never looks like this one: nobody waits behind strangers.
                let key = format!("peer {ip}");
                (key, Asked::Hello(Box::new(self.greeting(ip, *hello))), false)
            }
            Ask::Question(question) => {
                let key = format!("principal {}", question.principal);
                (key, Asked::Question(Arc::new(*question)), true)
            }
            Ask::Cancel(key) => {
                let ip = self.peer.ip().to_string();
                let session = self.shared.registry.owner(&key);
                let peer = (ip.clone(), self.peer.port());
                (format!("peer {ip}"), Asked::Cancel(Box::new(Cancelling { peer, session })), false)
            }
        }
    }

    fn greeting(&self, ip: String, hello: Hello) -> Greeting {
        Greeting { listener: self.listener, peer: (ip, self.peer.port()), hello }
    }

    /// Ends a session whose entries or frames cannot be written. Nothing of the failed turn
    /// leaves; the client is told by what the conversation says at its end, and the upstream
    /// hears nothing more.
    async fn end_without_evidence(&mut self, fault: &EvidenceFault, failed: Out) {
        self.shared.evidence_failed(fault);
        let mut last = failed;
        let mut is_sayable = self.life == Life::Ending;
        if !self.conversation.is_over() {
            last = Out::default();
            is_sayable = true;
            let cause = Cause::with(EVIDENCE_FAILED, fault.note.clone());
            self.conversation.on(Event::End(cause), self.shared.clock.now(), &mut last);
            // Where only the recording failed, the journal still takes the session's end.
            let _ = self.write_entries(&mut last).await;
        }
        if is_sayable {
            self.client.send(last.client()).await;
        }
        for command in last.commands.drain(..) {
            if matches!(command, Command::Errand(_) | Command::Forget(_) | Command::End(..)) {
                // None of the three writes evidence.
                let _ = self.obey(command);
            }
        }
        let mut ended = self.ended.take().unwrap_or_default();
        EVIDENCE_FAILED.clone_into(&mut ended.cause);
        self.ended = Some(ended);
    }

    /// The end of a connection: last bytes out, both sides closed, recording sealed, desk told.
    pub(crate) async fn close(&mut self) {
        let ended = self.ended.take().unwrap_or_default();
        self.asks.forget_all(&self.shared.desk);
        let errands = std::mem::take(&mut self.errands);
        let mut upstream = std::mem::take(&mut self.upstream);
        let client = finish(&mut self.client, FLUSH);
        let upstream = async {
            // What the errand stops must still be there when it arrives.
            for errand in errands {
                let _ = errand.await;
            }
            finish(&mut upstream, GOODBYE).await;
            drop(upstream);
        };
        tokio::join!(client, upstream);
        if let Some(recording) = self.recording.take() {
            recording.seal().await;
        }
        self.leave(ended);
        let _ = tokio::time::timeout(GOODBYE, linger(&mut self.client)).await;
    }
}

/// Sends what waits within `bound`, then says goodbye.
async fn finish(side: &mut Side, bound: Duration) {
    let _ = tokio::time::timeout(bound, poll_fn(|cx| side.poll_flush(cx))).await;
    let _ = tokio::time::timeout(GOODBYE, side.shut()).await;
}

/// Reads and drops what the peer still sends: closing over unread bytes would reset the
/// connection and could take the last answer with it.
async fn linger(side: &mut Side) {
    while side.is_readable() {
        poll_fn(|cx| side.poll_read(cx, |_| ())).await;
    }
}

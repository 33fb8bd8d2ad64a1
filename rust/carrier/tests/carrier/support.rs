// SPDX-License-Identifier: Apache-2.0
//! A small conversation over real loopback sockets, a desk that answers, and certificates.
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gatebook_carrier::journal::{FaultPlan, Journal, SyncMode};
use gatebook_carrier::{Carrier, Item, ListenSpec, Options, Parsed, ServerTls};
use gatebook_wire::proof::{Authorized, Cleared, Housekeeping, MaskPlan, Stage};
use gatebook_wire::{
    Admission, Answer, Ask, Cause, Command, Conversation, Dial, Durability, Ended, Errand, Event,
    Held, Moment, Out, Question, Refusal, TlsDemand, Verdict,
};

#[path = "../../../wire/examples/support/admission.rs"]
mod plain;

/// Leaf of every entry of a relay.
const ENTRY: &[u8] = br#"{"event":"test"}"#;

/// Bytes the relay saw, for assertions.
#[derive(Debug, Default)]
pub struct Seen {
    pub ticks: AtomicU64,
    pub peers: Mutex<Vec<gatebook_wire::TlsFacts>>,
}

/// `S` starts TLS, `H` asks to come in; then bytes are relayed, each piece with an entry. A
/// piece that begins with `?` is a question, `#` has to reach the disk, `!` panics, `*` signals
/// the session named behind it. A question that is held is given up where its session is signalled.
pub struct Relay {
    seen: Arc<Seen>,
    stage: Stage,
    state: State,
    tls: Option<TlsDemand>,
    dial: Option<Dial>,
    session: String,
    held: Vec<u8>,
    asked: u64,
    over: bool,
    busy: bool,
}

#[derive(PartialEq, Clone, Copy, Debug)]
enum State {
    Start,
    Waiting,
    Held,
    Relaying,
}

impl Relay {
    pub fn new(seen: Arc<Seen>) -> Self {
        Self {
            seen,
            stage: Stage::default(),
            state: State::Start,
            tls: None,
            dial: None,
            session: String::new(),
            held: Vec::new(),
            asked: 0,
            over: false,
            busy: false,
        }
    }

    fn say(out: &mut Out, words: &str) {
        out.send_client(Cleared::own_words(words.as_bytes()));
    }

    fn end(&mut self, cause: Cause, out: &mut Out) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        Self::say(out, &format!("bye:{}", cause.word));
        if !self.session.is_empty() {
            out.batch_mut().push(ENTRY, b"", Durability::Kernel);
        }
        if let Some(dial) = self.dial.clone().filter(|_| cause.word == "operator") {
            let bytes = b"cancel".to_vec();
            let errand = Errand { dial, preface: (vec![], vec![]), tls: None, bytes };
            out.commands.push(Command::Errand(Box::new(errand)));
        }
        let ended = Ended {
            session: self.session.clone(),
            cause: cause.word.to_owned(),
            ..Ended::default()
        };
        out.commands.push(Command::End(cause, Box::new(ended)));
    }

    fn forward(&mut self, bytes: &[u8], at: Moment, out: &mut Out) {
        self.stage.push(Authorized::housekeeping(Housekeeping::Order), bytes);
        let need = if bytes.starts_with(b"#") { Durability::Disk } else { Durability::Kernel };
        out.batch_mut().push(ENTRY, b"", need);
        out.record(b'>', at.unix_us, bytes);
    }

    fn ask(&mut self, ask: Ask, out: &mut Out) {
        self.asked += 1;
        out.commands.push(Command::Ask(self.asked, ask));
    }

    fn question(&mut self, out: &mut Out) {
        self.state = State::Waiting;
        let question = Question {
            session: self.session.clone(),
            principal: self.session.clone(),
            text: self.held.clone(),
            ..Question::default()
        };
        self.ask(Ask::Question(Box::new(question)), out);
    }

    fn signalled(&mut self, out: &mut Out) {
        Self::say(out, "signal");
        if self.state == State::Held {
            out.commands.push(Command::Forget(self.asked));
            self.state = State::Relaying;
        }
    }

    fn client(&mut self, bytes: &[u8], at: Moment, out: &mut Out) {
        match (self.state, bytes.first()) {
            (State::Start, Some(b'S')) => {
                Self::say(out, "S");
                out.commands.push(Command::StartClientTls(Vec::new()));
            }
            (State::Start, Some(b'H')) => {
                self.state = State::Waiting;
                self.ask(Ask::Hello(Box::default()), out);
            }
            (State::Relaying, Some(b'?')) => {
                self.held = bytes.to_vec();
                self.question(out);
            }
            (_, Some(b'!')) => panic!("on purpose"),
            (State::Relaying, Some(b'*')) => {
                let key = bytes.get(1..).unwrap_or_default();
                out.commands.push(Command::Signal(key.to_vec()));
            }
            (State::Relaying, _) => {
                self.busy = true;
                self.forward(bytes, at, out);
            }
            _ => self.end(Cause::of("protocol violation"), out),
        }
    }

    fn answered(&mut self, answer: Answer, at: Moment, out: &mut Out) {
        match answer {
            Answer::Admitted(admission) => {
                self.session.clone_from(&admission.session);
                self.tls = admission.tls;
                self.dial = Some(admission.dial.clone());
                out.commands.push(Command::OpenRecording {
                    session: admission.session.clone(),
                    key: Box::new(admission.recording_key),
                    head: b"{}\n".to_vec(),
                });
                out.commands.push(Command::Register(admission.session.into_bytes()));
                out.commands.push(Command::Dial(admission.dial));
            }
            Answer::Verdict(_) => {
                self.state = State::Relaying;
                let held = std::mem::take(&mut self.held);
                self.forward(&held, at, out);
            }
            Answer::Held(held) => {
                self.state = State::Held;
                Self::say(out, &held.notice.message);
            }
            Answer::Resume => self.question(out),
            Answer::Refused(_) | Answer::Noted | Answer::Silence => {
                self.end(Cause::of("silence"), out);
            }
        }
    }

    fn ready(&mut self, out: &mut Out) {
        self.state = State::Relaying;
        Self::say(out, "ok");
    }
}

impl Conversation for Relay {
    fn on(&mut self, event: Event<'_>, at: Moment, out: &mut Out) {
        match event {
            Event::ClientBytes(bytes) => self.client(bytes, at, out),
            Event::ClientTls(facts) | Event::UpstreamTls(facts) => {
                self.seen.peers.lock().unwrap().push(facts);
                if self.dial.is_some() {
                    self.ready(out);
                }
            }
            Event::UpstreamOpen => match self.tls.take() {
                Some(demand) => out.commands.push(Command::StartUpstreamTls(demand)),
                None => self.ready(out),
            },
            Event::UpstreamFailed(words) => {
                Self::say(out, &words);
                self.end(Cause::of("upstream failed"), out);
            }
            Event::UpstreamBytes(bytes) => {
                self.busy = false;
                out.send_client(Cleared::by(MaskPlan::empty(), bytes));
                out.record(b'<', at.unix_us, bytes);
            }
            Event::ClientClosed => self.end(Cause::of("client closed"), out),
            Event::UpstreamClosed => self.end(Cause::of("upstream lost"), out),
            Event::Answered(ticket, answer) if ticket == self.asked => {
                self.answered(answer, at, out);
            }
            Event::Answered(..) => {}
            Event::Written(token) => out.send_upstream(self.stage.release(&token)),
            Event::Tick => {
                self.seen.ticks.fetch_add(1, Ordering::Relaxed);
            }
            Event::End(cause) => self.end(cause, out),
            Event::Signal => self.signalled(out),
        }
    }

    fn wants_client(&self) -> bool {
        !self.over && self.state != State::Waiting
    }

    fn wants_upstream(&self) -> bool {
        !self.over
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn is_idle(&self) -> bool {
        !self.busy && self.state != State::Waiting
    }
}

/// A carrier with one listener, in a folder of its own.
pub struct Gate {
    pub carrier: Arc<Carrier>,
    pub journal: Arc<Journal>,
    pub port: u16,
    pub listener: u32,
    pub seen: Arc<Seen>,
    pub folder: Folder,
}

/// A folder that goes with the test.
pub struct Folder(pub std::path::PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gatebook-carrier-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a gate differs from the usual.
pub struct Setup {
    pub deadline: Duration,
    pub before_login: usize,
    pub fault: Option<FaultPlan>,
    pub certificate: Option<Certificate>,
    /// Roots of clients' certificates, and whether one must be shown.
    pub clients: (Vec<u8>, bool),
    pub parse: gatebook_carrier::ParseHook,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            before_login: 1000,
            fault: None,
            certificate: None,
            clients: Default::default(),
            parse: Arc::new(|_| Parsed { tree: Some(b"tree".to_vec()), error: String::new() }),
        }
    }
}

impl Gate {
    pub fn start(setup: Setup) -> Self {
        let folder = Folder::new();
        let journal = Arc::new(
            Journal::open(
                &folder.0.join("gate"),
                "gate",
                SyncMode::Privileged,
                1 << 24,
                setup.fault,
            )
            .unwrap(),
        );
        let options = Options {
            recordings: folder.0.join("recordings"),
            writer: "gate".to_owned(),
            threads: 2,
            desk_deadline: setup.deadline,
            record_queue_bytes: 8 << 20,
            before_login: setup.before_login,
            parse: setup.parse,
        };
        let carrier = Arc::new(Carrier::start(Arc::clone(&journal), &options).unwrap());
        let seen = Arc::new(Seen::default());
        let tls = setup.certificate.as_ref().map(server_tls).unwrap_or_default();
        let (client_roots, client_required) = setup.clients;
        let tls = ServerTls { client_roots, client_required, ..tls };
        let for_relay = Arc::clone(&seen);
        let spec = ListenSpec {
            host: "127.0.0.1".to_owned(),
            port: 0,
            tls,
            alpn: &[b"relay"],
            make: Arc::new(move || Box::new(Relay::new(Arc::clone(&for_relay)))),
        };
        let (listener, port) = carrier.listen(spec).unwrap();
        Self { carrier, journal, port, listener, seen, folder }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// The next thing at the desk that `pick` wants; others are dropped.
    pub fn next<T>(&self, mut pick: impl FnMut(Item) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            for item in self.carrier.desk().drain(1) {
                if let Some(found) = pick(item) {
                    return found;
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("the desk heard nothing");
    }

    pub fn question(&self) -> u64 {
        self.next(|item| match item {
            Item::Question(ticket, ..) => Some(ticket),
            _ => None,
        })
    }

    pub fn forgotten(&self) -> u64 {
        self.next(|item| match item {
            Item::Forgotten(ticket) => Some(ticket),
            _ => None,
        })
    }

    pub fn hello(&self) -> u64 {
        self.next(|item| match item {
            Item::Hello(ticket, _) => Some(ticket),
            _ => None,
        })
    }

    /// Check and reason of the next client that never came inside TLS.
    pub fn not_secured(&self) -> (&'static str, &'static str) {
        self.next(|item| match item {
            Item::NotSecured(failed) => {
                assert_eq!(failed.peer.0, "127.0.0.1");
                Some(failed.fault.words())
            }
            _ => None,
        })
    }

    pub fn ended(&self) -> Ended {
        self.next(|item| match item {
            Item::Ended(ended) => Some(*ended),
            _ => None,
        })
    }

    /// A client that is let in and connected to `upstream`.
    pub fn session(&self, name: &str, upstream: u16, tls: Option<TlsDemand>) -> TcpStream {
        let mut client = self.connect();
        client.write_all(b"H").unwrap();
        assert!(self.carrier.admit(self.hello(), admission(name, upstream, tls)));
        expect(&mut client, b"ok");
        client
    }
}

/// Consent to a session at a loopback port.
pub fn admission(session: &str, port: u16, tls: Option<TlsDemand>) -> Admission {
    Admission { tls, ..plain::admission(session, port) }
}

/// A verdict that allows.
pub fn allowed() -> Answer {
    Answer::Verdict(Arc::new(Verdict::unread()))
}

/// A hold for so long, of which the client is told `wait`.
pub fn held(wait: Duration) -> Answer {
    Answer::Held(Box::new(Held {
        verdict: Arc::new(Verdict::unread()),
        notice: Refusal { message: "wait".to_owned(), ..Refusal::default() },
        wait_us: u64::try_from(wait.as_micros()).unwrap(),
    }))
}

/// Reads exactly these bytes.
pub fn expect(stream: &mut impl Read, words: &[u8]) {
    let mut read = vec![0; words.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(words));
}

/// Reads to the end of the stream.
pub fn rest(stream: &mut impl Read) -> String {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    String::from_utf8(read).unwrap()
}

/// An upstream; each connection is served by `serve` in a thread of its own.
pub fn upstream(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Sends back what comes.
pub fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(buffer.get(..count).unwrap()).is_err() {
            return;
        }
    }
}

/// A certificate with its key and the root that signed it, PEM.
#[derive(Clone)]
pub struct Certificate {
    pub root: Vec<u8>,
    pub chain: Vec<u8>,
    pub key: Vec<u8>,
}

pub fn server_tls(own: &Certificate) -> ServerTls {
    let (certificate, key) = (own.chain.clone(), own.key.clone());
    ServerTls { certificate, key, ..ServerTls::default() }
}

/// A certificate for `name`, under a root of its own.
pub fn certificate(name: &str) -> Certificate {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.distinguished_name.push(rcgen::DnType::CommonName, format!("root of {name}"));
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    Certificate {
        root: root_certificate.pem().into_bytes(),
        chain: leaf.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    }
}

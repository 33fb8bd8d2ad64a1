// SPDX-License-Identifier: Apache-2.0
//! The files of one recording and the form of its chunks (docs/spec/recording.md).
//!
//! ```text
//! chunk  := index u32 BE | plain length u32 BE | frames u32 BE | stored length u32 BE | stored
//! stored := AES-256-GCM(record key, zstd(frames)), nonce = 0x00000002 || index u64 BE,
//!           additional data = session id || the chunk's first 12 bytes
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use gatebook_wire::entry::{derive, put_time, sha256, Object};
use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_256_GCM, NONCE_LEN};
use ring::digest::{Context, SHA256};

use super::worker::Chunk;
use crate::journal::Disk;

const MAGIC: &[u8; 12] = b"GATEBOOKREC1";
const VERSION: u32 = 1;
/// LIMIT: bytes of a session id, as in the file's header.
const SESSION_BYTES: usize = 64;
const HEADER_BYTES: usize = 12 + 4 + SESSION_BYTES;
const CHUNK_HEAD_BYTES: usize = 16;
/// The bytes of a chunk's head that its tag covers.
const COVERED_BYTES: usize = 12;
/// Rows of results: level 1 packs 256 MB/s, level 3 161 MB/s and no smaller
/// (`measures_compression` in the tests).
const ZSTD_LEVEL: i32 = 1;

/// A worker's compressor and the buffer it fills.
pub(crate) struct Press {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    chunk: Vec<u8>,
}

impl Press {
    pub(crate) fn new() -> Self {
        Self { compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL).ok(), chunk: Vec::new() }
    }

    /// The chunk's head, with room for the stored length, and the compressed bytes behind it.
    fn fill(&mut self, index: u32, (plain, frames): Chunk<'_>) -> Result<&mut Vec<u8>, String> {
        let words = |error| format!("cannot compress a recording: {error}");
        let compressor = match self.compressor.as_mut() {
            Some(compressor) => compressor,
            None => self.compressor.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(words)?),
        };
        self.chunk.clear();
        for number in [index, narrow(plain.len()), frames, 0] {
            self.chunk.extend_from_slice(&number.to_be_bytes());
        }
        self.chunk.resize(CHUNK_HEAD_BYTES + zstd::zstd_safe::compress_bound(plain.len()), 0);
        let room = self.chunk.get_mut(CHUNK_HEAD_BYTES..).unwrap_or_default();
        let bytes = compressor.compress_to_buffer(plain, room).map_err(words)?;
        self.chunk.truncate(CHUNK_HEAD_BYTES + bytes);
        Ok(&mut self.chunk)
    }
}

/// The open files of a recording.
pub(crate) struct Sink {
    file: File,
    offset: u64,
    /// Until it is synced.
    key_file: Option<File>,
    key: LessSafeKey,
    session: String,
    chunks: u32,
    frames: u64,
    plain: u64,
    /// Over the hashes of the chunks.
    root: Context,
}

impl Sink {
    /// Makes both files, which must not be there yet. The error is for the operator.
    pub(crate) fn create(
        folder: &Path,
        session: &str,
        key: &[u8; 32],
        head: &[u8],
    ) -> Result<Self, String> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !(1..=SESSION_BYTES).contains(&session.len()) || !session.bytes().all(known) {
            return Err("a session id cannot name a recording".to_owned());
        }
        let words = |error| format!("cannot make a recording: {error}");
        let folder = folder.join(shard_of(session));
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(words)?;
        // The key first: a recording is never without one.
        let key_file = make(&folder.join(format!("{session}.key")), head).map_err(words)?;
        let file =
            make(&folder.join(format!("{session}.rec")), &file_header(session)).map_err(words)?;
        Ok(Self {
            file,
            offset: wide(HEADER_BYTES),
            key_file: Some(key_file),
            key: record_key(key).ok_or("cannot derive a recording's key")?,
            session: session.to_owned(),
            chunks: 0,
            frames: 0,
            plain: 0,
            root: Context::new(&SHA256),
        })
    }

    /// Makes the key survive power loss; once.
    pub(crate) fn sync_key(&mut self, disk: &dyn Disk) -> Result<(), String> {
        let Some(key_file) = self.key_file.take() else { return Ok(()) };
        disk.sync(&key_file).map_err(|error| format!("cannot sync a recording's key: {error}"))
    }

    /// Writes a chunk; gives the leaf that enters it.
    pub(crate) fn write(
        &mut self,
        disk: &dyn Disk,
        press: &mut Press,
        chunk: Chunk<'_>,
        writer: &str,
    ) -> Result<Vec<u8>, String> {
        let index = self.chunks;
        let bytes = press.fill(index, chunk)?;
        self.seal(index, bytes).ok_or("cannot seal a recording's chunk")?;
        disk.write(&self.file, bytes, self.offset)
            .map_err(|error| format!("cannot write a recording: {error}"))?;
        let hash = sha256(bytes);
        self.root.update(&hash);
        self.offset += wide(bytes.len());
        self.chunks += 1;
        self.frames += u64::from(chunk.1);
        self.plain += wide(chunk.0.len());
        let mut leaf = Vec::new();
        Object::open(&mut leaf)
            .number("bytes", wide(bytes.len()))
            .text("event", "recording.chunk")
            .number("frames", u64::from(chunk.1))
            .number("index", u64::from(index))
            .number("plain", wide(chunk.0.len()))
            .text("session", &self.session)
            .hash("sha256", &hash)
            .with("time", |out| put_time(out, now_us()))
            .number("v", 1)
            .text("writer", writer)
            .close();
        Ok(leaf)
    }

    /// Encrypts in place and completes the head.
    fn seal(&self, index: u32, chunk: &mut Vec<u8>) -> Option<()> {
        let mut nonce = [0; NONCE_LEN];
        let (domain, counter) = nonce.split_at_mut_checked(4)?;
        domain.copy_from_slice(&2_u32.to_be_bytes());
        counter.copy_from_slice(&u64::from(index).to_be_bytes());
        let (head, body) = chunk.split_at_mut_checked(CHUNK_HEAD_BYTES)?;
        let covered = [self.session.as_bytes(), head.get(..COVERED_BYTES)?].concat();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(covered), body).ok()?;
        let stored = u32::try_from(body.len() + tag.as_ref().len()).ok()?;
        head.get_mut(COVERED_BYTES..)?.copy_from_slice(&stored.to_be_bytes());
        chunk.extend_from_slice(tag.as_ref());
        Some(())
    }

    /// The leaf that seals the recording.
    pub(crate) fn seal_leaf(&self, writer: &str) -> Vec<u8> {
        let mut leaf = Vec::new();
        Object::open(&mut leaf)
            .number("chunks", u64::from(self.chunks))
            .text("event", "recording.sealed")
            .number("frames", self.frames)
            .number("plain", self.plain)
            .hash("root", self.root.clone().finish().as_ref())
            .text("session", &self.session)
            .with("time", |out| put_time(out, now_us()))
            .number("v", 1)
            .text("writer", writer)
            .close();
        leaf
    }
}

/// Sub-folder of a recording: the last two characters of the session id, which are random and
/// spread recordings evenly. An id is ASCII and has three characters at least.
pub(crate) fn shard_of(session: &str) -> &str {
    session.len().checked_sub(2).and_then(|start| session.get(start..)).unwrap_or("__")
}

/// Makes a file that is not there yet; what cannot be written whole is removed again.
fn make(path: &Path, content: &[u8]) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all_at(content, 0).inspect_err(|_| {
        let _ = std::fs::remove_file(path); // if it stays, the next start removes it
    })?;
    Ok(file)
}

fn record_key(key: &[u8; 32]) -> Option<LessSafeKey> {
    let derived = derive(key, b"gatebook recording v1")?;
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &derived).ok()?))
}

fn file_header(session: &str) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_be_bytes());
    header.extend_from_slice(session.as_bytes());
    header.resize(HEADER_BYTES, 0);
    header
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

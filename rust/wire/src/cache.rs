// SPDX-License-Identifier: Apache-2.0
//! The cache of decisions that Python made, and the epochs that void them.
//!
//! Key: context (SHA-256 over target, database, account, entitlement and session facts), the
//! declared parameter types, and exact text or shape. Never a fingerprint: statements of other
//! meaning share one. A hit counts only while policy, grants, catalogue and session epochs are
//! those under which the verdict was made, and before its time-to-live ends.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::{Equivalent, HashMap};

use crate::seam::Verdict;

/// LIMIT: entries per shard; a full shard is emptied, which costs questions and nothing else.
const SHARD_ENTRIES: usize = 4096;
/// LIMIT: longest text kept as a key; longer statements are asked each time.
pub const KEY_TEXT_BYTES: usize = 16 * 1024;
const SHARDS: usize = 16;

/// Which epoch to raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochKind {
    /// A policy set was loaded.
    Policy,
    /// Grants, roles or keys changed.
    Grants,
    /// The committed catalogue of some database changed.
    Catalogue,
}

/// The shared epochs of one process.
#[derive(Debug, Default)]
pub struct Epochs {
    policy: AtomicU64,
    grants: AtomicU64,
    catalogue: AtomicU64,
}

/// The epochs under which a verdict was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpochValues {
    policy: u64,
    grants: u64,
    catalogue: u64,
    session: u64,
}

impl EpochValues {
    /// Without the session's own epoch: what a verdict shared by sessions is kept under. The
    /// session's facts are part of its key instead.
    #[must_use]
    pub fn shared(self) -> Self {
        self.in_session(0)
    }

    /// Whether the two differ in nothing but the catalogue.
    #[must_use]
    pub fn differs_by_catalogue(self, other: Self) -> bool {
        Self { catalogue: other.catalogue, ..self } == other
    }

    /// The same shared epochs beside another epoch of the session.
    #[must_use]
    pub fn in_session(self, session: u64) -> Self {
        Self { session, ..self }
    }
}

impl Epochs {
    /// The values now, with the session's own.
    pub fn now(&self, session: u64) -> EpochValues {
        EpochValues {
            policy: self.policy.load(Ordering::Acquire),
            grants: self.grants.load(Ordering::Acquire),
            catalogue: self.catalogue.load(Ordering::Acquire),
            session,
        }
    }

    /// Voids every verdict made before.
    pub fn raise(&self, kind: EpochKind) {
        let epoch = match kind {
            EpochKind::Policy => &self.policy,
            EpochKind::Grants => &self.grants,
            EpochKind::Catalogue => &self.catalogue,
        };
        epoch.fetch_add(1, Ordering::AcqRel);
    }
}

/// Whether a key is exact text or a shape; the two never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The statement's bytes.
    Exact,
    /// The statement with literals replaced ([`crate::shape`]).
    Shape,
}

/// A borrowed key.
#[derive(Clone, Copy, Debug)]
pub struct KeyRef<'a> {
    /// SHA-256 over everything of the session that decides.
    pub context: &'a [u8; 32],
    /// Exact text or shape.
    pub kind: KeyKind,
    /// Declared parameter types as on the wire; empty for a simple query.
    pub types: &'a [u8],
    /// The text or the shape.
    pub text: &'a [u8],
}

#[derive(Debug)]
struct Key {
    context: [u8; 32],
    kind: KeyKind,
    types: Box<[u8]>,
    text: Box<[u8]>,
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.context, self.kind, self.types, self.text).hash(state);
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.context, self.kind, &*self.types, &*self.text).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.context == other.context
            && self.kind == other.kind
            && self.types == other.types
            && self.text == other.text
    }
}

impl Eq for Key {}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.context == key.context
            && self.kind == key.kind
            && *self.types == *key.types
            && *self.text == *key.text
    }
}

/// A verdict with what it was made under.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What Python said.
    pub verdict: Arc<Verdict>,
    /// The epochs it was asked under.
    pub decided: EpochValues,
    /// Monotonic microseconds after which it is asked again.
    pub expires_us: u64,
}

type Shard = Mutex<HashMap<Key, Kept, RandomState>>;

/// Decisions of one process, shared by its sessions.
#[derive(Debug)]
pub struct Cache {
    hasher: RandomState,
    shards: Vec<Shard>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Default for Cache {
    fn default() -> Self {
        let hasher = RandomState::new();
        let shards =
            (0..SHARDS).map(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))).collect();
        Self { hasher, shards, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }
}

impl Cache {
    /// A live verdict for `key`, or `None`: then Python is asked.
    pub fn find(&self, key: &KeyRef<'_>, now: EpochValues, mono_us: u64) -> Option<Kept> {
        let shard = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = shard.get(key)?;
        (kept.decided == now && mono_us < kept.expires_us).then(|| kept.clone())
    }

    /// Keeps a verdict; the scope that Python gave it has been checked by the caller.
    pub fn keep(&self, key: &KeyRef<'_>, kept: Kept) {
        if key.text.len() > KEY_TEXT_BYTES {
            return;
        }
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_ENTRIES {
            shard.clear();
        }
        let owned = Key {
            context: *key.context,
            kind: key.kind,
            types: key.types.into(),
            text: key.text.into(),
        };
        shard.insert(owned, kept);
    }

    /// Counts one look-up for the metric.
    pub fn count(&self, hit: bool) {
        if hit { &self.hits } else { &self.misses }.fetch_add(1, Ordering::Relaxed);
    }

    /// Hits and misses since start.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    fn shard(&self, key: &KeyRef<'_>) -> Option<&Shard> {
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash >> 60).unwrap_or(0);
        self.shards.get(index % SHARDS)
    }
}

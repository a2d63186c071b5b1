//! What is known of sessions without a read, where no other process writes.
//!
//! Every commit of this process goes through here, whoever makes it, and each
//! that writes a session's records is noticed by their keys. So memory never
//! runs ahead of the store, and never behind what was acknowledged.
//!
//! Invariants:
//!
//! 1. What is known of a head is what the store has: it comes from a read
//!    during which no commit of that head was under way, or from the
//!    acknowledgement of one during which no other was.
//! 2. What is known of a head is forgotten before a commit of it begins.
//! 3. A commit whose outcome is unknown, or whose future was dropped, may
//!    arrive as long as the head has the version that it checks: nothing of
//!    that version is known again.
//! 4. Once the store is being closed nothing is known, since another process
//!    may write from then on.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use quick_cache::sync::Cache;
use windlass_store::{
    Batch, Changes, Commit, Expect, Export, KeyRange, Page, Scan, Store, StoreError,
    StoreErrorKind, Version, Write,
};

use crate::engine::Loaded;
use crate::keys::head_beside;
use crate::record::{Spec, decode_head};

/// Heads are told apart by this many locks.
const SHARDS: usize = 256;

/// Unknown outcomes of one head, and heads of one shard that have some, that
/// are told apart; beyond them nothing is known any more, and all is read.
const DOUBTS_MAX: usize = 16;
const HEADS_IN_DOUBT_MAX: usize = 256;

/// A store, and what is known of the sessions in it.
#[derive(Debug)]
pub(crate) struct Memory {
    inner: Arc<dyn Store>,
    known: Cache<Bytes, Arc<Known>>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

/// A head as the store has it, and the session it is of, as far as it was
/// asked for.
#[derive(Debug)]
struct Known {
    version: Version,
    /// As it was put; empty if it was read.
    head: Bytes,
    spec: Option<Arc<Spec>>,
    /// Decoded when it is first asked for; `None` if that takes a read.
    loaded: OnceLock<Option<Arc<Loaded>>>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Rises whenever a commit of one of its heads begins or ends.
    stamp: u64,
    /// Heads with commits under way or in doubt.
    busy: HashMap<Bytes, Busy>,
    /// Whether nothing becomes known any more.
    blind: bool,
}

#[derive(Debug, Default)]
struct Busy {
    /// Commits that have begun.
    begun: u64,
    under_way: u64,
    doubts: Vec<Doubt>,
}

/// When a commit may still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// While the head has this version.
    While(Version),
    /// For ever: it checks no version.
    Ever,
}

/// The moment before a read: what is read counts only if nothing has happened
/// to the head since.
#[derive(Debug)]
pub(crate) struct Moment {
    head: Bytes,
    stamp: u64,
}

/// How a commit ended for the heads it writes.
#[derive(Clone, Copy, Debug)]
enum End {
    Applied(Version),
    Nothing,
    Unknown,
}

/// A head that a commit writes.
#[derive(Debug)]
struct Touch {
    head: Bytes,
    expect: Option<Expect>,
    /// Its next value, unless it is deleted.
    next: Option<Bytes>,
    /// Whether its spec is written too.
    of_spec: bool,
    /// What was known before.
    before: Option<Arc<Known>>,
    /// The number of this commit among those of the head that have begun.
    number: u64,
    /// Whether no other one was under way when it began.
    was_alone: bool,
}

impl Memory {
    pub(crate) fn new(inner: Arc<dyn Store>, sessions_max: usize) -> Self {
        Self {
            inner,
            known: Cache::new(sessions_max),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// The session whose head has this key, as it is stored now.
    pub(crate) fn loaded(&self, head: &Bytes) -> Option<Arc<Loaded>> {
        let known = self.known.get(head)?;
        known.loaded.get_or_init(|| known.decode()).clone()
    }

    /// Whether the head with this key is known to have this version now.
    pub(crate) fn is_current(&self, head: &Bytes, version: Version) -> bool {
        let known = self.known.get(head);
        known.is_some_and(|known| known.version == version)
    }

    /// To be called before a read of which [`Memory::offer`] is to hear.
    pub(crate) fn moment(&self, head: Bytes) -> Moment {
        let stamp = self.shard(&head).stamp;
        Moment { head, stamp }
    }

    /// Keeps what was read since `moment`, if nothing happened meanwhile.
    pub(crate) fn offer(&self, moment: Moment, loaded: &Loaded) {
        if !may_be_kept(loaded) {
            return;
        }
        let mut shard = self.shard(&moment.head);
        if shard.blind || shard.stamp != moment.stamp {
            return;
        }
        if let Some(busy) = shard.busy.get_mut(&moment.head) {
            // A head that has moved on is out of reach of older commits.
            let now = Doubt::While(loaded.version);
            busy.doubts
                .retain(|doubt| *doubt == now || *doubt == Doubt::Ever);
            if !busy.is_idle() {
                return;
            }
            shard.busy.remove(&moment.head);
        }
        let known = Known {
            version: loaded.version,
            head: Bytes::new(),
            spec: Some(Arc::clone(&loaded.spec)),
            loaded: OnceLock::from(Some(Arc::new(loaded.clone()))),
        };
        self.known.insert(moment.head, Arc::new(known));
    }

    /// Drops what is known of a head; the next who asks reads.
    pub(crate) fn forget(&self, head: &Bytes) {
        let mut shard = self.shard(head);
        shard.stamp += 1;
        self.known.remove(head);
    }

    fn shard(&self, head: &Bytes) -> MutexGuard<'_, Shard> {
        let hash = usize::try_from(self.hasher.hash_one(head) % 256).unwrap_or(0);
        let shard = &self.shards[hash % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, touch: &mut Touch) {
        let mut shard = self.shard(&touch.head);
        shard.stamp += 1;
        let busy = shard.busy.entry(touch.head.clone()).or_default();
        touch.was_alone = busy.under_way == 0;
        busy.under_way += 1;
        busy.begun += 1;
        touch.number = busy.begun;
        touch.before = self.known.remove(&touch.head).map(|(_, known)| known);
    }

    fn end(&self, touch: Touch, end: End) {
        let mut shard = self.shard(&touch.head);
        shard.stamp += 1;
        let blind = shard.blind || shard.busy.len() > HEADS_IN_DOUBT_MAX;
        let Some(busy) = shard.busy.get_mut(&touch.head) else {
            return;
        };
        busy.under_way -= 1;
        let was_alone = touch.was_alone && busy.begun == touch.number;
        let (head, mut known) = (touch.head.clone(), None);
        match end {
            End::Applied(version) if was_alone => {
                busy.doubts.retain(|doubt| *doubt == Doubt::Ever);
                if busy.is_idle() && !blind {
                    known = touch.after(version);
                }
            }
            End::Applied(_) | End::Nothing => {}
            End::Unknown => busy.doubt(touch.expect),
        }
        if busy.is_idle() || (blind && busy.under_way == 0) {
            shard.busy.remove(&head);
        }
        shard.blind = blind;
        if let Some(known) = known {
            self.known.insert(head, Arc::new(known));
        }
    }
}

/// A session below others also depends on them; one that is being removed, or
/// of which a stored value counts as its limit, is rare.
fn may_be_kept(loaded: &Loaded) -> bool {
    loaded.spec.above.is_empty() && !loaded.is_removing() && loaded.clamped.is_empty()
}

impl Known {
    fn decode(&self) -> Option<Arc<Loaded>> {
        let spec = Arc::clone(self.spec.as_ref()?);
        let (head, clamped) = decode_head(&self.head).ok()?;
        let loaded = Loaded {
            spec,
            head,
            version: self.version,
            clamped,
            payers: Vec::new(),
            cut: None,
        };
        may_be_kept(&loaded).then(|| Arc::new(loaded))
    }
}

impl Busy {
    fn is_idle(&self) -> bool {
        self.under_way == 0 && self.doubts.is_empty()
    }

    /// Notes a commit that may still arrive. One that creates cannot be in
    /// the way of what is known: that is only what is there.
    fn doubt(&mut self, expect: Option<Expect>) {
        let doubt = match expect {
            Some(Expect::Absent) => return,
            Some(Expect::Version(version)) if self.doubts.len() < DOUBTS_MAX => {
                Doubt::While(version)
            }
            Some(Expect::Version(_) | Expect::Present) | None => Doubt::Ever,
        };
        if doubt == Doubt::Ever {
            self.doubts.clear();
        }
        if !self.doubts.contains(&Doubt::Ever) {
            self.doubts.push(doubt);
        }
    }
}

impl Touch {
    /// The heads that a batch writes, each once.
    fn all_of(batch: &Batch) -> Vec<Self> {
        let mut touched: Vec<Self> = Vec::new();
        for write in &batch.writes {
            let Some(head) = head_beside(write.key()) else {
                continue;
            };
            let place = touched.iter().position(|touch| touch.head == head);
            let place = place.unwrap_or_else(|| {
                touched.push(Self::new(head, batch));
                touched.len() - 1
            });
            let touch = &mut touched[place];
            match write {
                _ if touch.head != *write.key() => touch.of_spec = true,
                Write::Put { value, .. } => touch.next = Some(value.clone()),
                Write::Delete { .. } => touch.next = None,
            }
        }
        touched
    }

    fn new(head: Bytes, batch: &Batch) -> Self {
        let check = batch.checks.iter().find(|check| check.key == head);
        Self {
            expect: check.map(|check| check.expect),
            head,
            next: None,
            of_spec: false,
            before: None,
            number: 0,
            was_alone: false,
        }
    }

    /// What is known once it was applied.
    fn after(self, version: Version) -> Option<Known> {
        let spec = self.before.and_then(|before| before.spec.clone());
        Some(Known {
            version,
            head: self.next?,
            spec: spec.filter(|_| !self.of_spec),
            loaded: OnceLock::new(),
        })
    }
}

/// The heads of a commit that is under way. Dropping it leaves them in doubt.
struct UnderWay<'a> {
    memory: &'a Memory,
    touched: Vec<Touch>,
}

impl<'a> UnderWay<'a> {
    fn begin(memory: &'a Memory, mut touched: Vec<Touch>) -> Self {
        for touch in &mut touched {
            memory.begin(touch);
        }
        Self { memory, touched }
    }

    fn end(&mut self, end: End) {
        for touch in self.touched.drain(..) {
            self.memory.end(touch, end);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.end(End::Unknown);
    }
}

#[async_trait]
impl Store for Memory {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let touched = Touch::all_of(&batch);
        if touched.is_empty() {
            return self.inner.commit(batch).await;
        }
        let mut under_way = UnderWay::begin(self, touched);
        let answer = self.inner.commit(batch).await;
        under_way.end(match &answer {
            Ok(Commit::Applied(version)) => End::Applied(*version),
            Ok(Commit::Conflict { .. }) => End::Nothing,
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => End::Unknown,
            Err(_) => End::Nothing,
        });
        answer
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).blind = true;
        }
        self.known.clear();
        self.inner.close().await
    }
}

#[cfg(test)]
mod tests {
    use windlass_store::Incarnation;

    use super::*;

    fn version(number: u64) -> Version {
        Version::new(Incarnation::from_number(7), number)
    }

    #[test]
    fn a_batch_touches_the_sessions_whose_head_or_spec_it_writes() {
        let head = "acme/session/s1/head";
        let batch = Batch::new()
            .check(head, Expect::Version(version(1)))
            .check("acme/session/s4/head", Expect::Present)
            .put("acme/agent/s1/head", "")
            .put("acme/session/s1/event/1", "")
            .put("acme/session/s1/spec", "spec")
            .put(head, "head")
            .delete("acme/session/s2/head")
            .put("acme/session/s3/alive", "")
            .put("acme/stash/s5/head", "")
            .put("acme/session/head", "")
            .put("acme/session/s6/head/more", "");
        let touched = Touch::all_of(&batch);
        let told = touched.iter().map(|touch| {
            let head = touch.head.clone();
            (head, touch.expect, touch.next.clone(), touch.of_spec)
        });
        let expected = [
            (
                head.into(),
                Some(Expect::Version(version(1))),
                Some("head".into()),
                true,
            ),
            ("acme/session/s2/head".into(), None, None, false),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn too_many_doubts_are_one_for_ever() {
        let mut busy = Busy::default();
        busy.doubt(Some(Expect::Absent));
        assert_eq!(busy.doubts, []);
        let most = u64::try_from(DOUBTS_MAX).expect("small");
        for number in 0..most {
            busy.doubt(Some(Expect::Version(version(number))));
        }
        assert_eq!(busy.doubts.len(), DOUBTS_MAX);
        busy.doubt(Some(Expect::Version(version(most))));
        assert_eq!(busy.doubts, [Doubt::Ever]);
        busy.doubt(Some(Expect::Version(version(0))));
        assert_eq!(busy.doubts, [Doubt::Ever]);
    }

    #[test]
    fn a_write_without_a_version_may_always_arrive() {
        for expect in [None, Some(Expect::Present)] {
            let mut busy = Busy::default();
            busy.doubt(expect);
            assert_eq!(busy.doubts, [Doubt::Ever], "{expect:?}");
        }
    }
}

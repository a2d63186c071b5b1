//! A small world: a strict store in memory, a clock of the test's own, and the
//! queue over them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use windlass_core::{Coded, ManualEnv, Millis, OperationId, OwnerId, SessionId, Sharing};
use windlass_queue::{
    Ask, Caller, Claim, Config, Counts, ListQuery, Listed, Queue, QueueError, Settled, State,
    Under, Work, WorkId,
};
use windlass_store::{Batch, Commit, Entry, KeyRange, Store, StoreExt};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Slow, Strict, StrictOptions};

/// When every test begins.
pub(crate) const START: Millis = Millis::new(1_700_000_000_000);
/// A second and so on, in the unit of all times.
pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const DAY: u64 = 24 * 60 * MINUTE;
/// How long claims last here where nothing else is said.
pub(crate) const TTL: u64 = 30 * SECOND;

/// A queue over a store of which the test can see the ground.
pub(crate) struct World {
    /// What is really stored.
    pub(crate) ground: Arc<MemoryStore>,
    pub(crate) env: Arc<ManualEnv>,
    pub(crate) config: Config,
    pub(crate) queue: Queue,
}

impl World {
    /// A world over a store that makes the least of its contract, but does not
    /// fail. Nobody else has the store.
    pub(crate) fn new() -> Self {
        Self::with_config(Config {
            sharing: Sharing::Exclusive,
            ..Config::default()
        })
    }

    /// The same, where others may have it.
    pub(crate) fn shared() -> Self {
        Self::with_config(Config::default())
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let env = Arc::new(ManualEnv::new(7, START));
        let queue = over(strict(&ground), &env, &config);
        Self {
            ground,
            env,
            config,
            queue,
        }
    }

    /// What another process, or this one after a restart, has of the store.
    pub(crate) fn reopen(&self) -> Queue {
        self.over(strict(&self.ground))
    }

    /// The queue over a wrapper of the same ground.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Queue {
        over(store, &self.env, &self.config)
    }

    pub(crate) fn now(&self) -> Millis {
        windlass_core::Env::now(self.env.as_ref())
    }

    /// Enqueues for session `s1`, which is granted.
    pub(crate) async fn push(&self, work: Work) -> WorkId {
        push_to(&self.queue, "s1", work).await
    }

    /// Enqueues so many batches in one call, named by their numbers from 0.
    pub(crate) async fn push_many(&self, count: usize) -> Vec<WorkId> {
        let work = (0..count).map(|number| job(&number.to_string())).collect();
        let pushed = try_push(&self.queue, "s1", work, Under::NOTHING).await;
        let pushed = pushed.expect("work that may be enqueued");
        pushed.into_iter().map(|one| one.id).collect()
    }

    /// Claims of session `s1`.
    pub(crate) async fn claim(&self, max: usize) -> Option<Claim> {
        claim_of(&self.queue, "s1", max).await
    }

    /// Claims what must be there, and says which work it was.
    pub(crate) async fn take(&self, max: usize) -> Claim {
        self.claim(max).await.expect("work to claim")
    }

    pub(crate) async fn complete(&self, claim: &Claim) -> Result<Settled, QueueError> {
        complete(&self.queue, claim).await
    }

    pub(crate) async fn counts(&self) -> Counts {
        let counts = self.queue.counts(&caller(), &session("s1")).await;
        counts.expect("a readable queue")
    }

    pub(crate) async fn list(&self, state: State) -> Vec<Listed> {
        list(&self.queue, "s1", state).await
    }

    /// Every stored key and value.
    pub(crate) async fn rows(&self) -> Vec<Entry> {
        let all = self.ground.scan_all(KeyRange::all()).await;
        all.expect("a store that works")
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let rows = self.rows().await;
        rows.iter().map(|row| text(&row.key)).collect()
    }

    /// Replaces a stored value behind everybody's back.
    pub(crate) async fn put(&self, key: &str, value: impl Into<Bytes>) {
        let batch = Batch::new().put(key.to_owned(), value);
        let put = self.ground.commit(batch).await.expect("a store that works");
        assert!(matches!(put, Commit::Applied(_)), "{put:?}");
    }

    /// Removes a stored row behind everybody's back.
    pub(crate) async fn delete(&self, key: &str) {
        let batch = Batch::new().delete(key.to_owned());
        let gone = self.ground.commit(batch).await.expect("a store that works");
        assert!(matches!(gone, Commit::Applied(_)), "{gone:?}");
    }

    /// Edits a stored JSON record behind everybody's back.
    pub(crate) async fn edit(&self, key: &str, edit: impl FnOnce(&mut Value)) {
        let found = self.ground.get(key.to_owned().into()).await;
        let entry = found.expect("a store that works").expect("a stored row");
        let mut record: Value = serde_json::from_slice(&entry.value).expect("a JSON record");
        edit(&mut record);
        self.put(key, record.to_string()).await;
    }
}

/// The least a store may do, without failures.
pub(crate) fn strict(ground: &Arc<MemoryStore>) -> Arc<dyn Store> {
    let inner = Arc::clone(ground);
    Arc::new(Strict::new(inner, StrictOptions::WITHOUT_ERRORS))
}

/// The same, whose calls take a while, so that callers come in between.
pub(crate) fn slow(ground: &Arc<MemoryStore>, seed: u64) -> Arc<dyn Store> {
    Arc::new(Slow::new(strict(ground), seed))
}

pub(crate) fn over(store: Arc<dyn Store>, env: &Arc<ManualEnv>, config: &Config) -> Queue {
    Queue::new(store, Arc::clone(env) as _, config.clone()).expect("settings in range")
}

pub(crate) fn caller() -> Caller {
    caller_of("acme", "runtime")
}

pub(crate) fn caller_of(tenant: &str, principal: &str) -> Caller {
    let tenant = tenant.parse().expect("an identifier");
    Caller::new(tenant, principal.parse().expect("an identifier"))
}

pub(crate) fn session(name: &str) -> SessionId {
    name.parse().expect("an identifier")
}

pub(crate) fn owner(name: &str) -> OwnerId {
    name.parse().expect("an identifier")
}

pub(crate) fn under(operation: &str) -> Under {
    let id: OperationId = operation.parse().expect("an identifier");
    Under::operation(id)
}

/// Work of one payload that holds its name.
pub(crate) fn job(name: &str) -> Work {
    Work::json("test", name).expect("JSON")
}

/// The name of work made by [`job`].
pub(crate) fn name(work: &windlass_queue::Claimed) -> String {
    work.payloads[0].parse().expect("a name")
}

pub(crate) fn names(claim: &Claim) -> Vec<String> {
    claim.work.iter().map(name).collect()
}

/// A claim of so many for half a minute.
pub(crate) fn ask(max: usize) -> Ask {
    Ask {
        max,
        ..Ask::new(owner("w1"), TTL)
    }
}

pub(crate) async fn push_to(queue: &Queue, id: &str, work: Work) -> WorkId {
    let pushed = try_push(queue, id, vec![work], Under::NOTHING).await;
    pushed.expect("work that may be enqueued")[0].id
}

pub(crate) async fn claim_of(queue: &Queue, id: &str, max: usize) -> Option<Claim> {
    let claim = try_claim(queue, id, &ask(max)).await;
    claim.expect("a claim that may be made")
}

pub(crate) async fn claim_any(queue: &Queue, max: usize) -> Option<Claim> {
    let claim = try_claim_any(queue, &ask(max)).await;
    claim.expect("a claim that may be made")
}

pub(crate) async fn settle(
    queue: &Queue,
    id: &SessionId,
    settle: windlass_queue::Settle,
) -> Result<Settled, QueueError> {
    queue.settle(&caller(), id, settle, Under::NOTHING).await
}

pub(crate) async fn complete(queue: &Queue, claim: &Claim) -> Result<Settled, QueueError> {
    settle(queue, &claim.session, claim.completed()).await
}

pub(crate) async fn list(queue: &Queue, id: &str, state: State) -> Vec<Listed> {
    let query = ListQuery {
        state,
        limit: 1_000,
        payloads: true,
        ..ListQuery::default()
    };
    let page = queue.list(&caller(), &session(id), &query).await;
    let page = page.expect("a readable queue");
    assert_eq!((page.next, page.unreadable), (None, vec![]));
    page.work
}

pub(crate) fn text(key: &Bytes) -> String {
    String::from_utf8(key.to_vec()).expect("keys are text")
}

/// The code of the refusal.
pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, QueueError>) -> &'static str {
    answer.expect_err("a refusal").code()
}

pub(crate) async fn try_claim(
    queue: &Queue,
    id: &str,
    ask: &Ask,
) -> Result<Option<Claim>, QueueError> {
    queue
        .claim(&caller(), &session(id), ask, Under::NOTHING)
        .await
}

pub(crate) async fn try_claim_any(queue: &Queue, ask: &Ask) -> Result<Option<Claim>, QueueError> {
    queue.claim_any(&caller(), ask, Under::NOTHING).await
}

pub(crate) async fn renew(queue: &Queue, claim: &Claim, ttl_ms: u64) -> Result<Millis, QueueError> {
    queue
        .renew(
            &caller(),
            &claim.session,
            claim.token,
            ttl_ms,
            Under::NOTHING,
        )
        .await
}

pub(crate) async fn acquire(
    queue: &Queue,
    id: &str,
    by: &str,
    ttl_ms: u64,
) -> Result<windlass_queue::Lease, QueueError> {
    queue
        .acquire_lease(&caller(), &session(id), &owner(by), ttl_ms, Under::NOTHING)
        .await
}

pub(crate) async fn try_push(
    queue: &Queue,
    id: &str,
    work: Vec<Work>,
    under: Under,
) -> Result<Vec<windlass_queue::Enqueued>, QueueError> {
    queue.enqueue(&caller(), &session(id), work, under).await
}

//! A small world: a strict store in memory, a clock of the test's own, and
//! the sessions over them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use windlass_core::{
    AgentId, BoxFuture, Coded, Env, ManualEnv, Millis, OperationId, RandomError, SessionId,
};
use windlass_session::{
    Agent, Caller, Config, Create, Delegate, Event, Receipt, Session, SessionError, Sessions,
    TopUp, Use,
};
use windlass_store::{Batch, Commit, Entry, KeyRange, Store, StoreExt};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Slow, Strict, StrictOptions};

/// When every test begins.
pub(crate) const START: Millis = Millis::new(1_700_000_000_000);
/// A second and an hour, in the unit of all times.
pub(crate) const SECOND: u64 = 1_000;
pub(crate) const HOUR: u64 = 3_600 * SECOND;
pub(crate) const DAY: u64 = 24 * HOUR;

/// Sessions over a store of which the test can see the ground.
pub(crate) struct World {
    /// What is really stored.
    pub(crate) ground: Arc<MemoryStore>,
    pub(crate) env: Arc<ManualEnv>,
    pub(crate) config: Config,
    pub(crate) sessions: Sessions,
}

impl World {
    /// A world over a store that makes the least of its contract, but does
    /// not fail.
    pub(crate) fn new() -> Self {
        Self::with_config(Config::default())
    }

    pub(crate) fn with_config(config: Config) -> Self {
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let env = Arc::new(ManualEnv::new(7, START));
        let sessions = over(strict(&ground), &env, &config);
        Self {
            ground,
            env,
            config,
            sessions,
        }
    }

    /// What another process, or this one after a restart, has of the store.
    pub(crate) fn reopen(&self) -> Sessions {
        self.over(strict(&self.ground))
    }

    /// Sessions over a wrapper of the same ground.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Sessions {
        over(store, &self.env, &self.config)
    }

    /// Creates a session whose request `edit` has changed.
    pub(crate) async fn create(&self, edit: impl FnOnce(&mut Create)) -> Session {
        let request = request(edit);
        let created = self.sessions.create(&caller(), request).await;
        created.expect("a session that may be created")
    }

    /// One call of `tool` by an agent that is not checked.
    pub(crate) async fn call(&self, id: &str, tool: &str) -> Result<Receipt, SessionError> {
        use_tools(&self.sessions, id, call(tool)).await
    }

    pub(crate) async fn get(&self, id: &str) -> Session {
        let found = get(&self.sessions, id).await.expect("a readable session");
        found.expect("a session that exists")
    }

    /// Everything recorded of a session.
    pub(crate) async fn history(&self, id: &str) -> Vec<Event> {
        history(&self.sessions, id).await
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

pub(crate) fn over(store: Arc<dyn Store>, env: &Arc<ManualEnv>, config: &Config) -> Sessions {
    Sessions::new(store, Arc::clone(env) as _, config.clone()).expect("settings in range")
}

/// An environment whose time of day moves only when the test says so. Whoever
/// sleeps in it wakes at once: what was done before a pause and is found done
/// behind it was done at the time the test knows.
#[derive(Debug)]
struct Still(Arc<ManualEnv>);

impl Env for Still {
    fn now(&self) -> Millis {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.random(bytes)
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// [`over`], for comparison with a model that knows one time for each call.
pub(crate) fn still_over(store: Arc<dyn Store>, env: &Arc<ManualEnv>, config: &Config) -> Sessions {
    let still = Arc::new(Still(Arc::clone(env)));
    Sessions::new(store, still, config.clone()).expect("settings in range")
}

pub(crate) fn caller() -> Caller {
    caller_of("acme", "runtime")
}

pub(crate) fn caller_of(tenant: &str, principal: &str) -> Caller {
    let tenant = tenant.parse().expect("an identifier");
    Caller::new(tenant, principal.parse().expect("an identifier"))
}

pub(crate) fn agent() -> AgentId {
    "researcher".parse().expect("an identifier")
}

pub(crate) fn operation(name: &str) -> OperationId {
    name.parse().expect("an identifier")
}

pub(crate) fn session_id(name: &str) -> SessionId {
    name.parse().expect("an identifier")
}

/// A session that may call anything, ten times.
pub(crate) fn request(edit: impl FnOnce(&mut Create)) -> Create {
    let mut request = Create::new(agent(), "find three sources");
    request.id = Some(session_id("s1"));
    request.tools = windlass_session::Allow::All;
    request.credentials = windlass_session::Allow::All;
    request.budget.calls = 10;
    edit(&mut request);
    request
}

pub(crate) fn call(tool: &str) -> Use {
    Use::one(Agent::Unchecked, tool.parse().expect("a name"))
}

pub(crate) async fn use_tools(
    sessions: &Sessions,
    id: &str,
    request: Use,
) -> Result<Receipt, SessionError> {
    let id = session_id(id);
    sessions.use_tools(&caller(), &id, request).await
}

pub(crate) async fn close(sessions: &Sessions, id: &str) -> Result<Session, SessionError> {
    sessions.close(&caller(), &session_id(id), None).await
}

/// Adds calls to the budget.
pub(crate) async fn top_up(
    sessions: &Sessions,
    id: &str,
    calls: u64,
) -> Result<Session, SessionError> {
    let request = TopUp {
        calls,
        ..TopUp::default()
    };
    sessions.top_up(&caller(), &session_id(id), request).await
}

pub(crate) async fn get(sessions: &Sessions, id: &str) -> Result<Option<Session>, SessionError> {
    sessions.get(&caller(), &session_id(id)).await
}

/// Everything recorded of a session, page by page.
pub(crate) async fn history(sessions: &Sessions, id: &str) -> Vec<Event> {
    let id = session_id(id);
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.number);
        let page = sessions.history(&caller(), &id, after, 1_000).await;
        let page = page.expect("a whole history").expect("a session");
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

pub(crate) fn text(key: &Bytes) -> String {
    String::from_utf8(key.to_vec()).expect("keys are text")
}

/// The code of the refusal.
pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, SessionError>) -> &'static str {
    answer.expect_err("a refusal").code()
}

/// A delegation to a session that may call anything, twice, for a minute.
pub(crate) fn delegation(child: &str, edit: impl FnOnce(&mut Delegate)) -> Delegate {
    let child = request(|request| {
        request.id = Some(session_id(child));
        request.time_limit_ms = 60 * SECOND;
        request.budget.calls = 2;
    });
    let mut delegation = Delegate::new(Agent::Unchecked, child);
    edit(&mut delegation);
    delegation
}

pub(crate) async fn delegate(
    sessions: &Sessions,
    parent: &str,
    request: Delegate,
) -> Result<Session, SessionError> {
    let parent = session_id(parent);
    sessions.delegate(&caller(), &parent, request).await
}

impl World {
    /// Delegates from `parent`, which may.
    pub(crate) async fn delegate(
        &self,
        parent: &str,
        child: &str,
        edit: impl FnOnce(&mut Delegate),
    ) -> Session {
        let made = delegate(&self.sessions, parent, delegation(child, edit)).await;
        made.expect("a delegation within its parent")
    }

    /// A root of ten calls, `s1`, and a child under each, `s2` to `s<depth>`,
    /// with one call less a level.
    pub(crate) async fn line(&self, depth: u64) {
        self.create(|_| {}).await;
        for level in 2..=depth {
            let (parent, child) = (format!("s{}", level - 1), format!("s{level}"));
            self.delegate(&parent, &child, |request| {
                request.child.budget.calls = 11 - level;
            })
            .await;
        }
    }
}

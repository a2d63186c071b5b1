//! A store with something of every part.

use std::sync::Arc;

use bytes::Bytes;
use windlass::access::{Grant, Groups, NewKey, Reach, Scope};
use windlass::check::{Check, CheckReport, Mode};
use windlass::checkpoint::{Changes, Payload};
use windlass::core::{AgentId, ManualEnv, Millis, SessionId};
use windlass::queue::{Content, Payload as Load, Under, Work};
use windlass::session::{Agent, Allow, Budget, Caller, Create, Delegate, Use};
use windlass::store::{Batch, Commit, Entry, KeyRange, Scan, Store};
use windlass::stream::{NewStream, Row};
use windlass::{Options, Windlass};
use windlass_store_memory::MemoryStore;

const START: Millis = Millis::new(1_700_000_000_000);

pub(super) fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "tests".parse().unwrap())
}

pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) env: Arc<ManualEnv>,
    pub(super) windlass: Windlass,
}

impl World {
    pub(super) fn empty() -> Self {
        let store = Arc::new(MemoryStore::new().unwrap());
        let env = Arc::new(ManualEnv::new(5, START));
        let below = (Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&env));
        let options = Options {
            audit: Some(windlass::audit::AuditOptions::default()),
            ..Options::default()
        };
        Self {
            windlass: Windlass::over(below.0, &options, below.1).unwrap(),
            store,
            env,
        }
    }

    /// With a little of every part.
    pub(super) async fn filled() -> Self {
        let world = Self::empty();
        fill(&world.windlass, "s1").await;
        fill(&world.windlass, "s2").await;
        world.windlass.audit().flush().await;
        world
    }

    pub(super) async fn check(&self, mode: Mode) -> CheckReport {
        let asked = Check {
            mode,
            ..Check::default()
        };
        self.windlass.check(&asked, &mut |_| ()).await
    }

    /// All entries whose key has all of these texts in it.
    pub(super) async fn entries(&self, texts: &[&str]) -> Vec<Entry> {
        let export = self.store.export(KeyRange::all()).await.unwrap();
        let all = export.collect().await.unwrap().into_iter();
        all.filter(|entry| {
            let key = std::str::from_utf8(&entry.key).unwrap();
            texts.iter().all(|text| key.contains(text))
        })
        .collect()
    }

    pub(super) async fn delete(&self, key: &Bytes) {
        self.apply(Batch::new().delete(key.clone())).await;
    }

    pub(super) async fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.apply(Batch::new().put(key, value)).await;
    }

    async fn apply(&self, batch: Batch) {
        let commit = self.store.commit(batch).await.unwrap();
        assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
    }

    pub(super) async fn get(&self, key: &Bytes) -> Option<Bytes> {
        let pages = self.store.read(&[Scan::point(key.clone())]).await.unwrap();
        pages[0].entries.first().map(|entry| entry.value.clone())
    }
}

/// One session with something of every part.
pub(super) async fn fill(windlass: &Windlass, name: &str) {
    let caller = caller();
    let session: SessionId = name.parse().unwrap();
    let agent: AgentId = "scout".parse().unwrap();
    let mut request = Create::new(agent, "look around");
    request.id = Some(session.clone());
    request.tools = Allow::All;
    request.budget.calls = 100;
    windlass.sessions().create(&caller, request).await.unwrap();
    for _ in 0..3 {
        let search = Use::one(Agent::Unchecked, "search".parse().unwrap());
        let used = windlass.sessions().use_tools(&caller, &session, search);
        used.await.unwrap();
    }
    let mut child = Create::new("helper".parse().unwrap(), "look closer");
    child.tools = Allow::All;
    child.time_limit_ms = 60_000;
    child.budget = Budget {
        calls: 5,
        ..child.budget
    };
    let request = Delegate::new(Agent::Unchecked, child);
    let made = windlass.sessions().delegate(&caller, &session, request);
    made.await.unwrap();
    let stash = windlass.stashes().stash(&caller.tenant, &session);
    let outside = stash.execution(None);
    let long = "x".repeat(3_000);
    outside.put(&"k".parse().unwrap(), &7, None).await.unwrap();
    outside
        .put(&"long".parse().unwrap(), &long, None)
        .await
        .unwrap();
    state(windlass, &session).await;
    let work = Work::new(vec![Load {
        kind: "step".into(),
        content: Content::Bytes(Bytes::from_static(b"next")),
    }]);
    let who = windlass::queue::Caller::new(caller.tenant.clone(), caller.principal.clone());
    let queued = windlass
        .queue()
        .enqueue(&who, &session, vec![work], Under::NOTHING);
    queued.await.unwrap();
    stream(windlass, &session).await;
    key(windlass, name).await;
}

async fn state(windlass: &Windlass, session: &SessionId) {
    let caller = caller();
    let who = windlass::checkpoint::Caller::new(caller.tenant, caller.principal);
    let noise: String = (0..9_000).map(|at| format!("{:x},", at * at)).collect();
    let said = Payload::Json(format!("\"{noise}\"").into());
    let changes = Changes::at(0)
        .put("plan".parse().unwrap(), said)
        .append("message", Payload::Json("1".into()));
    let committed = windlass.checkpoints().commit(&who, session, changes);
    committed.await.unwrap();
}

async fn stream(windlass: &Windlass, session: &SessionId) {
    let caller = caller();
    let who = windlass::stream::Caller::new(caller.tenant, caller.principal);
    let new = NewStream::of(session.clone());
    let mut writer = windlass.streams().create(&who, &new).await.unwrap();
    for row in ["1", "2", "3"] {
        writer.append(&Row::json(row).unwrap()).await.unwrap();
        writer.flush().await.unwrap();
    }
}

async fn key(windlass: &Windlass, label: &str) {
    let caller = caller();
    let request = NewKey::new(
        label,
        Grant {
            scope: Scope::Tenant {
                tenant: caller.tenant,
                principal: caller.principal,
            },
            reach: Reach::Own,
            groups: Groups::All,
            verbs: windlass::access::Verbs::all(),
        },
    );
    windlass.keys().create(request).await.unwrap();
}

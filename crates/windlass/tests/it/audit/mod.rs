//! The audit: what is told, that it can be trusted, and that it harms nobody.

mod ending;
mod events;
mod keeping;
mod lines;
mod sinks;
mod streaming;
mod tampering;

use std::sync::Arc;

use windlass::audit::{
    AuditKeep, AuditOptions, AuditQuery, Chain, ChainedEvent, Detail, Verified, Verify,
};
use windlass::core::{ManualEnv, Millis, SessionId};
use windlass::session::{Allow, Caller, Create, SessionError};
use windlass::store::{Batch, Commit, Store};
use windlass::{Options, Windlass};
use windlass_store_memory::MemoryStore;

/// An engine whose audit is on, over a store in memory.
struct Stage {
    store: Arc<dyn Store>,
    env: Arc<ManualEnv>,
    engine: Windlass,
}

impl Stage {
    fn new() -> Self {
        Self::with(at_once())
    }

    fn with(audit: AuditOptions) -> Self {
        Self::over(Arc::new(MemoryStore::new().unwrap()), audit)
    }

    fn over(store: Arc<dyn Store>, audit: AuditOptions) -> Self {
        let env = Arc::new(ManualEnv::new(7, Millis::new(1_700_000_000_000)));
        let options = Options {
            audit: Some(audit),
            ..Options::default()
        };
        let engine = Windlass::over(Arc::clone(&store), &options, env.clone()).unwrap();
        Self { store, env, engine }
    }

    /// Makes so many sessions, each of which is an event.
    async fn create(&self, sessions: usize) -> Vec<SessionId> {
        let mut made = Vec::new();
        for _ in 0..sessions {
            made.push(self.make().await.unwrap());
        }
        self.engine.audit().flush().await;
        made
    }

    /// Makes one, and leaves its event waiting.
    async fn make(&self) -> Result<SessionId, SessionError> {
        let created = self.engine.sessions().create(&caller(), request()).await;
        created.map(|session| session.id)
    }

    async fn verify(&self, asked: Verify) -> Verified {
        let audit = self.engine.audit();
        audit.verify(&acme(), asked, &mut |_, _| {}).await.unwrap()
    }

    async fn events(&self, chain: &Chain) -> Vec<ChainedEvent> {
        let query = AuditQuery {
            limit: 1_000,
            ..AuditQuery::default()
        };
        let page = self.engine.audit().page(chain, &query).await.unwrap();
        assert_eq!(page.next, None);
        page.events
    }

    /// The actions of the tenant's events and how they ended.
    async fn told(&self) -> Vec<String> {
        self.engine.audit().flush().await;
        let events = self.events(&acme()).await.into_iter();
        events
            .map(|chained| {
                let event = chained.event;
                let code = event.code.as_deref().unwrap_or(event.outcome.as_str());
                format!("{} {code}", event.action)
            })
            .collect()
    }

    async fn write(&self, batch: Batch) {
        let commit = self.store.commit(batch).await.unwrap();
        assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
    }
}

/// Settings under which nothing waits for others: on a clock of ours, waiting
/// is what moves it.
fn at_once() -> AuditOptions {
    AuditOptions {
        linger_ms: 0,
        ..AuditOptions::default()
    }
}

fn keeping(ms: Option<u64>, events: Option<u64>) -> AuditOptions {
    AuditOptions {
        keep: AuditKeep { ms, events },
        ..at_once()
    }
}

fn full() -> AuditOptions {
    AuditOptions {
        detail: Detail::Full,
        ..at_once()
    }
}

fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "runtime".parse().unwrap())
}

fn acme() -> Chain {
    "acme".parse().unwrap()
}

fn request() -> Create {
    let mut request = Create::new("scout".parse().unwrap(), "be audited");
    request.tools = Allow::only(["search"]).unwrap();
    request.budget.calls = 2;
    request
}

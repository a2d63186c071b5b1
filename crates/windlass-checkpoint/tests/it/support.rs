//! A small world: a store in memory, a clock of the test's own, and the
//! states over them.

use std::sync::Arc;

use bytes::Bytes;
use windlass_checkpoint::{
    At, Caller, Changes, CheckpointError, Checkpoints, Committed, Config, Node, Payload,
};
use windlass_core::{ManualEnv, Millis, OperationId, SessionId};
use windlass_store::Store;
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Strict, StrictOptions};

/// When every test begins.
pub(crate) const START: Millis = Millis::new(1_700_000_000_000);
pub(crate) const HOUR: u64 = 3_600 * 1_000;
pub(crate) const DAY: u64 = 24 * HOUR;

/// States over a store of which the test can see the ground.
pub(crate) struct World {
    /// What is really stored.
    pub(crate) ground: Arc<MemoryStore>,
    pub(crate) env: Arc<ManualEnv>,
    pub(crate) config: Config,
    pub(crate) states: Checkpoints,
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
        let states = over(strict(&ground), &env, &config);
        Self {
            ground,
            env,
            config,
            states,
        }
    }

    /// What another process, or this one after a restart, has of the store.
    pub(crate) fn reopen(&self) -> Checkpoints {
        over(strict(&self.ground), &self.env, &self.config)
    }

    pub(crate) async fn commit(
        &self,
        session: &str,
        changes: Changes,
    ) -> Result<Committed, CheckpointError> {
        self.states.commit(&caller(), &id(session), changes).await
    }

    /// Appends one message.
    pub(crate) async fn say(&self, session: &str, text: &str) -> Committed {
        let done = self
            .commit(session, message(Changes::default(), text))
            .await;
        done.expect("a commit that nothing forbids")
    }

    /// The texts on the way to the leaf.
    pub(crate) async fn texts(&self, session: &str, at: &At) -> Vec<String> {
        let path = self
            .states
            .path(&caller(), &id(session), at, None, 1_000)
            .await;
        let path = path.expect("a readable state").expect("a state");
        path.nodes.iter().map(text_of).collect()
    }
}

pub(crate) fn over(store: Arc<dyn Store>, env: &Arc<ManualEnv>, config: &Config) -> Checkpoints {
    Checkpoints::new(store, Arc::clone(env) as _, config.clone()).expect("settings in range")
}

pub(crate) fn strict(ground: &Arc<MemoryStore>) -> Arc<dyn Store> {
    let options = StrictOptions::WITHOUT_ERRORS;
    Arc::new(Strict::new(Arc::clone(ground), options))
}

pub(crate) fn caller() -> Caller {
    Caller::new(
        "acme".parse().expect("a tenant"),
        "runtime".parse().expect("a principal"),
    )
}

pub(crate) fn id(session: &str) -> SessionId {
    session.parse().expect("a session id")
}

pub(crate) fn turn(name: &str) -> OperationId {
    name.parse().expect("an operation id")
}

pub(crate) fn message(changes: Changes, text: &str) -> Changes {
    changes.append(
        "message",
        Payload::Bytes(Bytes::copy_from_slice(text.as_bytes())),
    )
}

pub(crate) fn text_of(node: &Node) -> String {
    match &node.payload {
        Some(payload) => String::from_utf8_lossy(payload.bytes()).into_owned(),
        None => "(tombstone)".to_owned(),
    }
}

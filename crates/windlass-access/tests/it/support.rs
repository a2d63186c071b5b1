//! A small world: a strict store in memory, a clock of the test's own, and
//! keys and tenants over them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use windlass_access::{
    AccessError, ApiKey, Certificate, Grant, Groups, Keys, NewKey, Reach, Scope, Secret, Tenants,
    Verbs,
};
use windlass_core::{ManualEnv, Millis, TenantId};
use windlass_store::{Batch, Commit, Entry, KeyRange, Store, StoreExt};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Strict, StrictOptions};

/// When every test begins.
pub(crate) const START: Millis = Millis::new(1_700_000_000_000);
pub(crate) const SECOND: u64 = 1_000;
pub(crate) const DAY: u64 = 24 * 3_600 * SECOND;

/// Keys and tenants over a store of which the test can see the ground.
pub(crate) struct World {
    /// What is really stored.
    pub(crate) ground: Arc<MemoryStore>,
    pub(crate) env: Arc<ManualEnv>,
    pub(crate) keys: Keys,
    pub(crate) tenants: Tenants,
}

impl World {
    /// A world over a store that makes the least of its contract, but does
    /// not fail.
    pub(crate) fn new() -> Self {
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let store = strict(&ground, StrictOptions::WITHOUT_ERRORS);
        let env = Arc::new(ManualEnv::new(7, START));
        Self {
            keys: Keys::new(Arc::clone(&store), Arc::clone(&env) as _),
            tenants: Tenants::new(store, Arc::clone(&env) as _),
            ground,
            env,
        }
    }

    pub(crate) fn keys_over(&self, store: Arc<dyn Store>) -> Keys {
        Keys::new(store, Arc::clone(&self.env) as _)
    }

    pub(crate) fn tenants_over(&self, store: Arc<dyn Store>) -> Tenants {
        Tenants::new(store, Arc::clone(&self.env) as _)
    }

    /// A key that lasts for ever.
    pub(crate) async fn make(&self, grant: Grant) -> (ApiKey, Secret) {
        let made = self.keys.create(NewKey::new("a label", grant)).await;
        made.expect("a key that may be made")
    }

    /// A key of `acme` that lasts for ever.
    pub(crate) async fn key(&self) -> (ApiKey, Secret) {
        self.make(grant_of("acme", &["session.*"])).await
    }

    /// The key that a token proves.
    pub(crate) async fn prove(&self, token: &str) -> Option<ApiKey> {
        let proven = self.keys.authenticate(token).await;
        proven.expect("a store that works")
    }

    pub(crate) async fn erase(&self, name: &str) -> Result<Certificate, AccessError> {
        self.tenants.erase(&tenant(name), &mut |_| {}).await
    }

    /// Every stored key and value.
    pub(crate) async fn rows(&self) -> Vec<Entry> {
        let all = self.ground.scan_all(KeyRange::all()).await;
        all.expect("a store that works")
    }

    /// Every stored key, as text.
    pub(crate) async fn names(&self) -> Vec<String> {
        let rows = self.rows().await;
        rows.iter().map(|row| text(&row.key)).collect()
    }

    /// Writes rows behind everybody's back.
    pub(crate) async fn put(&self, key: &str, value: impl Into<Bytes>) {
        self.commit(Batch::new().put(key.to_owned(), value)).await;
    }

    pub(crate) async fn commit(&self, batch: Batch) {
        let commit = self.ground.commit(batch).await.expect("a store that works");
        assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
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

pub(crate) fn strict(ground: &Arc<MemoryStore>, options: StrictOptions) -> Arc<dyn Store> {
    Arc::new(Strict::new(Arc::clone(ground), options))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn tenant(name: &str) -> TenantId {
    name.parse().expect("an identifier")
}

pub(crate) fn scope_of(name: &str) -> Scope {
    Scope::Tenant {
        tenant: tenant(name),
        principal: "runtime".parse().expect("an identifier"),
    }
}

pub(crate) fn verbs(names: &[&str]) -> Verbs {
    Verbs::of(names.iter().copied()).expect("verbs")
}

pub(crate) fn grant_of(name: &str, names: &[&str]) -> Grant {
    Grant {
        scope: scope_of(name),
        reach: Reach::Own,
        groups: Groups::None,
        verbs: verbs(names),
    }
}

pub(crate) fn operators(names: &[&str]) -> Grant {
    Grant {
        scope: Scope::Operator,
        ..grant_of("acme", names)
    }
}

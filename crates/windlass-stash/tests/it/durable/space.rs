//! Space: expired entries hold none, whatever their number.

use std::sync::Arc;

use async_trait::async_trait;
use windlass_stash::durable::Options;
use windlass_store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};
use windlass_store_memory::MemoryStore;

use super::world::{World, execution};
use crate::support::{HOUR, key};

/// How many entries expire.
const EXPIRED: u64 = 100_000;

/// A store that another process writes to before each of our commits.
#[derive(Debug)]
pub(super) struct Rival {
    inner: Arc<MemoryStore>,
    rival: windlass_stash::durable::Stashes,
}

impl Rival {
    pub(super) fn over(world: &World) -> Self {
        Self {
            inner: Arc::clone(&world.ground),
            rival: world.reopen(),
        }
    }
}

#[async_trait]
impl Store for Rival {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let other = execution(&self.rival, Some("rival"));
        other.put(&key("other"), &1, None).await.expect("room");
        self.inner.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

#[tokio::test]
async fn expired_entries_without_number_never_refuse_a_put() {
    let count = EXPIRED;
    let mut options = Options::default();
    options.stash.keys_max = count;
    let world = World::with_options(options);
    let stashes = world.over(world.ground.clone());
    let old = execution(&stashes, Some("old"));
    for first in (0..count).step_by(256) {
        let puts = (first..count.min(first + 256)).map(|number| {
            let name = key(&format!("k{number}"));
            let value = windlass_stash::Value::of(&number).expect("JSON");
            windlass_stash::Operation::Put(windlass_stash::Put::new(name, value).ttl_ms(1_000))
        });
        old.step(&puts.collect::<Vec<_>>()).await.expect("room");
    }
    let full = old.put(&key("one-more"), &0, None).await;
    assert_eq!(crate::support::code(full), "key_limit_exceeded");
    world.env.advance_ms(1_000);

    // A process that has to read them all, and one that knows them.
    let stranger = execution(&world.over(world.ground.clone()), Some("new"));
    stranger.put(&key("k0"), &"mine", None).await.expect("room");
    let new = execution(&stashes, Some("new"));
    for number in 0..1_000.min(count - 1) {
        let name = key(&format!("n{number}"));
        new.put(&name, &number, None).await.expect("room");
    }
    let usage = super::world::stash(&stashes)
        .usage()
        .await
        .expect("readable");
    assert_eq!(usage.live.keys, 1_001.min(count));
    assert!(usage.live.keys + usage.expired.keys <= count, "{usage:?}");
    let reaped = super::world::stash(&stashes).reap_expired(None).await;
    let reaped = reaped.expect("a store");
    assert_eq!(
        (reaped.removed, reaped.truncated),
        (usage.expired.keys, false)
    );
    assert_eq!(world.recount().await.rows, usage.live.keys);
}

#[tokio::test]
async fn a_put_that_needs_the_room_of_thousands_of_expired_entries_gets_it() {
    let world = World::new(|config| {
        config.keys_max = 2_000;
        config.total_bytes_max = 200_000;
        config.value_bytes_max = 200_000;
    });
    let execution = world.outside();
    for number in 0..2_000_u32 {
        let name = key(&format!("k{number}"));
        let short = execution.put(&name, &"x".repeat(90), Some(HOUR)).await;
        short.expect("room");
    }
    world.env.advance_ms(HOUR);
    let large = "y".repeat(199_998);
    let stored = execution.put(&key("large"), &large, None).await;
    assert_eq!(stored.expect("room").size, 200_000);
    assert_eq!(world.recount().await.rows, 1);
}

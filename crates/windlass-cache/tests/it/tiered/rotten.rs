//! Rows that the store itself cannot read any more: they stop nothing that
//! goes over many, and what they were of is gone once it was to go.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_cache::{Priority, Put, SweepLimit};
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
    StoreExt, Take, Write,
};

use super::support::{Pair, memory, options};
use crate::support::{key, tag};

const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);

/// A store in which the values of some rows are lost until they are written
/// anew, or deleted.
#[derive(Debug)]
struct Rotten {
    inner: Arc<dyn Store>,
    lost: Mutex<HashSet<Bytes>>,
}

impl Rotten {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: memory(),
            lost: Mutex::default(),
        })
    }

    fn lose(&self, row: &Bytes) {
        self.lost.lock().expect("a lock").insert(row.clone());
    }
}

#[async_trait]
impl Store for Rotten {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        let pages = self.inner.read(scans).await?;
        let lost = self.lost.lock().expect("a lock");
        for (scan, page) in scans.iter().zip(&pages) {
            let hit = page.entries.iter().any(|entry| lost.contains(&entry.key));
            if hit && scan.take == Take::Entries {
                let context = "a stored value is damaged";
                return Err(StoreError::new(StoreErrorKind::Corrupt, "read", context));
            }
        }
        Ok(pages)
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let mut lost = self.lost.lock().expect("a lock").clone();
        for write in &batch.writes {
            match write {
                Write::Put { key, .. } | Write::Delete { key } => lost.remove(key),
            };
        }
        let commit = self.inner.commit(batch).await?;
        if let Commit::Applied(_) = &commit {
            *self.lost.lock().expect("a lock") = lost;
        }
        Ok(commit)
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Three entries with every kind of index.
async fn filled(store: Arc<Rotten>) -> Pair {
    let mut pair = Pair::with(options(), store).await;
    for name in ["x/1", "x/2", "x/3"] {
        let mut put = Put::with_ttl_ms(name, 10);
        put.tags.push(tag("t"));
        put.depends_on.push(key("source"));
        pair.put(name, put).await;
    }
    pair.reopen("boot-1").await;
    pair
}

/// All rows by which entries are found, and their records.
async fn rows() -> Vec<Bytes> {
    let pair = filled(Rotten::new()).await;
    let mut rows = Vec::new();
    for table in ["entry", "rank", "due", "tag", "dep"] {
        let range = KeyRange::prefix(format!("cache/{table}/"));
        let found = pair.store.scan_all(range).await.expect("it answers");
        rows.extend(found.into_iter().map(|entry| entry.key));
    }
    assert_eq!(rows.len(), 15);
    rows
}

/// What has everything go, by one way or another.
#[derive(Clone, Copy, Debug)]
enum Way {
    Prefix,
    Tag,
    Dependents,
    Time,
    Flush,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Prefix,
        Self::Tag,
        Self::Dependents,
        Self::Time,
        Self::Flush,
    ];

    async fn go(self, pair: &Pair) {
        let (cache, space) = (&pair.cache, &pair.space);
        match self {
            Self::Prefix => drop(cache.invalidate_prefix(space, "x/").await.expect("done")),
            Self::Tag => drop(
                cache
                    .invalidate_tags(space, &[tag("t")])
                    .await
                    .expect("done"),
            ),
            Self::Dependents => drop(cache.invalidate(space, &key("source")).await.expect("done")),
            Self::Time => pair.env.advance_ms(10),
            Self::Flush => drop(cache.flush_namespace(space).await.expect("done")),
        }
    }
}

#[tokio::test]
async fn a_row_that_is_lost_stops_nothing_and_hides_nothing() {
    for lost in rows().await {
        for way in Way::ALL {
            let what = format!("{way:?} without {}", lost.escape_ascii());
            let store = Rotten::new();
            let mut pair = filled(Arc::clone(&store)).await;
            store.lose(&lost);
            way.go(&pair).await;
            assert_eq!(
                pair.visible(&["x/1", "x/2", "x/3"]).await,
                [""; 0],
                "{what}"
            );
            let swept = pair.cache.sweep_expired(ALL, None).await;
            assert!(!swept.expect("it is swept").is_truncated(), "{what}");
            pair.reopen("boot-1").await;
            assert_eq!(
                pair.visible(&["x/1", "x/2", "x/3"]).await,
                [""; 0],
                "{what}"
            );
            pair.put("x/2", Put::new("new")).await;
            assert_eq!(pair.text("x/2").await.as_deref(), Some("new"), "{what}");
        }
    }
}

#[tokio::test]
async fn a_row_that_is_lost_leaves_room_and_is_passed_over_where_keys_are_listed() {
    for lost in rows().await {
        let what = lost.escape_ascii().to_string();
        let store = Rotten::new();
        let mut small = options();
        small.l2_bytes_max = 90 << 10;
        let mut pair = filled(Arc::clone(&store)).await;
        pair.reopen_with(small).await;
        store.lose(&lost);
        let page = pair.cache.enumerate(&pair.space, None, 9).await;
        assert!(page.expect("it answers").keys.len() >= 2, "{what}");
        for number in 0..40 {
            let mut put = Put::new(vec![1; 4_000]);
            put.policy.priority = Priority::High;
            pair.put(&number.to_string(), put).await;
        }
        let stats = pair.cache.stats().second;
        assert!(stats.bytes <= 90 << 10, "{what}: {stats:?}");
    }
}

//! Blobs whose writers died between the bytes and the record, and blobs whose
//! writers did not.

use std::sync::Arc;

use windlass_cache::{Options, Put, SweepLimit, TieredCache};
use windlass_store::{KeyRange, Store, StoreExt};
use windlass_store_testing::{Moment, Pausing, Verb};

use super::support::{Mortal, Pair, large, memory};
use crate::support::key;

const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);
/// A blob of six pieces, which two commits write.
const LONG: usize = (5 << 20) + 1;

async fn rows(store: &Arc<dyn Store>, table: &str) -> usize {
    let prefix = format!("cache/{table}/");
    let rows = store.scan_all(KeyRange::prefix(prefix)).await;
    rows.expect("the store answers").len()
}

#[tokio::test]
async fn a_writer_that_dies_leaves_exactly_what_is_taken_back() {
    let mut seen = Vec::new();
    for after in 1..=4 {
        for applies_last in [false, true] {
            let mut pair = Pair::with(large(), memory()).await;
            pair.put("kept", Put::new(vec![1; LONG])).await;
            let over = Mortal::new(Arc::clone(&pair.store));
            pair.reopen_over(Arc::clone(&over) as _, "boot-1").await;
            over.die_after(after, applies_last);
            let put = Put::new(vec![2; LONG]);
            let died = pair.cache.put(&pair.space, &key("died"), put).await;
            let whole = died.is_ok();
            pair.reopen("boot-1").await;
            let before = rows(&pair.store, "blob").await;
            let (left, open) = (before - 6, rows(&pair.store, "open").await);
            let found = pair.get("died").await;
            let found = found.inspect(|found| assert!(found.value() == &vec![2; LONG]));
            let report = pair.cache.reclaim_orphans(ALL, None).await;
            let report = report.expect("the store answers");
            let expected = match found {
                Some(_) => (0, 0, 6),
                None => (u64::from(open > 0), left, 0),
            };
            let orphaned = usize::try_from(report.pieces).expect("few");
            let now = rows(&pair.store, "blob").await - 6;
            assert_eq!(
                (report.chains, orphaned, now),
                expected,
                "{after} {applies_last}"
            );
            assert_eq!(rows(&pair.store, "open").await, 0);
            assert_eq!(
                pair.get("kept").await.expect("it is whole").value(),
                &vec![1; LONG]
            );
            seen.push((report.chains, found.is_some(), whole));
        }
    }
    let took = |one: u64| seen.iter().filter(|(chains, ..)| *chains == one).count();
    assert!(took(1) >= 3 && took(0) >= 2, "{seen:?}");
}

/// A cache over a store that can be held, and grace of a second.
async fn held() -> (Arc<Pausing<dyn Store>>, Pair) {
    let options = Options {
        grace_ms: 1_000,
        ..large()
    };
    let mut pair = Pair::with(options, memory()).await;
    let pausing = Arc::new(Pausing::new(Arc::clone(&pair.store)));
    pair.reopen_over(Arc::clone(&pausing) as _, "boot-1").await;
    (pausing, pair)
}

fn put(cache: &TieredCache, pair: &Pair) -> tokio::task::JoinHandle<bool> {
    let (cache, space) = (cache.clone(), pair.space.clone());
    tokio::spawn(async move {
        let put = Put::new(vec![3; LONG]);
        cache.put(&space, &key("long"), put).await.is_ok()
    })
}

#[tokio::test]
async fn what_is_being_written_is_never_taken() {
    let (pausing, pair) = held().await;
    for moment in [Moment::Before, Moment::After] {
        // The second commit of pieces, then that of the record.
        for skipped in [1, 2] {
            let mut pauses = Vec::new();
            for _ in 0..skipped {
                pauses.push(pausing.pause(Verb::Commit, moment));
            }
            let last = pausing.pause(Verb::Commit, moment);
            let writer = put(&pair.cache, &pair);
            for pause in pauses {
                pause.reached().await.release();
            }
            let held = last.reached().await;
            pair.env.advance_ms(5_000);
            let report = pair.cache.reclaim_orphans(ALL, None).await;
            let report = report.expect("the store answers");
            assert_eq!(report.chains, 0, "{moment:?} {skipped}");
            held.release();
            assert!(writer.await.expect("it ends"));
            let found = pair.get("long").await.expect("it was put");
            assert!(found.value() == &vec![3; LONG]);
        }
    }
}

#[tokio::test]
async fn who_gives_up_leaves_its_blob_for_the_grace_period() {
    let (pausing, pair) = held().await;
    let pause = pausing.pause(Verb::Commit, Moment::After);
    let writer = put(&pair.cache, &pair);
    let held = pause.reached().await;
    writer.abort();
    assert!(writer.await.is_err_and(|error| error.is_cancelled()));
    held.release();
    let early = pair.cache.reclaim_orphans(ALL, None).await;
    let early = early.expect("the store answers");
    assert_eq!((early.scanned, early.chains), (1, 0));
    pair.env.advance_ms(1_000);
    let none = pair
        .cache
        .reclaim_orphans(SweepLimit::Entries(0), None)
        .await;
    let none = none.expect("the store answers");
    assert_eq!((none.scanned, none.is_truncated()), (0, true));
    let report = pair.cache.reclaim_orphans(ALL, none.next).await;
    let report = report.expect("the store answers");
    assert_eq!((report.chains, report.pieces), (1, 4));
    assert_eq!(report.namespaces[&pair.space].chains, 1);
    assert_eq!(rows(&pair.store, "blob").await, 0);
    assert_eq!(pair.cache.stats().second.orphans, 1);
}

#[tokio::test]
async fn a_refused_put_takes_its_blob_back() {
    let pair = Pair::with(large(), memory()).await;
    let version = |version, byte| Put {
        version: Some(version),
        ..Put::new(vec![byte; LONG])
    };
    pair.put("a", version(5, 1)).await;
    let refused = pair.cache.put(&pair.space, &key("a"), version(5, 2)).await;
    assert_eq!(crate::support::code(refused), "version_mismatch");
    assert_eq!(rows(&pair.store, "blob").await, 6);
    pair.put("a", version(6, 3)).await;
    assert_eq!(
        rows(&pair.store, "blob").await,
        6,
        "what was replaced is gone"
    );
    pair.cache
        .invalidate(&pair.space, &key("a"))
        .await
        .expect("it is durable");
    assert_eq!(rows(&pair.store, "blob").await, 0);
    assert_eq!(pair.cache.stats().second.bytes, 0);
}

//! The counting wrapper.

use windlass_store::{Batch, Expect, KeyRange, Scan, Store, StoreErrorKind};
use windlass_store_testing::{Counting, Counts};

use super::{below, kind, put, value};

#[tokio::test]
async fn calls_are_counted_by_what_came_of_them() {
    let store = Counting::new(below());
    put(&store, "acme/a", "1").await;
    let batch = Batch::new()
        .put("acme/b", "1")
        .put("acme/c", "1")
        .delete("acme/a");
    let _ = store.commit(batch).await.unwrap();
    let losing = Batch::new()
        .check("acme/none", Expect::Present)
        .put("acme/d", "1");
    let _ = store.commit(losing).await.unwrap();
    let wrong = store.commit(Batch::new()).await;
    assert_eq!(kind(&wrong), Some(StoreErrorKind::Invalid));
    store
        .read(&[Scan::point("acme/a"), Scan::point("acme/b")])
        .await
        .unwrap();
    store.export(KeyRange::all()).await.unwrap();
    let expected = Counts {
        reads: 1,
        scans: 2,
        commits: 4,
        applied: 2,
        conflicts: 1,
        writes: 4,
        exports: 1,
    };
    assert_eq!(store.counts(), expected);
}

#[tokio::test]
async fn the_difference_is_what_happened_in_between() {
    let store = Counting::new(below());
    put(&store, "acme/a", "1").await;
    let before = store.counts();
    put(&store, "acme/a", "2").await;
    value(&store, "acme/a").await;
    let during = Counts {
        reads: 1,
        scans: 1,
        commits: 1,
        applied: 1,
        writes: 1,
        ..Counts::default()
    };
    assert_eq!(store.counts() - before, during);
}

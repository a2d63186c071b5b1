//! P12: every limit at its last allowed value and one beyond.

use bytes::Bytes;
use windlass_store::limits::{
    BATCH_BYTES_MAX, BATCH_CHECKS_MAX, BATCH_WRITES_MAX, KEY_BYTES_MAX, READ_ENTRIES_MAX,
    READ_SCANS_MAX, VALUE_BYTES_MAX,
};
use windlass_store::{Batch, Expect, KeyRange, Scan, Store, StoreErrorKind, Version};

use super::common::{apply, ensure_refused, everything, key, put};
use crate::Fixture;
use crate::verdict::{Trial, ensure_equal};

pub(crate) async fn p12_limits_are_enforced_before_anything_happens(
    fixture: &mut dyn Fixture,
) -> Trial {
    let store = fixture.fresh().await?;
    let version = put(&*store, "acme/witness", "1").await?;
    batches_beyond(&*store, version).await?;
    reads_beyond(&*store).await?;
    reads_at_the_limit(&*store).await?;
    batches_at_the_limit(&*store).await
}

async fn batches_beyond(store: &dyn Store, version: Version) -> Trial {
    let before = everything(store).await?;
    for (batch, what) in wrong_batches() {
        ensure_refused(
            &store.commit(batch.clone()).await,
            StoreErrorKind::Invalid,
            || what.into(),
        )?;
        // A check that does not hold must not turn the error into a conflict.
        if batch.checks.len() < BATCH_CHECKS_MAX {
            let batch = batch.check("acme/missing", Expect::Version(version));
            let what = || format!("{what}, with a check that does not hold");
            ensure_refused(&store.commit(batch).await, StoreErrorKind::Invalid, what)?;
        }
        let after = everything(store).await?;
        ensure_equal(&after, &before, || format!("the store after {what}"))?;
    }
    ensure_refused(
        &store.commit(Batch::new()).await,
        StoreErrorKind::Invalid,
        || "an empty batch".into(),
    )
}

/// Batches just over a limit. Each begins with a write that would be seen.
fn wrong_batches() -> Vec<(Batch, &'static str)> {
    let batch = || Batch::new().put("acme/trace", "1").delete("acme/witness");
    let long = bytes(KEY_BYTES_MAX + 1);
    vec![
        (checks(batch(), BATCH_CHECKS_MAX + 1), "one check too many"),
        (puts(batch(), BATCH_WRITES_MAX - 1), "one put too many"),
        (
            deletes(batch(), BATCH_WRITES_MAX - 1),
            "one delete too many",
        ),
        (
            batch().put(long.clone(), "1"),
            "a put of a key one byte too long",
        ),
        (
            batch().delete(long.clone()),
            "a delete of a key one byte too long",
        ),
        (
            batch().check(long, Expect::Present),
            "a check of a key one byte too long",
        ),
        (
            batch().put("acme/large", bytes(VALUE_BYTES_MAX + 1)),
            "a value one byte too long",
        ),
        (
            sized(batch(), BATCH_BYTES_MAX + 1),
            "a batch one byte too large",
        ),
        (batch().put("acme/trace", "2"), "a key put twice"),
        (batch().delete("acme/trace"), "a key put and deleted"),
        (batch().delete("acme/witness"), "a key deleted twice"),
        (twice(batch(), Expect::Present), "a key checked twice"),
        (
            batch().check("acme/other", Expect::Absent),
            "`Absent` without a put",
        ),
        (
            batch().check("acme/witness", Expect::Absent),
            "`Absent` with a delete",
        ),
    ]
}

fn twice(batch: Batch, expect: Expect) -> Batch {
    batch
        .check("acme/witness", expect)
        .check("acme/witness", expect)
}

async fn batches_at_the_limit(store: &dyn Store) -> Trial {
    apply(store, puts(Batch::new(), BATCH_CHECKS_MAX)).await?;
    apply(store, checks(Batch::new(), BATCH_CHECKS_MAX)).await?;
    apply(store, puts(Batch::new(), BATCH_WRITES_MAX)).await?;
    apply(store, deletes(Batch::new(), BATCH_WRITES_MAX)).await?;
    let long = bytes(KEY_BYTES_MAX);
    apply(
        store,
        Batch::new()
            .check(long.clone(), Expect::Absent)
            .put(long.clone(), "1"),
    )
    .await?;
    apply(
        store,
        Batch::new()
            .check(long.clone(), Expect::Present)
            .delete(long),
    )
    .await?;
    put(store, "acme/large", bytes(VALUE_BYTES_MAX)).await?;
    apply(store, sized(Batch::new(), BATCH_BYTES_MAX))
        .await
        .map(drop)
}

async fn reads_beyond(store: &dyn Store) -> Trial {
    let long = bytes(KEY_BYTES_MAX + 2);
    let scan = || Scan::prefix("acme/");
    for (scans, what) in [
        (vec![], "no scan"),
        (vec![scan(); READ_SCANS_MAX + 1], "one scan too many"),
        (vec![scan(), scan().limit(0)], "a limit of nothing"),
        (
            vec![scan(), scan().limit(READ_ENTRIES_MAX + 1)],
            "a limit one too high",
        ),
        (
            vec![Scan::new(KeyRange::new("a", long.clone()))],
            "an end one byte too long",
        ),
        (
            vec![Scan::prefix(long.clone())],
            "a start one byte too long",
        ),
    ] {
        ensure_refused(&store.read(&scans).await, StoreErrorKind::Invalid, || {
            what.into()
        })?;
    }
    let export = store.export(KeyRange::prefix(long)).await;
    ensure_refused(&export, StoreErrorKind::Invalid, || {
        "an export from a start too long".into()
    })
}

async fn reads_at_the_limit(store: &dyn Store) -> Trial {
    let long = bytes(KEY_BYTES_MAX + 1);
    store
        .read(&vec![Scan::prefix("acme/"); READ_SCANS_MAX])
        .await?;
    store
        .read(&[Scan::prefix("acme/").limit(READ_ENTRIES_MAX)])
        .await?;
    store
        .read(&[
            Scan::new(KeyRange::new("a", long.clone())),
            Scan::point(bytes(KEY_BYTES_MAX)),
        ])
        .await?;
    store
        .export(KeyRange {
            start: long,
            end: None,
        })
        .await?
        .collect()
        .await?;
    Ok(())
}

fn bytes(length: usize) -> Bytes {
    vec![b'z'; length].into()
}

fn checks(batch: Batch, count: usize) -> Batch {
    (0..count).fold(batch, |batch, number| {
        batch.check(key("limit", number), Expect::Present)
    })
}

fn puts(batch: Batch, count: usize) -> Batch {
    (0..count).fold(batch, |batch, number| batch.put(key("limit", number), ""))
}

fn deletes(batch: Batch, count: usize) -> Batch {
    (0..count).fold(batch, |batch, number| batch.delete(key("limit", number)))
}

/// The batch with puts added until it has exactly `size` bytes.
fn sized(mut batch: Batch, size: usize) -> Batch {
    let mut number = 0;
    while size - batch.size() > VALUE_BYTES_MAX {
        batch = batch.put(key("sized", number), bytes(VALUE_BYTES_MAX / 2));
        number += 1;
    }
    let last = key("sized", number);
    let rest = size - batch.size() - last.len();
    batch.put(last, bytes(rest))
}

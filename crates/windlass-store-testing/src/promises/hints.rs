//! P15: hints.

use std::sync::Arc;

use tokio::task::yield_now;
use windlass_store::limits::SUBSCRIPTIONS_MAX;
use windlass_store::{Batch, Changes, Scan, Store};

use super::common::{apply, everything, exported, key, put, spawn};
use crate::Fixture;
use crate::verdict::{Trial, ensure_equal};

const COMMITS: usize = 20;

pub(crate) async fn p15_all_hints_may_be_lost(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    let unread: Vec<Changes> = (0..50).map(|_| store.subscribe(b"acme/")).collect();
    works(&*store, "hints that nobody reads").await?;
    drop(unread);
    works(&*store, "subscriptions that were dropped").await?;
    abandoned_waits(&store).await?;
    works(&*store, "waits that were abandoned").await?;
    let many: Vec<Changes> = (0..SUBSCRIPTIONS_MAX + 10)
        .map(|_| store.subscribe(b""))
        .collect();
    works(&*store, "more subscriptions than are kept").await?;
    drop(many);
    store.close().await?;
    Ok(())
}

/// Puts, reads, exports and deletes as if nobody had subscribed.
async fn works(store: &dyn Store, beside: &str) -> Trial {
    for number in 0..COMMITS {
        put(store, key("hint", number), "1").await?;
    }
    let found = everything(store).await?.len();
    ensure_equal(&found, &COMMITS, || format!("keys put beside {beside}"))?;
    store.read(&[Scan::prefix("acme/hint/")]).await?;
    let found = exported(store).await?.len();
    ensure_equal(&found, &COMMITS, || {
        format!("keys exported beside {beside}")
    })?;
    let deletes = (0..COMMITS).fold(Batch::new(), |batch, number| {
        batch.delete(key("hint", number))
    });
    apply(store, deletes).await.map(drop)
}

/// Tasks that wait for hints and are stopped, some before and some after a
/// hint was sent.
async fn abandoned_waits(store: &Arc<dyn Store>) -> Trial {
    let wait = || {
        let mut changes = store.subscribe(b"acme/");
        spawn(async move { Ok(changes.changed().await) })
    };
    let tasks: Vec<_> = (0..20).map(|_| wait()).collect();
    yield_now().await;
    tasks[..10].iter().for_each(tokio::task::JoinHandle::abort);
    put(&**store, "acme/hint", "1").await?;
    tasks[10..].iter().for_each(tokio::task::JoinHandle::abort);
    apply(&**store, Batch::new().delete("acme/hint"))
        .await
        .map(drop)
}

//! P11 and P13: what is left after a store was let go of, and what it still
//! answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Commit, KeyRange, Scan, Store, StoreErrorKind};

use super::common::{apply, ensure_refused, everything, exported, fill, join, key, put, spawn};
use crate::gather::try_drain;
use crate::verdict::{Stop, Trial, ensure, ensure_equal};
use crate::{Fixture, FixtureError};

const ROUNDS: usize = 4;

pub(crate) async fn p11_what_commit_acknowledged_is_there_after_reopening(
    fixture: &mut dyn Fixture,
) -> Trial {
    let mut store = fixture.fresh().await?;
    fill(&*store, "base", 300).await?;
    for round in 0..ROUNDS {
        put(&*store, key("round", round), vec![b'.'; 50_000 * round]).await?;
        put(&*store, "acme/overwritten", round.to_string()).await?;
        apply(
            &*store,
            Batch::new()
                .delete(key("base", round))
                .put("acme/last", "x"),
        )
        .await?;
        let before = everything(&*store).await?;
        // Every other time as a process that ends without closing.
        if round % 2 == 0 {
            store.close().await?;
        }
        drop(store);
        store = fixture.reopen().await?;
        let after = everything(&*store).await?;
        ensure_equal(&after.len(), &before.len(), || {
            format!("entries after re-opening {round}")
        })?;
        ensure(after == before, || {
            format!("entries changed by re-opening {round}")
        })?;
    }
    emptied(fixture, store).await
}

/// A store whose every key was deleted is still empty, and still a store.
async fn emptied(fixture: &mut dyn Fixture, store: Arc<dyn Store>) -> Trial {
    let entries = everything(&*store).await?;
    let deletes = entries
        .into_iter()
        .fold(Batch::new(), |batch, entry| batch.delete(entry.key));
    apply(&*store, deletes).await?;
    drop(store);
    let store = fixture.reopen().await?;
    ensure_equal(&everything(&*store).await?, &Vec::new(), || {
        "after deleting all".into()
    })?;
    put(&*store, "acme/new", "1").await.map(drop)
}

pub(crate) async fn p13_use_after_close_fails_with_closed(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    fill(&*store, "kept", 20).await?;
    let subscription = store.subscribe(b"acme/");
    store.close().await?;
    closed(&*store).await?;
    store.close().await?;
    closed(&*store).await?;
    drop((subscription, store));
    export_across_close(fixture).await?;
    commits_across_close(fixture).await
}

async fn closed(store: &dyn Store) -> Trial {
    let kind = StoreErrorKind::Closed;
    let scan = Scan::prefix("acme/");
    ensure_refused(&store.read(&[scan]).await, kind, || {
        "a read after `close`".into()
    })?;
    let batch = Batch::new().put("acme/late", "1");
    ensure_refused(&store.commit(batch).await, kind, || {
        "a commit after `close`".into()
    })?;
    let export = store.export(KeyRange::all()).await;
    ensure_refused(&export, kind, || "an export after `close`".into())?;
    drop(store.subscribe(b"acme/"));
    Ok(())
}

/// An export that is open when the store closes goes on to its end or fails;
/// it never ends early as if that were all.
async fn export_across_close(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    fill(&*store, "kept", 1_200).await?;
    let expected = exported(&*store).await?;
    let mut export = store.export(KeyRange::all()).await?;
    let mut entries = export.next().await?.unwrap_or_default();
    store.close().await?;
    match try_drain(export).await? {
        Ok(rest) => {
            entries.extend(rest);
            ensure(entries == expected, || "`close` cut an export short".into())
        }
        Err(error) if error.kind() == StoreErrorKind::Closed => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Commits that are under way when the store closes are applied or refused,
/// and a store that can be opened again shows which.
async fn commits_across_close(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    let commit = |number: usize| {
        let store = Arc::clone(&store);
        spawn(async move {
            Ok((
                number,
                store
                    .commit(Batch::new().put(key("race", number), "1"))
                    .await,
            ))
        })
    };
    let commits = (0..40).map(commit).collect();
    store.close().await?;
    let mut applied = BTreeSet::new();
    for (number, answer) in join(commits).await? {
        match answer {
            Ok(Commit::Applied(_)) => drop(applied.insert(key("race", number))),
            answer => ensure_refused(&answer, StoreErrorKind::Closed, || {
                "a commit beside `close`".into()
            })?,
        }
    }
    drop(store);
    let found: BTreeSet<Bytes> = match fixture.reopen().await {
        Ok(store) => everything(&*store)
            .await?
            .into_iter()
            .map(|entry| entry.key)
            .collect(),
        Err(FixtureError::NotApplicable { .. }) => return Ok(()),
        Err(error) => return Err(Stop::from(error)),
    };
    ensure_equal(&found, &applied, || "keys of commits beside `close`".into())
}

//! P2 and P14: batches are whole, whoever looks, whatever stops them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::task::yield_now;
use windlass_store::{Batch, Commit, Expect, KeyRange, Scan, Store, StoreError};

use super::common::{apply, conflict, everything, fill, join, key, put, spawn, spawn_commit};
use crate::verdict::{Stop, Trial, ensure, ensure_equal};
use crate::{Fixture, FixtureError};

/// Keys of each batch.
const WIDTH: usize = 40;
const ROUNDS: usize = 60;
const READERS: usize = 3;
/// Most times an abandoned commit is polled.
const POLLS_MAX: usize = 10;
/// Commits that are started together, half of them to be abandoned.
const CROWD: usize = 40;

pub(crate) async fn p02_a_batch_applies_whole_or_not_at_all(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    refused_whole(&*store).await?;
    seen_whole(&store).await?;
    drop(store);
    dies_whole(fixture).await
}

/// A batch whose last check does not hold leaves no write behind.
async fn refused_whole(store: &dyn Store) -> Trial {
    fill(store, "kept", WIDTH).await?;
    let deletes = (0..WIDTH).fold(Batch::new(), |batch, number| {
        batch.delete(key("kept", number))
    });
    let batch = (0..WIDTH).fold(deletes, |batch, number| batch.put(key("new", number), "1"));
    let batch = batch
        .check(key("kept", 0), Expect::Present)
        .check("acme/none", Expect::Present);
    conflict(
        store,
        batch,
        "acme/none",
        "a batch whose last check does not hold",
    )
    .await
}

/// Readers that look while batches apply see each whole.
async fn seen_whole(store: &Arc<dyn Store>) -> Trial {
    apply(&**store, stamped("seen", WIDTH, 0)).await?;
    let readers = (0..READERS)
        .map(|_| spawn(look_until(Arc::clone(store), ROUNDS)))
        .collect();
    for round in 1..=ROUNDS {
        apply(&**store, stamped("seen", WIDTH, round)).await?;
    }
    join(readers).await.map(drop)
}

async fn look_until(store: Arc<dyn Store>, last: usize) -> Trial {
    loop {
        let round = stamp(&*store, "seen", WIDTH).await?;
        if round == last.to_string() {
            return Ok(());
        }
        yield_now().await;
    }
}

/// A batch that gives every key of a group the same value.
fn stamped(group: &str, width: usize, round: usize) -> Batch {
    (0..width).fold(Batch::new(), |batch, number| {
        batch.put(key(group, number), round.to_string())
    })
}

/// The value all keys of a group have; the promise is broken if they differ.
async fn stamp(store: &dyn Store, group: &str, width: usize) -> Trial<String> {
    // A store may give shorter pages than are asked for, but then it gives a
    // first entry for each scan, at one point in time.
    let (first, last) = (key(group, 0), key(group, width - 1));
    let range = KeyRange::new(first.clone(), key(group, width));
    let pages = store
        .read(&[Scan::point(first), Scan::new(range), Scan::point(last)])
        .await?;
    let entries: Vec<_> = pages.into_iter().flat_map(|page| page.entries).collect();
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
    let value = entries
        .first()
        .map(|entry| text(&entry.value))
        .unwrap_or_default();
    for entry in &entries {
        ensure_equal(&text(&entry.value), &value, || {
            format!("half a batch: the value of {:?}", entry.key)
        })?;
    }
    Ok(value)
}

/// A store that is dropped in the middle of a commit shows it whole or not
/// when it is opened again.
async fn dies_whole(fixture: &mut dyn Fixture) -> Trial {
    for polls in 0..=POLLS_MAX {
        let store = fixture.fresh().await?;
        apply(&*store, stamped("dying", WIDTH, 0)).await?;
        let _ = abandon(&*store, stamped("dying", WIDTH, 1), polls).await;
        drop(store);
        let store = match fixture.reopen().await {
            Ok(store) => store,
            Err(FixtureError::NotApplicable { .. }) => return Ok(()),
            Err(error) => return Err(Stop::from(error)),
        };
        stamp(&*store, "dying", WIDTH).await?;
        whole(&*store, "dying", WIDTH).await?;
        store.close().await?;
    }
    Ok(())
}

/// Looks at every key of a group when nobody writes.
async fn whole(store: &dyn Store, group: &str, width: usize) -> Trial {
    let (start, end) = (key(group, 0), key(group, width));
    let entries = everything(store).await?.into_iter();
    let entries: Vec<_> = entries
        .filter(|entry| entry.key >= start && entry.key < end)
        .collect();
    ensure_equal(&entries.len(), &width, || format!("keys of {group}"))?;
    let whole = entries.iter().all(|entry| entry.value == entries[0].value);
    ensure(whole, || format!("half a batch is there: {entries:?}"))
}

/// Polls a commit so many times, then drops it; its answer if it had one.
async fn abandon(
    store: &dyn Store,
    batch: Batch,
    polls: usize,
) -> Option<Result<Commit, StoreError>> {
    let mut commit = store.commit(batch);
    for _ in 0..polls {
        let polled = poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await;
        if let Poll::Ready(answer) = polled {
            return Some(answer);
        }
        yield_now().await;
    }
    None
}

pub(crate) async fn p14_a_dropped_commit_is_applied_or_not_never_half(
    fixture: &mut dyn Fixture,
) -> Trial {
    let store = fixture.fresh().await?;
    for (group, width) in [("pair", 2), ("wide", 300)] {
        apply(&*store, stamped(group, width, 0)).await?;
        for polls in 0..=POLLS_MAX {
            abandoned_beside_others(&store, group, width, polls).await?;
        }
    }
    crowd(&store).await?;
    put(&*store, "acme/after", "1").await.map(drop)
}

/// Drops a commit while others run; they must be answered all the same.
async fn abandoned_beside_others(
    store: &Arc<dyn Store>,
    group: &str,
    width: usize,
    polls: usize,
) -> Trial {
    let before = spawn_commit(store, Batch::new().put("acme/before", "1"));
    let answer = abandon(&**store, stamped(group, width, polls + 1), polls).await;
    let behind = spawn_commit(store, Batch::new().put("acme/behind", "1"));
    for _ in 0..3 {
        stamp(&**store, group, width).await?;
        yield_now().await;
    }
    for neighbour in join(vec![before, behind]).await? {
        ensure(matches!(neighbour, Commit::Applied(_)), || {
            format!("a neighbour got {neighbour:?}")
        })?;
    }
    whole(&**store, group, width).await?;
    if let Some(answer) = answer {
        ensure_equal(
            &stamp(&**store, group, width).await?,
            &(polls + 1).to_string(),
            || format!("the value after a commit that answered {answer:?}"),
        )?;
    }
    Ok(())
}

/// Starts many commits, abandons every other one at once, and looks that the
/// rest is answered and everything is whole.
async fn crowd(store: &Arc<dyn Store>) -> Trial {
    for number in 0..CROWD {
        apply(&**store, stamped(&format!("crowd-{number}"), 2, 0)).await?;
    }
    let batch = |number| stamped(&format!("crowd-{number}"), 2, 1);
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for number in 0..CROWD {
        let task = spawn_commit(store, batch(number));
        if number % 2 == 0 {
            kept.push(task)
        } else {
            dropped.push(task)
        }
        if number % 8 == 7 {
            yield_now().await;
            dropped.drain(..).for_each(|task| task.abort());
        }
    }
    dropped.drain(..).for_each(|task| task.abort());
    for answer in join(kept).await? {
        ensure(matches!(answer, Commit::Applied(_)), || {
            format!("a neighbour got {answer:?}")
        })?;
    }
    for number in 0..CROWD {
        let group = format!("crowd-{number}");
        whole(&**store, &group, 2).await?;
        let value = stamp(&**store, &group, 2).await?;
        ensure(number % 2 == 1 || value == "1", || {
            format!("{group} lost an answered commit")
        })?;
    }
    Ok(())
}

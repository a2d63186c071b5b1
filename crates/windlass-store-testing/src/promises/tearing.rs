//! P2 and P14: batches are whole, whoever looks, whatever stops them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::task::{JoinHandle, yield_now};
use windlass_store::{Batch, Commit, Expect, KeyRange, Scan, Store, StoreError};

use super::common::{apply, conflict, fill, join, key, put, spawn, spawn_commit};
use crate::verdict::{Stop, Trial, ensure};
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
    let delete = |batch: Batch, number| batch.delete(key("kept", number));
    let batch = (1..WIDTH).fold(Batch::new(), delete);
    let batch = (0..WIDTH).fold(batch, |batch, number| batch.put(key("new", number), "1"));
    let kept = key("kept", 0);
    let batch = batch
        .check(key("kept", 1), Expect::Present)
        .check(kept.clone(), Expect::Absent);
    let what = "a batch whose last check does not hold";
    conflict(store, batch.put(kept.clone(), "1"), kept, what).await
}

/// Readers that look while batches apply see each whole.
async fn seen_whole(store: &Arc<dyn Store>) -> Trial {
    apply(&**store, stamped("seen", WIDTH, 0)).await?;
    let readers = (0..READERS)
        .map(|_| spawn(look_until(Arc::clone(store), ROUNDS)))
        .collect();
    for round in 1..=ROUNDS {
        let puts = stamped("seen", WIDTH, round);
        if round % 3 == 0 {
            let delete = |batch: Batch, number| batch.delete(key("seen", number));
            apply(&**store, (0..WIDTH).fold(Batch::new(), delete)).await?;
        }
        apply(&**store, puts).await?;
    }
    join(readers).await.map(drop)
}

async fn look_until(store: Arc<dyn Store>, last: usize) -> Trial {
    while stamp(&*store, "seen", WIDTH).await? != Some(last) {
        yield_now().await;
    }
    Ok(())
}

/// A batch that gives every key of a group the same value.
fn stamped(group: &str, width: usize, round: usize) -> Batch {
    (0..width).fold(Batch::new(), |batch, number| {
        batch.put(key(group, number), round.to_string())
    })
}

/// The number all keys of a group have, `None` if none is there; the promise
/// is broken if they differ or some are missing.
async fn stamp(store: &dyn Store, group: &str, width: usize) -> Trial<Option<usize>> {
    let range = KeyRange::new(key(group, 0), key(group, width));
    let page = store
        .read(&[Scan::new(range)])
        .await?
        .pop()
        .unwrap_or_default();
    let number = |value: &[u8]| String::from_utf8_lossy(value).parse::<usize>().ok();
    let numbers: Vec<_> = page
        .entries
        .iter()
        .map(|entry| number(&entry.value))
        .collect();
    let agree = numbers.iter().all(|number| *number == numbers[0]);
    ensure(agree, || {
        format!("half a batch: the keys of {group} have {numbers:?}")
    })?;
    let whole = page.more || numbers.is_empty() || numbers.len() == width;
    ensure(whole, || {
        format!("half a batch: {} of {width} keys of {group}", numbers.len())
    })?;
    Ok(numbers.first().copied().flatten())
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
        store.close().await?;
    }
    Ok(())
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
    for (group, width) in [("pair", 2), ("wide", 150)] {
        for polls in 0..=POLLS_MAX {
            let group = format!("{group}-{polls}");
            abandoned_beside_others(&store, &group, width, polls).await?;
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
    apply(&**store, stamped(group, width, 0)).await?;
    let before = spawn_commit(store, Batch::new().put("acme/before", "1"));
    let answer = abandon(&**store, stamped(group, width, 1), polls).await;
    let behind = spawn_commit(store, Batch::new().put("acme/behind", "1"));
    for _ in 0..3 {
        stamp(&**store, group, width).await?;
        yield_now().await;
    }
    answered(vec![before, behind]).await?;
    let found = stamp(&**store, group, width).await?;
    ensure(answer.is_none() || found == Some(1), || {
        format!("found {found:?} after a commit that answered {answer:?}")
    })
}

async fn answered(neighbours: Vec<JoinHandle<Trial<Commit>>>) -> Trial {
    for answer in join(neighbours).await? {
        let applied = matches!(answer, Commit::Applied(_));
        ensure(applied, || {
            format!("a neighbour of a dropped commit got {answer:?}")
        })?;
    }
    Ok(())
}

/// Starts many commits, abandons every other one, and looks that the rest is
/// answered and everything is whole.
async fn crowd(store: &Arc<dyn Store>) -> Trial {
    let group = |number| format!("crowd-{number}");
    let all = (0..CROWD).fold(Batch::new(), |mut batch, number| {
        batch.append(stamped(&group(number), 2, 0));
        batch
    });
    apply(&**store, all).await?;
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for number in 0..CROWD {
        let tasks = if number % 2 == 0 {
            &mut kept
        } else {
            &mut dropped
        };
        tasks.push(spawn_commit(store, stamped(&group(number), 2, 1)));
        if number % 8 == 7 {
            yield_now().await;
            dropped.drain(..).for_each(|task| task.abort());
        }
    }
    answered(kept).await?;
    for number in 0..CROWD {
        let found = stamp(&**store, &group(number), 2).await?;
        let lost = number % 2 == 0 && found != Some(1);
        ensure(!lost, || format!("an answered commit left {found:?}"))?;
    }
    Ok(())
}

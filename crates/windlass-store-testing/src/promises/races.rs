//! P9, P10 and P17: what many callers at once may and may not achieve.

use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Commit, Expect, Store, StoreExt, Version};

use super::common::{apply, everything, join, join_one, put, spawn, text, together};
use crate::model::Model;
use crate::serial;
use crate::verdict::{Trial, ensure, ensure_equal};
use crate::{Fixture, Moment, Pausing, Random, Verb};

const CALLERS: usize = 8;
const ROUNDS: usize = 25;

pub(crate) async fn p09_concurrent_increments_lose_nothing(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    let handles = [Arc::clone(&store), Arc::clone(&store)];
    increments(&handles, CALLERS).await?;
    overtaken(&store).await
}

fn counter() -> Bytes {
    "acme/counter".into()
}

/// Lets callers increment the counter, round by round and all at once, on the
/// handles in turn; the first to come creates it.
async fn increments(handles: &[Arc<dyn Store>; 2], callers: usize) -> Trial {
    for round in 1..=ROUNDS {
        let call = |number: usize| {
            let store = Arc::clone(&handles[number % 2]);
            async move {
                while !increment(&*store).await? {}
                Ok(())
            }
        };
        together((0..callers).map(call).collect()).await?;
        let (sum, expected) = (
            text(&*handles[round % 2], &counter()).await?,
            callers * round,
        );
        ensure_equal(&sum, &Some(expected.to_string()), || {
            "the sum of increments".into()
        })?;
    }
    Ok(())
}

/// Reads the counter and writes the next number; `false` if somebody else did
/// in between.
async fn increment(store: &dyn Store) -> Trial<bool> {
    let entry = store.get(counter()).await?;
    let expect = entry
        .as_ref()
        .map_or(Expect::Absent, |entry| Expect::Version(entry.version));
    let value = entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
    let number: usize = value.and_then(|value| value.parse().ok()).unwrap_or(0);
    let batch = Batch::new()
        .check(counter(), expect)
        .put(counter(), (number + 1).to_string());
    Ok(matches!(store.commit(batch).await?, Commit::Applied(_)))
}

/// An increment that is held between its read and its commit, or right
/// before its commit, while another goes through.
async fn overtaken(store: &Arc<dyn Store>) -> Trial {
    let pausing = Arc::new(Pausing::new(Arc::clone(store)));
    let windows = [(Verb::Read, Moment::After), (Verb::Commit, Moment::Before)];
    for (verb, moment) in windows {
        let pause = pausing.pause(verb, moment);
        let held = Arc::clone(&pausing);
        let held = spawn(async move { increment(&*held).await });
        let pause = pause.reached().await;
        ensure(increment(&**store).await?, || {
            "an increment alone lost a race".into()
        })?;
        let between = text(&**store, &counter()).await?;
        pause.release();
        let won = join_one(held).await?;
        ensure(!won, || {
            format!("an increment overtaken {moment:?} its {verb:?} was applied")
        })?;
        ensure_equal(&text(&**store, &counter()).await?, &between, || {
            "after the loser".into()
        })?;
    }
    Ok(())
}

pub(crate) async fn p10_crossed_checks_never_both_apply(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    let handles = [Arc::clone(&store), store];
    crossed(&handles).await?;
    any_order(&handles).await
}

/// A way to let callers check what the other writes.
type Crossing = fn(Version, Version) -> Vec<Batch>;

const X: &str = "acme/x";
const Y: &str = "acme/y";
const Z: &str = "acme/z";

fn crossings() -> [(&'static str, Crossing); 5] {
    [
        ("versions", |x, y| {
            vec![on(X, x).put(Y, "a"), on(Y, y).put(X, "b")]
        }),
        ("versions of both keys", |x, y| {
            let both = || on(X, x).check(Y, Expect::Version(y));
            vec![both().put(X, "a"), both().put(Y, "b")]
        }),
        ("`Present` and deletes", |_, _| {
            let present = |key| Batch::new().check(key, Expect::Present);
            vec![present(X).delete(Y), present(Y).delete(X)]
        }),
        ("`Absent`", |_, _| {
            let create = |key, value| Batch::new().check(key, Expect::Absent).put(key, value);
            vec![
                create("acme/new/1", "a").put("acme/new/2", "a"),
                create("acme/new/2", "b").put("acme/new/1", "b"),
            ]
        }),
        ("a put and a delete", |x, y| {
            vec![on(X, x).delete(Y), on(Y, y).put(X, "b")]
        }),
    ]
}

fn on(key: &'static str, version: Version) -> Batch {
    Batch::new().check(key, Expect::Version(version))
}

/// Crossed batches of which exactly one may apply, side by side and let go at
/// one moment.
async fn crossed(handles: &[Arc<dyn Store>; 2]) -> Trial {
    for (what, crossing) in crossings() {
        for round in 0..ROUNDS {
            let (x, y) = reset(&*handles[0]).await?;
            let batches = crossing(x, y);
            let answers = if round == 0 {
                held_together(handles, batches).await?
            } else {
                at_once(handles, batches).await?
            };
            let applied = answers
                .iter()
                .filter(|answer| matches!(answer, Commit::Applied(_)))
                .count();
            ensure_equal(&applied, &1, || {
                format!("batches applied of two that cross {what}")
            })?;
        }
    }
    Ok(())
}

/// Puts x and y anew and removes everything else.
async fn reset(store: &dyn Store) -> Trial<(Version, Version)> {
    let entries = everything(store).await?;
    let others = entries
        .into_iter()
        .filter(|entry| entry.key != X && entry.key != Y);
    let batch = others.fold(Batch::new(), |batch, entry| batch.delete(entry.key));
    let y = apply(store, batch.put(Y, "0")).await?;
    let x = put(store, X, "0").await?;
    Ok((x, y))
}

/// Commits all batches at one moment, on the handles in turn.
async fn at_once(handles: &[Arc<dyn Store>; 2], batches: Vec<Batch>) -> Trial<Vec<Commit>> {
    let call = |(number, batch): (usize, Batch)| {
        let store = Arc::clone(&handles[number % 2]);
        async move { Ok(store.commit(batch).await?) }
    };
    together(batches.into_iter().enumerate().map(call).collect()).await
}

/// Holds every batch right before its commit, then lets all go.
async fn held_together(handles: &[Arc<dyn Store>; 2], batches: Vec<Batch>) -> Trial<Vec<Commit>> {
    let (mut tasks, mut pauses) = (Vec::new(), Vec::new());
    for (number, batch) in batches.into_iter().enumerate() {
        let pausing = Pausing::new(Arc::clone(&handles[number % 2]));
        let pause = pausing.pause(Verb::Commit, Moment::Before);
        tasks.push(spawn(async move { Ok(pausing.commit(batch).await?) }));
        pauses.push(pause.reached().await);
    }
    pauses.into_iter().for_each(crate::Paused::release);
    join(tasks).await
}

/// Random batches at once: some serial order must give the same answers and
/// the same end.
async fn any_order(handles: &[Arc<dyn Store>; 2]) -> Trial {
    let mut random = Random::new(10);
    for _ in 0..ROUNDS {
        reset(&*handles[0]).await?;
        let entries = everything(&*handles[0]).await?;
        let batches: Vec<Batch> = (0..5)
            .map(|number| scramble(&mut random, &entries, number))
            .collect();
        let answers = at_once(handles, batches.clone()).await?;
        let end = everything(&*handles[0]).await?;
        let mut start = Model::new();
        for entry in &entries {
            let write = windlass_store::Write::Put {
                key: entry.key.clone(),
                value: entry.value.clone(),
            };
            start.write(&write, entry.version);
        }
        let explained = serial::explains(&start, &batches, &answers, &end);
        ensure(explained, || {
            format!("no serial order of {batches:?} gives {answers:?} and {end:?}")
        })?;
    }
    Ok(())
}

/// A batch of one or two checks and writes over three keys.
fn scramble(random: &mut Random, entries: &[windlass_store::Entry], number: usize) -> Batch {
    let keys = [X, Y, Z];
    let (first, second) = (random.below(3), random.below(2));
    let (checked, written) = (keys[first], keys[(first + 1 + second) % 3]);
    let entry = entries.iter().find(|entry| entry.key == checked);
    let batch = match entry {
        Some(_) if random.below(3) == 0 => Batch::new().check(checked, Expect::Present),
        Some(entry) => Batch::new().check(checked, Expect::Version(entry.version)),
        None => Batch::new()
            .check(checked, Expect::Absent)
            .put(checked, number.to_string()),
    };
    match random.below(4) {
        0 => batch.delete(written),
        _ => batch.put(written, number.to_string()),
    }
}

pub(crate) async fn p17_two_processes_never_both_win_one_check(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    let contender = fixture.contender().await?;
    let handles = [store, contender];
    next_call_sees(&handles).await?;
    one_creator(&handles).await?;
    increments(&handles, 4).await?;
    crossed(&handles).await?;
    any_order(&handles).await?;
    survivor(handles).await
}

/// What one handle changed, the next call of the other sees, reading or
/// checking.
async fn next_call_sees(handles: &[Arc<dyn Store>; 2]) -> Trial {
    let key = Bytes::from("acme/seen");
    let mut stale = put(&*handles[0], key.clone(), "start").await?;
    for round in 0..CALLERS {
        let (writer, reader) = (&*handles[round % 2], &*handles[1 - round % 2]);
        let current = put(writer, key.clone(), round.to_string()).await?;
        let attempt = |version| Batch::new().check(key.clone(), Expect::Version(version));
        let answer = reader
            .commit(attempt(stale).put(key.clone(), "stale"))
            .await?;
        ensure_equal(&answer, &Commit::Conflict { key: key.clone() }, || {
            "a version that another process made stale".into()
        })?;
        apply(reader, attempt(current)).await?;
        let found = text(reader, &key).await?;
        ensure_equal(&found, &Some(round.to_string()), || {
            "what another process wrote".into()
        })?;
        stale = current;
    }
    Ok(())
}

/// Both create the same keys; each key has exactly one creator.
async fn one_creator(handles: &[Arc<dyn Store>; 2]) -> Trial {
    for round in 0..ROUNDS {
        let key = Bytes::from(format!("acme/created/{round}"));
        let create = |who: &'static str| {
            Batch::new()
                .check(key.clone(), Expect::Absent)
                .put(key.clone(), who)
        };
        let answers = at_once(handles, vec![create("0"), create("1")]).await?;
        let winner = answers
            .iter()
            .position(|answer| matches!(answer, Commit::Applied(_)));
        let applied = answers
            .iter()
            .filter(|answer| matches!(answer, Commit::Applied(_)))
            .count();
        ensure_equal(&applied, &1, || "processes that created one key".into())?;
        let found = text(&*handles[round % 2], &key).await?;
        ensure_equal(&found, &winner.map(|winner| winner.to_string()), || {
            "the creator".into()
        })?;
    }
    Ok(())
}

/// When one handle closes, the other goes on.
async fn survivor(handles: [Arc<dyn Store>; 2]) -> Trial {
    let [closing, store] = handles;
    closing.close().await?;
    drop(closing);
    ensure(increment(&*store).await?, || {
        "an increment after the other closed".into()
    })?;
    put(&*store, X, "after").await?;
    ensure_equal(
        &text(&*store, &X.into()).await?,
        &Some("after".into()),
        || "a put after the other process closed the store".into(),
    )
}

//! Batches of two stores that cross each other, again and again: every
//! outcome has a serial order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;
use windlass_store::{Batch, Commit, Entry, Expect, KeyRange, Store, StoreExt, Write};
use windlass_store_postgres::PostgresStore;
use windlass_store_testing::{Model, Random, explains};

use crate::common::{Place, apply};
use crate::settings::setting;

const ROUNDS: &str = "WINDLASS_CROSSED_ROUNDS";
const ROUNDS_DEFAULT: usize = 200;
/// Rounds that run at the same time, each on keys of its own.
const LANES: usize = 8;

/// Two stores that share no memory.
type Pair = [PostgresStore; 2];

/// Makes the batches of a round on its three keys.
type Crossing = fn(&mut Random, &[String; 3], &[Entry]) -> Vec<Batch>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossed_absent_checks_have_a_serial_order() {
    rounds(|random, keys, _| {
        let create = |one: &str, other: &str| {
            let put = Batch::new()
                .put(one.to_owned(), "1")
                .put(other.to_owned(), "1");
            put.check(one.to_owned(), Expect::Absent)
        };
        let [x, y, z] = keys;
        let mut batches = vec![create(x, y), create(y, x)];
        if random.one_in(2) {
            batches.push(create(z, x));
        }
        batches
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossed_puts_and_deletes_have_a_serial_order() {
    rounds(|random, keys, _| {
        let [x, y, z] = keys;
        let third = Batch::new().delete(z.clone()).put(x.clone(), "3");
        let mut batches = vec![
            Batch::new().delete(x.clone()).put(y.clone(), "1"),
            Batch::new()
                .put(x.clone(), "2")
                .put(y.clone(), "2")
                .put(z.clone(), "2"),
        ];
        if random.one_in(2) {
            batches.push(third);
        }
        batches
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_batches_have_a_serial_order() {
    rounds(|random, keys, entries| {
        let count = 2 + random.below(3);
        (0..count)
            .map(|_| scramble(random, keys, entries))
            .collect()
    })
    .await;
}

/// A batch of up to two checks and three writes.
fn scramble(random: &mut Random, keys: &[String; 3], entries: &[Entry]) -> Batch {
    let mut batch = Batch::new();
    for key in keys {
        let entry = entries.iter().find(|entry| entry.key == *key);
        let put = random.one_in(2);
        batch = match (put, random.below(3)) {
            (true, _) => batch.put(key.clone(), random.below(100).to_string()),
            (false, 0) => batch.delete(key.clone()),
            _ => batch,
        };
        batch = match (entry, random.below(4)) {
            (Some(entry), 0) => batch.check(key.clone(), Expect::Version(entry.version)),
            (_, 1) => batch.check(key.clone(), Expect::Present),
            (None, 0) if put => batch.check(key.clone(), Expect::Absent),
            _ => batch,
        };
    }
    match batch == Batch::new() {
        true => batch.delete(keys[0].clone()),
        false => batch,
    }
}

async fn rounds(crossing: Crossing) {
    let place = Place::new();
    let pair: Arc<Pair> = Arc::new([place.open().await, place.open().await]);
    let next = Arc::new(AtomicUsize::new(0));
    let count = setting(ROUNDS, ROUNDS_DEFAULT);
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (pair, next) = (Arc::clone(&pair), Arc::clone(&next));
        lanes.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                round(&pair, number, crossing).await;
            }
        });
    }
    lanes.join_all().await;
}

/// One crossing, at times on keys that have values.
async fn round(pair: &Pair, number: usize, crossing: Crossing) {
    let mut random = Random::new(number as u64);
    let prefix = format!("acme/{number}/");
    let keys = ["x", "y", "z"].map(|key| format!("{prefix}{key}"));
    for key in &keys {
        if random.one_in(2) {
            apply(&pair[0], Batch::new().put(key.clone(), "0")).await;
        }
    }
    let entries = all(&pair[0], &prefix).await;
    let batches = crossing(&mut random, &keys, &entries);
    let commits = batches.iter().enumerate().map(|(number, batch)| {
        let store = &pair[number % 2];
        store.commit(batch.clone())
    });
    let answers = futures_util::future::try_join_all(commits).await;
    let answers: Vec<Commit> = answers.expect("every batch is decided");
    let end = all(&pair[1], &prefix).await;
    let explained = explains(&model(&entries), &batches, &answers, &end);
    assert!(
        explained,
        "round {number}: no serial order of {batches:#?} from {entries:?} gives {answers:?} and {end:?}"
    );
}

async fn all(store: &PostgresStore, prefix: &str) -> Vec<Entry> {
    let entries = store.scan_all(KeyRange::prefix(prefix.to_owned())).await;
    entries.expect("all can be read")
}

fn model(entries: &[Entry]) -> Model {
    let mut model = Model::new();
    for entry in entries {
        let put = Write::Put {
            key: entry.key.clone(),
            value: entry.value.clone(),
        };
        model.write(&put, entry.version);
    }
    model
}

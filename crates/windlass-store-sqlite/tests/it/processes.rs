//! Several processes on one file.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use windlass_store::{Batch, Commit, Expect, KeyRange, Store, StoreErrorKind, StoreExt};
use windlass_store_sqlite::{Options, Sharing, SqliteStore};

use crate::children::{Player, Role, listen, tell};
use crate::common::{Place, apply, kind, value};

/// Races that two processes run.
const RACES: usize = 200;
/// Commits of both processes together in the trial of fairness.
const FAIR_COMMITS: u64 = 6_000;
/// Callers of a process that is saturated.
const CALLERS: usize = 16;
/// Commits of a process that is not.
const LIGHT_COMMITS: usize = 200;
/// Processes that open a store for the first time, and how often.
const OPENERS: usize = 12;
const OPENING_ROUNDS: usize = 3;
const COUNTER: &str = "acme/counter";

#[tokio::test]
async fn two_processes_never_both_win_one_race() {
    let place = Place::new();
    let mut children = [0, 1].map(|_| Player::start(Role::Counter, &place.store()));
    for child in &mut children {
        child.expect("ready");
    }
    for child in &mut children {
        child.say("go");
    }
    let won = children
        .each_mut()
        .map(|child| child.expect("won").parse::<usize>().expect("a number"));
    for child in children {
        child.finish();
    }
    assert_eq!(won[0] + won[1], RACES, "{won:?} of {RACES} races were won");
    let store = place.open().await;
    let count = value(&store, COUNTER).await.expect("the counter is there");
    assert_eq!(
        count,
        (2 * RACES).to_string(),
        "an increment was lost or doubled"
    );
    store.close().await.expect("the store closes");
}

pub(crate) async fn play_counter(path: &Path) {
    let store = SqliteStore::open(path, Options::default())
        .await
        .expect("the store opens");
    tell("ready");
    listen();
    let mut won = 0;
    for race in 0..RACES {
        let key = format!("acme/race/{race:04}");
        let claim = Batch::new()
            .check(key.clone(), Expect::Absent)
            .put(key, "mine");
        if let Commit::Applied(_) = store.commit(claim).await.expect("no error") {
            won += 1;
        }
        count_up(&store).await;
    }
    store.close().await.expect("the store closes");
    tell(&format!("won {won}"));
}

async fn count_up(store: &SqliteStore) {
    let next = |entry: Option<&windlass_store::Entry>| {
        let count = entry.map_or(0, |entry| number(&entry.value));
        Some(Bytes::from((count + 1).to_string()))
    };
    while let Err(error) = store.update(COUNTER.into(), next).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    }
}

fn number(text: &[u8]) -> u64 {
    std::str::from_utf8(text)
        .expect("digits")
        .parse()
        .expect("a number")
}

#[tokio::test]
async fn two_saturated_processes_get_equal_shares() {
    let place = Place::new();
    let mut children = [0, 1].map(|_| Player::start(Role::Saturating, &place.store()));
    for child in &mut children {
        child.expect("ready");
    }
    for child in &mut children {
        child.say("go");
    }
    let store = place.open().await;
    let begin = shares_once(&store, |shares| shares.len() == 2).await;
    let enough = begin.iter().sum::<u64>() + FAIR_COMMITS;
    let end = shares_once(&store, |shares| shares.iter().sum::<u64>() >= enough).await;
    let made: Vec<_> = begin
        .iter()
        .zip(&end)
        .map(|(begin, end)| end - begin)
        .collect();
    let total: u64 = made.iter().sum();
    assert!(
        made.iter().all(|made| made * 100 >= total * 35),
        "{made:?} commits"
    );
    store.close().await.expect("the store closes");
    for child in children {
        child.finish();
    }
}

/// The shares as soon as they are as `wanted`.
async fn shares_once(store: &SqliteStore, wanted: impl Fn(&[u64]) -> bool) -> Vec<u64> {
    loop {
        let shares = shares(store).await;
        if wanted(&shares) {
            return shares;
        }
        tokio::task::yield_now().await;
    }
}

/// How often each saturated process has committed.
async fn shares(store: &SqliteStore) -> Vec<u64> {
    let entries = store
        .scan_all(KeyRange::prefix("acme/saturated/"))
        .await
        .expect("it can be read");
    let mut shares = std::collections::BTreeMap::new();
    for entry in entries {
        let process = entry
            .key
            .split(|byte| *byte == b'/')
            .nth(2)
            .expect("a process")
            .to_vec();
        *shares.entry(process).or_insert(0) += number(&entry.value);
    }
    shares.into_values().collect()
}

pub(crate) async fn play_saturating(path: &Path) {
    let store = Arc::new(
        SqliteStore::open(path, Options::default())
            .await
            .expect("the store opens"),
    );
    tell("ready");
    listen();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(saturate(Arc::clone(&store), caller, Arc::clone(&stop))))
        .collect();
    tokio::task::spawn_blocking(listen)
        .await
        .expect("it listens");
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("a caller ends");
    }
    store.close().await.expect("the store closes");
}

async fn saturate(store: Arc<SqliteStore>, caller: usize, stop: Arc<AtomicBool>) {
    let key = format!("acme/saturated/{}/{caller:02}", std::process::id());
    let mut count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        apply(&*store, Batch::new().put(key.clone(), count.to_string())).await;
    }
}

/// The light one's latency is reported, not judged: it is the machine's.
#[tokio::test]
async fn a_light_process_gets_its_turns_beside_a_saturated_one() {
    let place = Place::new();
    let mut saturated = Player::start(Role::Saturating, &place.store());
    saturated.expect("ready");
    saturated.say("go");
    let mut light = Player::start(Role::Light, &place.store());
    let latency = light.expect("p99");
    light.finish();
    saturated.finish();
    let store = place.open().await;
    let entries = store
        .scan_all(KeyRange::prefix("acme/light/"))
        .await
        .expect("it can be read");
    assert_eq!(entries.len(), LIGHT_COMMITS);
    assert_ne!(
        shares(&store).await,
        [0; 0],
        "the saturated process never committed"
    );
    store.close().await.expect("the store closes");
    report(&format!(
        "a light process beside a saturated one: p99 {latency} of {LIGHT_COMMITS} commits"
    ));
}

pub(crate) async fn play_light(path: &Path) {
    let store = SqliteStore::open(path, Options::default())
        .await
        .expect("the store opens");
    let mut latencies = Vec::new();
    for commit in 0..LIGHT_COMMITS {
        let begun = now();
        apply(
            &store,
            Batch::new().put(format!("acme/light/{commit:03}"), "1"),
        )
        .await;
        latencies.push(begun.elapsed());
    }
    latencies.sort();
    store.close().await.expect("the store closes");
    tell(&format!("p99 {:?}", latencies[LIGHT_COMMITS * 99 / 100]));
}

#[expect(clippy::disallowed_methods, reason = "a latency that is reported")]
fn now() -> Instant {
    Instant::now()
}

fn report(line: &str) {
    // Shown by a test run that does not capture output.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[tokio::test]
async fn what_one_process_committed_the_next_read_of_another_sees() {
    let place = Place::new();
    let store = place.open().await;
    let mut watcher = Player::start(Role::Watching, &place.store());
    watcher.expect("ready");
    for round in 0..RACES {
        let text = round.to_string();
        apply(&store, Batch::new().put(COUNTER, text.clone())).await;
        watcher.say(COUNTER);
        assert_eq!(watcher.expect("value"), text);
    }
    watcher.finish();
    store.close().await.expect("the store closes");
}

pub(crate) async fn play_watching(path: &Path) {
    let store = SqliteStore::open(path, Options::default())
        .await
        .expect("the store opens");
    tell("ready");
    while let Some(key) = listen() {
        let found = value(&store, &key).await.expect("the key is there");
        tell(&format!("value {}", String::from_utf8_lossy(&found)));
    }
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn an_exclusive_process_keeps_others_out_until_it_ends_or_dies() {
    let place = Place::new();
    for dies in [false, true] {
        let mut child = Player::start(Role::Exclusive, &place.store());
        child.expect("ready");
        let refused = SqliteStore::open(place.store(), Options::default()).await;
        assert_eq!(kind(refused), StoreErrorKind::Unavailable);
        if dies {
            drop(child.kill())
        } else {
            child.finish()
        }
        let store = place.open().await;
        assert!(
            value(&store, "acme/exclusive").await.is_some(),
            "its commit is there"
        );
        store.close().await.expect("the store closes");
    }
}

pub(crate) async fn play_exclusive(path: &Path) {
    let options = Options {
        sharing: Sharing::Exclusive,
        ..Options::default()
    };
    let store = SqliteStore::open(path, options)
        .await
        .expect("the store opens");
    apply(&store, Batch::new().put("acme/exclusive", "1")).await;
    tell("ready");
    listen();
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn processes_that_open_first_at_once_share_one_store() {
    for _ in 0..OPENING_ROUNDS {
        let place = Place::new();
        let mut children: Vec<_> = (0..OPENERS)
            .map(|_| Player::start(Role::Opening, &place.store()))
            .collect();
        for child in &mut children {
            child.expect("ready");
        }
        for child in &mut children {
            child.say("go");
        }
        children.into_iter().for_each(Player::finish);
        let store = place.open().await;
        let entries = store
            .scan_all(KeyRange::all())
            .await
            .expect("all can be read");
        assert_eq!(entries.len(), OPENERS);
        store.close().await.expect("the store closes");
    }
}

pub(crate) async fn play_opening(path: &Path) {
    tell("ready");
    listen();
    let store = SqliteStore::open(path, Options::default())
        .await
        .expect("a first open succeeds");
    apply(
        &store,
        Batch::new().put(format!("acme/{}", std::process::id()), "1"),
    )
    .await;
    store.close().await.expect("the store closes");
}

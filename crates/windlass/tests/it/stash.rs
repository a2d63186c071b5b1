//! Stashes through the engine: on SQLite they answer like a stash in memory,
//! what one process did the next call of another sees, and upkeep covers them.

use std::fmt::Debug;
use std::sync::Arc;

use windlass::core::{GroupId, ManualEnv, Millis, SessionId, Sharing, TenantId};
use windlass::stash::durable::Stash;
use windlass::stash::{
    Answer, Config, Increment, Key, KeyQuery, MemoryStash, Operation, Put, Value,
};
use windlass::{OpenError, Options, StoreLocation, Windlass};
use windlass_store_testing::Random;

const START: Millis = Millis::new(1_700_000_000_000);
const STEPS: usize = 150;

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn stash(windlass: &Windlass) -> Stash {
    let (tenant, session): (TenantId, SessionId) = ("acme".parse().unwrap(), "s1".parse().unwrap());
    windlass.stashes().stash(&tenant, &session)
}

fn options() -> Options {
    let mut options = Options::default();
    options.stashes.stash = Config {
        keys_max: 5,
        total_bytes_max: 900_000,
        value_bytes_max: 600_000,
        ttl_ms_default: 400,
        ttl_ms_max: 1_000,
        ..Config::default()
    };
    options
}

fn operation(random: &mut Random) -> Operation {
    let key = key(random.pick::<&str>(&["a", "b", "c", "d", "e", "f"]));
    let ttl_ms = *random.pick(&[None, Some(0), Some(200), Some(1_000), Some(2_000)]);
    match random.below(8) {
        0 | 1 => Operation::Get(key),
        2 => Operation::Delete(key),
        3 => Operation::Touch { key, ttl_ms },
        4 => Operation::Increment(Increment { key, by: 3, ttl_ms }),
        _ => {
            let size = *random.pick(&[1, 30, 1_100, 300_000, 500_000]);
            let value = match size {
                1 => Value::of(&7),
                _ => Value::of(&"x".repeat(size)),
            };
            let mut put = Put::new(key, value.unwrap());
            put.ttl_ms = ttl_ms;
            Operation::Put(put)
        }
    }
}

/// An answer without versions: the two forms number them differently.
fn shown(answers: &impl Debug) -> String {
    let text = format!("{answers:?}");
    let mut parts = text.split("version: ");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(part.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    }
    shown
}

async fn compare(seed: u64) {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::Sqlite(directory.path().join("store.db"));
    let env = Arc::new(ManualEnv::new(1, START));
    let open = async || {
        let opened = Windlass::with_env(&location, options(), env.clone());
        opened.await.unwrap()
    };
    let memory = MemoryStash::new(env.clone(), options().stashes.stash).unwrap();
    let mut random = Random::new(seed);
    let mut windlass = open().await;
    for step in 0..STEPS {
        let what = format!("seed {seed:#x}, step {step}");
        if random.one_in(20) {
            windlass.close().await.unwrap();
            windlass = open().await;
        }
        env.advance_ms(random.next() % 120);
        let group: Option<GroupId> = random
            .pick(&[None, Some("g"), Some("h")])
            .map(|group| group.parse().unwrap());
        let durable = stash(&windlass);
        let (here, there) = (memory.execution(group.clone()), durable.execution(group));
        let count = 1 + random.below(3);
        let operations: Vec<_> = (0..count).map(|_| operation(&mut random)).collect();
        let (ours, theirs) = (here.step(&operations), there.step(&operations).await);
        assert_eq!(shown(&ours), shown(&theirs), "{what}");
        let query = KeyQuery::default();
        let (ours, theirs) = (here.keys(&query), there.keys(&query).await);
        assert_eq!(shown(&ours), shown(&theirs), "{what}");
        if random.one_in(10) {
            let (ours, theirs) = (here.clear(), there.clear().await);
            assert_eq!(shown(&ours), shown(&theirs), "{what}");
        }
        assert_eq!(memory.usage(), durable.usage().await.unwrap(), "{what}");
    }
    windlass.close().await.unwrap();
}

#[tokio::test]
async fn on_sqlite_a_stash_answers_like_one_in_memory_and_survives_every_restart() {
    for seed in [1, 2, 3] {
        compare(seed).await;
    }
}

#[tokio::test]
async fn two_engines_on_one_file_see_each_others_puts_and_deletes_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::Sqlite(directory.path().join("store.db"));
    let one = Windlass::open(&location, Options::default()).await.unwrap();
    let other = Windlass::open(&location, Options::default()).await.unwrap();
    let (here, there) = (stash(&one).execution(None), stash(&other).execution(None));
    let name = key("k");
    for number in 0..20_u32 {
        here.put(&name, &number, None).await.unwrap();
        let seen = there.get(&name).await.unwrap().unwrap();
        assert_eq!(seen.as_json(), number.to_string());
        assert!(there.delete(&name).await.unwrap());
        assert_eq!(here.get(&name).await.unwrap(), None);
    }
}

#[tokio::test]
async fn upkeep_removes_what_expired_in_stashes_too() {
    let env = Arc::new(ManualEnv::new(1, START));
    let windlass = Windlass::with_env(&StoreLocation::Memory, Options::default(), env.clone());
    let windlass = windlass.await.unwrap();
    let execution = stash(&windlass).execution(None);
    execution.put(&key("k"), &"value", Some(50)).await.unwrap();
    env.advance_ms(50);
    assert_eq!(windlass.due(10).await.unwrap().entries, 1);
    let done = windlass.maintain(10).await.unwrap();
    assert_eq!((done.stashes.removed, done.stashes.bytes), (1, 7));
    assert_eq!(done.sessions.scanned, 0);
    assert_eq!(windlass.due(10).await.unwrap().entries, 0);
}

#[tokio::test]
async fn settings_of_stashes_are_checked_before_anything_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let location = StoreLocation::Sqlite(path.clone());
    let mut wrong = Options::default();
    wrong.stashes.stash.keys_max = 0;
    let error = Windlass::open(&location, wrong).await.unwrap_err();
    assert!(matches!(error, OpenError::Stashes(_)), "{error:?}");
    let mut alone = Options::default();
    alone.stashes.sharing = Sharing::Exclusive;
    let error = Windlass::open(&location, alone).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "stashes are set to exclusive, but the store to shared"
    );
    assert!(!path.exists());
}

#[test]
fn shown_answers_differ_in_all_but_their_versions() {
    let number = |version: u64| Answer::Deleted(version > 1);
    assert_ne!(shown(&number(1)), shown(&number(2)));
    assert_eq!(shown(&"version: 12,"), shown(&"version: 345,"));
}

//! Opening, upkeep, export and closing, on every store.

use std::sync::{Arc, Mutex};

use windlass::core::{Coded, Env, ErrorKind, ManualEnv, Millis};
use windlass::session::{Agent, Allow, Caller, Config, Create, Session, Status, Use};
use windlass::stash::{Audit, Event};
use windlass::store::{Entry, Store};
use windlass::{Due, Options, StashAudit, StoreLocation, Windlass};

use crate::SCHEMES;
use crate::place::Place;

const START: Millis = Millis::new(1_700_000_000_000);

/// An engine whose time stands still, and what it stands on.
struct Bench {
    windlass: Windlass,
    env: Arc<ManualEnv>,
    caller: Caller,
    _place: Place,
}

impl Bench {
    async fn open(scheme: &str, sessions: Config) -> Self {
        let place = Place::new(scheme);
        let env = Arc::new(ManualEnv::new(1, START));
        let options = Options {
            sessions,
            ..Options::default()
        };
        let windlass = Windlass::with_env(&place.location(), options, env.clone())
            .await
            .unwrap();
        let caller = Caller::new("acme".parse().unwrap(), "tests".parse().unwrap());
        Self {
            windlass,
            env,
            caller,
            _place: place,
        }
    }

    async fn create(&self, id: &str) -> Session {
        let mut request = Create::new("scout".parse().unwrap(), "look around");
        request.id = Some(id.parse().unwrap());
        request.tools = Allow::All;
        request.time_limit_ms = 60_000;
        self.windlass
            .sessions()
            .create(&self.caller, request)
            .await
            .unwrap()
    }

    async fn export(&self) -> Vec<Entry> {
        self.windlass
            .export()
            .await
            .unwrap()
            .collect()
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_session_is_found_again_by_the_next_engine_on_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::Sqlite(directory.path().join("store.db"));
    let caller = Caller::new("acme".parse().unwrap(), "tests".parse().unwrap());

    let first = Windlass::open(&location, Options::default()).await.unwrap();
    let mut request = Create::new("scout".parse().unwrap(), "look around");
    request.tools = Allow::All;
    let session = first.sessions().create(&caller, request).await.unwrap();
    let search = Use::one(Agent::Unchecked, "search".parse().unwrap());
    first
        .sessions()
        .use_tools(&caller, &session.id, search)
        .await
        .unwrap();
    first.close().await.unwrap();

    let second = Windlass::open(&location, Options::default()).await.unwrap();
    let found = second
        .sessions()
        .get(&caller, &session.id)
        .await
        .unwrap()
        .expect("it was stored");
    assert_eq!((found.calls_made, found.status), (1, Status::Active));
}

#[tokio::test]
async fn upkeep_that_is_due_is_counted_done_in_bounded_steps_and_then_gone() {
    for &scheme in SCHEMES {
        let config = Config {
            retention_ms: 0,
            ..Config::default()
        };
        let bench = Bench::open(scheme, config).await;
        for id in ["one", "two", "three"] {
            bench.create(id).await;
        }
        let nothing = bench.windlass.due(10).await.unwrap();
        assert_eq!(
            nothing,
            Due {
                entries: 0,
                more: false
            },
            "{scheme}"
        );

        bench.env.advance_ms(60_000);
        let due = bench.windlass.due(10).await.unwrap();
        assert_eq!(
            due,
            Due {
                entries: 3,
                more: false
            },
            "{scheme}"
        );
        let bounded = bench.windlass.due(2).await.unwrap();
        assert_eq!(
            bounded,
            Due {
                entries: 2,
                more: true
            },
            "{scheme}"
        );

        let step = bench.windlass.maintain(1).await.unwrap().sessions;
        assert!(step.truncated && step.removed <= 1, "{scheme}: {step:?}");
        let mut removed = step.removed;
        while bench.windlass.due(1).await.unwrap().entries > 0 {
            let report = bench.windlass.maintain(1_000).await.unwrap().sessions;
            assert!(report.expired + report.removed > 0, "{scheme}: {report:?}");
            removed += report.removed;
        }
        assert_eq!(removed, 3, "{scheme}");
        let left = bench.export().await;
        assert!(
            left.iter().all(|entry| !entry.key.starts_with(b"due/")),
            "{scheme}: {left:?}"
        );
    }
}

#[tokio::test]
async fn equal_calls_under_equal_time_and_randomness_leave_equal_stores() {
    let mut exports = Vec::new();
    for &scheme in SCHEMES {
        let bench = Bench::open(scheme, Config::default()).await;
        bench.create("one").await;
        let entries = bench.export().await;
        exports.push(
            entries
                .into_iter()
                .map(|entry| (entry.key, entry.value))
                .collect::<Vec<_>>(),
        );
    }
    assert!(!exports[0].is_empty(), "a session is stored as something");
    for export in &exports[1..] {
        assert_eq!(*export, exports[0]);
    }
}

#[tokio::test]
async fn a_closed_engine_answers_closed_and_closes_again() {
    for &scheme in SCHEMES {
        let bench = Bench::open(scheme, Config::default()).await;
        let clone = bench.windlass.clone();
        bench.windlass.close().await.unwrap();
        clone.close().await.unwrap();

        let id = "one".parse().unwrap();
        let read = clone
            .sessions()
            .get(&bench.caller, &id)
            .await
            .expect_err("it is closed");
        let upkeep = clone.maintain(1).await.expect_err("it is closed");
        let export = clone.export().await.expect_err("it is closed");
        let count = clone.due(1).await.expect_err("it is closed");
        let codes = [read.code(), upkeep.code(), export.code(), count.code()];
        assert_eq!(codes, ["store_closed"; 4], "{scheme}");
        let kinds = [read.kind(), upkeep.kind(), export.kind(), count.kind()];
        assert_eq!(kinds, [ErrorKind::Closed; 4], "{scheme}");
    }
}

#[tokio::test]
async fn each_store_says_how_it_is_and_a_brought_one_says_nothing() {
    let memory = Bench::open("memory", Config::default()).await;
    let health = memory.windlass.health().expect("opened by location");
    assert!(!health.survives_power_loss && health.settled, "{health:?}");
    assert_eq!(
        (health.database.as_str(), health.wal_bytes),
        ("memory", None)
    );

    let sqlite = Bench::open("sqlite", Config::default()).await;
    let health = sqlite.windlass.health().expect("opened by location");
    assert!(health.survives_power_loss && health.settled, "{health:?}");
    assert!(health.database.starts_with("SQLite 3."), "{health:?}");
    assert!(health.wal_bytes.is_some(), "{health:?}");

    #[cfg(feature = "sled")]
    {
        let sled = Bench::open("sled", Config::default()).await;
        let health = sled.windlass.health().expect("opened by location");
        assert!(health.survives_power_loss && health.settled, "{health:?}");
        assert_eq!(
            (&health.database[..], health.wal_bytes),
            ("sled 0.34", None)
        );
    }

    #[cfg(feature = "postgres")]
    {
        let server = Bench::open("postgres", Config::default()).await;
        let health = server.windlass.health().expect("opened by location");
        assert!(health.survives_power_loss && health.settled, "{health:?}");
        assert!(health.database.starts_with("PostgreSQL "), "{health:?}");
        assert_eq!(health.wal_bytes, None);
    }

    let store: Arc<dyn Store> = Arc::clone(memory.windlass.store());
    let env: Arc<dyn Env> = memory.env.clone();
    let brought = Windlass::over(store, &Options::default(), env).unwrap();
    assert_eq!(brought.health(), None);
    memory.create("one").await;
    let id = "one".parse().unwrap();
    let found = brought.sessions().get(&memory.caller, &id).await.unwrap();
    assert_eq!(found.map(|session| session.id), Some(id));
}

/// What was heard: key and outcome of each operation.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Audit for Heard {
    fn record(&self, event: &Event<'_>) {
        let key = event.key.map_or("-", |key| key.as_str());
        let heard = format!("{:?} {key} {:?}", event.verb, event.outcome);
        self.0.lock().unwrap().push(heard);
    }
}

#[tokio::test]
async fn whoever_is_to_hear_of_stashes_hears_of_them() {
    let (heard, env) = (Arc::new(Heard::default()), ManualEnv::new(1, START));
    let options = Options {
        stash_audit: Some(StashAudit::new(heard.clone())),
        ..Options::default()
    };
    assert_eq!(options, options.clone());
    assert_ne!(options, Options::default());
    let location: StoreLocation = "memory:".parse().unwrap();
    let env: Arc<dyn Env> = Arc::new(env);
    let opened = Windlass::with_env(&location, options.clone(), Arc::clone(&env)).await;
    let opened = opened.unwrap();
    let over = Windlass::over(Arc::clone(opened.store()), &options, env).unwrap();
    for windlass in [&opened, &over] {
        let stash = windlass.stashes();
        let stash = stash.stash(&"acme".parse().unwrap(), &"s1".parse().unwrap());
        let execution = stash.execution(None);
        execution
            .put(&"k".parse().unwrap(), &1, None)
            .await
            .unwrap();
        assert!(!execution.delete(&"none".parse().unwrap()).await.unwrap());
    }
    let expected = ["Put k Done", "Delete none Absent"].repeat(2);
    assert_eq!(*heard.0.lock().unwrap(), expected);
}

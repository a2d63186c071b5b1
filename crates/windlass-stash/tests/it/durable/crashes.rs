//! A process may die, or a store fail, between any two steps: what was
//! answered holds, and what was not is whole or not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use windlass_core::{Coded, ErrorKind};
use windlass_stash::{Condition, Increment, Operation, Put, StepError};
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Fault, Faulty, Moment, Strict, StrictOptions, Verb};

use super::world::{World, execution};
use crate::support::{HOUR, key, sized};

/// A store whose process dies: from one commit on, nothing gets through.
#[derive(Debug)]
pub(super) struct Dying {
    inner: Faulty<MemoryStore>,
    commits: AtomicU64,
    last: u64,
}

impl Dying {
    pub(super) fn after(inner: Faulty<MemoryStore>, commits: u64) -> Arc<Self> {
        Arc::new(Self {
            inner,
            commits: AtomicU64::new(0),
            last: commits,
        })
    }
}

#[async_trait]
impl Store for Dying {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        if self.commits.fetch_add(1, Ordering::Relaxed) >= self.last {
            let kind = StoreErrorKind::Unavailable;
            return Err(StoreError::new(kind, "commit", "the process is dead"));
        }
        self.inner.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// What is stored before the step that is cut.
async fn before() -> World {
    let world = World::new(|config| config.keys_max = 5);
    let execution = world.outside();
    execution.put(&key("n"), &40, None).await.expect("room");
    let long = Put::new(key("long"), sized(260_000));
    execution.store(long).await.expect("room");
    execution.put(&key("gone"), &0, None).await.expect("room");
    let expired = execution.put(&key("expired"), &0, Some(1)).await;
    expired.expect("room");
    world.env.advance_ms(1);
    world
}

/// Operations that touch everything there is.
fn step() -> Vec<Operation> {
    let put = |name: &str, size| Operation::Put(Put::new(key(name), sized(size)));
    vec![
        put("new", 1_100_000),
        put("long", 270_000),
        Operation::Delete(key("gone")),
        Operation::Increment(Increment {
            key: key("n"),
            by: 2,
            ttl_ms: None,
        }),
        Operation::Touch {
            key: key("n"),
            ttl_ms: Some(2 * HOUR),
        },
    ]
}

/// What can be seen of the stash: the number, and the lengths of values.
async fn seen(world: &World) -> [Option<u64>; 4] {
    let execution = execution(&world.reopen(), None);
    let mut seen = [None; 4];
    for (place, name) in ["n", "long", "gone", "new"].into_iter().enumerate() {
        let value = execution.get(&key(name)).await.expect("readable");
        seen[place] = value.map(|value| match name {
            "n" => value.parse().expect("a number"),
            _ => value.size(),
        });
    }
    seen
}

const BEFORE: [Option<u64>; 4] = [Some(40), Some(260_000), Some(1), None];
const AFTER: [Option<u64>; 4] = [Some(42), Some(270_000), None, Some(1_100_000)];

#[tokio::test]
async fn a_step_that_fails_at_any_call_is_done_whole_or_not_at_all() {
    for moment in [Moment::Before, Moment::After] {
        for number in 1.. {
            let world = before().await;
            let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
            faulty.plan(Fault {
                verb: None,
                number,
                moment,
                kind: StoreErrorKind::Unavailable,
            });
            let stashes = world.over(faulty.clone());
            let answers = execution(&stashes, None).step(&step()).await;
            world.recount().await;
            let now = seen(&world).await;
            if faulty.hits() == 0 {
                assert_eq!((answers.is_ok(), now), (true, AFTER), "{answers:?}");
                break;
            }
            // A failure after a commit is one the store must not call so; it
            // is only asked here whether what is there is whole.
            let expected = if answers.is_ok() { AFTER } else { BEFORE };
            let whole = now == expected || (moment == Moment::After && now == AFTER);
            assert!(
                whole,
                "call {number}, {moment:?}: {now:?} after {answers:?}"
            );
            // Whatever is left behind, upkeep finds.
            world.env.advance_ms(24 * HOUR);
            world.stashes.reap_due(1_000).await.expect("a store");
            world.stashes.reap_due(1_000).await.expect("a store");
            assert_eq!(world.rows().await, [], "call {number}, {moment:?}");
        }
    }
}

#[tokio::test]
async fn a_commit_of_unknown_outcome_is_looked_up_before_it_is_answered() {
    for moment in [Moment::Before, Moment::After] {
        for number in 1.. {
            let world = before().await;
            let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
            faulty.plan(Fault {
                verb: Some(Verb::Commit),
                number,
                moment,
                kind: StoreErrorKind::Indeterminate,
            });
            let stashes = world.over(faulty.clone());
            let answers = execution(&stashes, None).step(&step()).await;
            let answers = answers.unwrap_or_else(|error| panic!("commit {number}: {error:?}"));
            assert_eq!(answers.len(), 5);
            assert_eq!(seen(&world).await, AFTER, "commit {number}, {moment:?}");
            world.recount().await;
            if faulty.hits() == 0 {
                break;
            }
        }
    }
}

#[tokio::test]
async fn over_a_store_that_fails_all_the_time_nothing_is_counted_twice_or_lost() {
    let world = World::new(|_| {});
    let strict = Strict::new(Arc::clone(&world.ground), StrictOptions::ALL);
    let stashes = world.over(Arc::new(strict));
    let execution = execution(&stashes, None);
    let name = key("n");
    let (mut least, mut most) = (0, 0);
    for _ in 0..400 {
        match execution.increment(&name, 1, None).await {
            Ok(number) => {
                least += 1;
                most += 1;
                assert!((least..=most).contains(&number.value), "{number:?}");
            }
            Err(error) if error.kind() == ErrorKind::Indeterminate => most += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
    assert!(least > 200, "{least}");
    let value = world.outside().get(&name).await.expect("readable");
    let number: i64 = value.expect("there").parse().expect("a number");
    assert!((least..=most).contains(&number), "{least} {number} {most}");
    world.recount().await;
}

#[tokio::test]
async fn a_refused_step_leaves_no_trace() {
    let world = before().await;
    let rows = world.rows().await;
    let mut operations = step();
    let absent = Put::new(key("n"), sized(10)).condition(Condition::Absent);
    operations.push(Operation::Put(absent));
    let refused = world.outside().step(&operations).await;
    let StepError { position, error } = refused.expect_err("a refusal");
    assert_eq!((position, error.code()), (5, "version_mismatch"));
    assert_eq!(world.rows().await, rows);
}

//! Small pieces on the way of a use, each by itself: where a change of the
//! table of sessions comes from.
//!
//! ```text
//! cargo bench -p windlass-benches
//! ```

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};
use windlass::core::{BoxFuture, Combiner, Drive};
use windlass::session::SessionError;
use windlass::store::key::{Key, segments};
use windlass::store::{Batch, Expect, Incarnation, Version, seal};
use windlass::{Options, SystemEnv, Windlass};
use windlass_benches::clock;
use windlass_benches::sessions::fixture::{CALLS, caller, one_use, request, session_id};
use windlass_store_memory::MemoryStore;

const SEAL_STAMP: u64 = 42;

fn keys(criterion: &mut Criterion) {
    let id = session_id(1);
    let key = |number: u64| {
        let base = Key::new("acme").text("session").text(id.as_str());
        base.text("event").number(number).finish()
    };
    criterion.bench_function("key/build", |bencher| {
        bencher.iter(|| key(black_box(12_345)))
    });
    let built = key(12_345);
    criterion.bench_function("key/parse", |bencher| {
        bencher.iter(|| segments(black_box(&built)));
    });
}

fn seals(criterion: &mut Criterion) {
    let key = b"acme/session/01935a6c-8d00-7000-8000-000000000001/head";
    for (name, size) in [("250 B", 250), ("4 KiB", 4_096), ("1 MiB", 1_048_576)] {
        let value = vec![7; size];
        criterion.bench_function(&format!("seal/{name}"), |bencher| {
            bencher.iter(|| seal::seal(key, SEAL_STAMP, black_box(&value)));
        });
        let sealed = Bytes::from(seal::seal(key, SEAL_STAMP, &value));
        criterion.bench_function(&format!("open/{name}"), |bencher| {
            bencher.iter(|| seal::open(key, SEAL_STAMP, black_box(&sealed)));
        });
    }
}

fn batches(criterion: &mut Criterion) {
    let version = Version::new(Incarnation::from_number(1), 1);
    let head = Bytes::from_static(b"acme/session/01935a6c-8d00-7000-8000-000000000001/head");
    let usual = Batch::new()
        .put(
            "acme/session/01935a6c-8d00-7000-8000-000000000001/event/1",
            "event",
        )
        .check(head.clone(), Expect::Version(version))
        .put(head, "head");
    let large = (0..1_000).fold(Batch::new(), |batch, number| {
        batch.put(Key::new("acme").number(number).finish(), "value")
    });
    for (name, batch) in [("of a use", usual), ("of 1,000 writes", large)] {
        criterion.bench_function(&format!("validate a batch/{name}"), |bencher| {
            bencher.iter(|| black_box(&batch).validate());
        });
    }
}

/// Answers each request with itself, at once.
struct Echo;

impl Drive for Echo {
    type Request = u64;
    type Answer = u64;

    fn run(self: Arc<Self>, requests: Vec<u64>) -> BoxFuture<'static, Vec<u64>> {
        Box::pin(async move { requests })
    }
}

fn combiner(criterion: &mut Criterion) {
    let runtime = runtime();
    let combiner = Combiner::new(Arc::new(Echo));
    criterion.bench_function("combiner/one caller", |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let start = clock::now();
                for request in 0..times {
                    black_box(combiner.submit(request).await).expect("an echo answers");
                }
                start.elapsed()
            })
        });
    });
}

fn sessions(criterion: &mut Criterion) {
    let runtime = runtime();
    let granted = engine(&Options::default());
    let mut number = 0;
    criterion.bench_function("use/granted, memory store", |bencher| {
        bencher.iter_custom(|times| {
            number += 1;
            runtime.block_on(use_again_and_again(&granted, number, CALLS, times))
        });
    });
    // Nobody else writes, so a refusal is decided from memory alone: what is
    // left are the rules and the way to them.
    let refused = engine(&Options::exclusive());
    criterion.bench_function("use/refused, decided from memory", |bencher| {
        bencher.iter_custom(|times| {
            number += 1;
            runtime.block_on(use_again_and_again(&refused, number, 1, times))
        });
    });
}

/// How long `times` uses of a new session take, after a first one. With a
/// budget of one call they are refused.
async fn use_again_and_again(engine: &Windlass, number: usize, calls: u64, times: u64) -> Duration {
    let (who, id) = (caller(), session_id(number));
    let sessions = engine.sessions();
    sessions
        .create(&who, request(number, calls))
        .await
        .expect("a new session");
    sessions
        .use_tools(&who, &id, one_use(None))
        .await
        .expect("a first use");
    let start = clock::now();
    for _ in 0..times {
        match sessions.use_tools(&who, &id, one_use(None)).await {
            Ok(receipt) => assert!(calls > 1, "{receipt:?}"),
            Err(SessionError::BudgetExceeded { .. }) => assert_eq!(calls, 1),
            Err(error) => panic!("{error}"),
        }
    }
    start.elapsed()
}

fn engine(options: &Options) -> Windlass {
    let store = Arc::new(MemoryStore::new().expect("a new store"));
    Windlass::over(store, options, Arc::new(SystemEnv::new())).expect("settings that agree")
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// Short: these are for looking, the table is for judging.
fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
}

criterion_group! {
    name = pieces;
    config = settings();
    targets = keys, seals, batches, combiner, sessions
}
criterion_main!(pieces);

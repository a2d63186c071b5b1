//! The write-ahead log stays short under readers that always overlap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use windlass_store::{Batch, KeyRange, Scan, Store, StoreExt};
use windlass_store_sqlite::{Copies, Options, SqliteStore};

use crate::children::setting;
use crate::common::{Place, apply, value};

const READERS: usize = 16;
const KEYS: usize = 200;
const VALUE_BYTES: usize = 30_000;
const WAL_BYTES_MAX: u64 = 128 << 20;

/// Bytes from which on the log is emptied.
const WAL_BYTES_EMPTIED: u64 = 64 << 20;
/// Commits of 600 kB that the bound is tried with.
const COMMITS: usize = 300;

/// Seconds that it is tried for in any case; the nightly run takes 60.
const SECONDS: &str = "WINDLASS_WAL_SECONDS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_bounded_under_overlapping_readers_and_a_saturated_writer() {
    let load = Load::start(Options::default()).await;
    let end = now() + Duration::from_secs(setting(SECONDS, 0));
    let (mut longest, mut commits) = (0, 0);
    while commits < COMMITS || now() < end {
        longest = longest.max(load.write().await);
        commits += 1;
    }
    load.stop().await;
    assert!(longest <= WAL_BYTES_MAX, "the log grew to {longest} bytes");
    assert!(
        longest > WAL_BYTES_EMPTIED,
        "the load was too light: the log had {longest} bytes"
    );
}

/// The planted fault: without the gate the same load outgrows the bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_gate_the_same_load_outgrows_the_bound() {
    let load = Load::start(Options {
        wal_empty_bytes: u64::MAX,
        ..Options::default()
    })
    .await;
    while load.write().await <= WAL_BYTES_MAX {}
    load.stop().await;
}

#[tokio::test]
async fn the_log_is_emptied_once_an_export_has_ended() {
    let place = Place::new();
    let options = Options {
        wal_copy_bytes: 1 << 20,
        wal_empty_bytes: 2 << 20,
        ..Options::default()
    };
    let store = place.open_with(options).await;
    apply(&store, batch(0)).await;
    let export = store
        .export(KeyRange::all())
        .await
        .expect("an export starts");
    while store.health().wal_bytes < 20 << 20 {
        apply(&store, batch(0)).await;
    }
    drop(export);
    while store.health().wal_bytes > 4 << 20 {
        apply(&store, batch(0)).await;
    }
    store.close().await.expect("the store closes");
}

/// Two writers that never pause: what one adds while the other copies would
/// keep the log from being started over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_started_over_though_others_write_while_it_is_copied() {
    const COMMITS: usize = 200;
    let place = Place::new();
    let options = Options {
        wal_copy_bytes: 2 << 20,
        wal_empty_bytes: u64::MAX,
        ..Options::default()
    };
    let one = place.open_with(options.clone()).await;
    let other = place.open_with(options).await;
    let write = async |store: &SqliteStore| {
        let mut longest = 0;
        for _ in 0..COMMITS {
            apply(store, batch(0)).await;
            longest = longest.max(store.health().wal_bytes);
        }
        longest
    };
    let (longest, _) = tokio::join!(write(&one), write(&other));
    one.close().await.expect("the store closes");
    other.close().await.expect("the store closes");
    // Copied at 2 MiB, or at 4 by the other; without copying the rest in its
    // turn this load makes it more than a hundred.
    assert!(longest < 16 << 20, "the log grew to {longest} bytes");
}

/// What is added while the log is copied has to be copied too, and at last
/// between two commits: otherwise the log has no end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_started_over_where_it_is_copied_beside_commits() {
    const COMMITS: u8 = 200;
    let place = Place::new();
    let options = Options {
        copies: Copies::Beside,
        wal_copy_bytes: 2 << 20,
        wal_empty_bytes: u64::MAX,
        ..Options::default()
    };
    let store = place.open_with(options.clone()).await;
    let mut longest = 0;
    for number in 0..COMMITS {
        let start = usize::from(number % 10) * 20;
        let mark = Batch::new().put("acme/last", vec![number]);
        apply(&store, batch(start)).await;
        apply(&store, mark).await;
        longest = longest.max(store.health().wal_bytes);
    }
    store.close().await.expect("the store closes");
    // What was written is more than a hundred.
    assert!(longest < 16 << 20, "the log grew to {longest} bytes");
    let store = place.open_with(options).await;
    let last = value(&store, "acme/last").await;
    assert_eq!(last.as_deref(), Some(&[COMMITS - 1][..]));
    let all = store.scan_all(KeyRange::prefix("acme/")).await;
    assert_eq!(all.expect("the store answers").len(), KEYS + 1);
    store.close().await.expect("the store closes");
}

/// A store with readers whose transactions always overlap.
struct Load {
    _place: Place,
    store: Arc<SqliteStore>,
    stop: Arc<AtomicBool>,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    async fn start(options: Options) -> Self {
        let place = Place::new();
        let store = Arc::new(
            place
                .open_with(Options {
                    reader_threads: READERS,
                    ..options
                })
                .await,
        );
        for start in (0..KEYS).step_by(20) {
            apply(&*store, batch(start)).await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let reader = |_| tokio::spawn(read(Arc::clone(&store), Arc::clone(&stop)));
        let readers = (0..READERS).map(reader).collect();
        Self {
            _place: place,
            store,
            stop,
            readers,
        }
    }

    /// Commits once; the length of the log then.
    async fn write(&self) -> u64 {
        apply(&*self.store, batch(0)).await;
        self.store.health().wal_bytes
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for reader in self.readers {
            reader.await.expect("a reader ends");
        }
        self.store.close().await.expect("the store closes");
    }
}

async fn read(store: Arc<SqliteStore>, stop: Arc<AtomicBool>) {
    let scan = Scan::new(KeyRange::all());
    while !stop.load(Ordering::Relaxed) {
        let pages = store
            .read(std::slice::from_ref(&scan))
            .await
            .expect("all can be read");
        assert_eq!(pages[0].entries.len(), KEYS);
    }
}

fn batch(start: usize) -> Batch {
    let put = |batch: Batch, number| batch.put(format!("acme/{number:04}"), vec![5; VALUE_BYTES]);
    (start..start + 20).fold(Batch::new(), put)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long to go on, not what to find"
)]
fn now() -> Instant {
    Instant::now()
}

//! What a stream holds in memory, whatever the number and the size of its rows:
//! a chunk and a page, beyond the row that its writer has in hand.
//!
//! In a binary of its own: every allocation of the process is counted.

mod disk;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use peak_alloc::PeakAlloc;
use tokio::runtime::{Builder, Runtime};
use windlass_core::{BoxFuture, Env, ManualEnv, Millis, RandomError, StreamId};
use windlass_store::{KeyRange, Store, StoreExt};
use windlass_store_memory::MemoryStore;
use windlass_stream::limits::PAGE_BYTES;
use windlass_stream::{
    Caller, Digest, Ending, Frame, NewStream, Open, Row, RowsHasher, Settings, Streams,
};

use crate::disk::Disk;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Only one test at a time: they share what is counted.
static TURN: Mutex<()> = Mutex::new(());

/// Chunks of one page.
fn page() -> Settings {
    Settings {
        chunk_pages: 1,
        read_pages: 1,
        ..Settings::default()
    }
}

/// A chunk of one page, and another page.
const BOUND: usize = 2 * PAGE_BYTES;

struct World {
    runtime: Runtime,
    env: Arc<ManualEnv>,
    streams: Streams,
    caller: Caller,
}

impl World {
    fn new(store: Arc<dyn Store>) -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
        let streams = Streams::new(store, Arc::clone(&env) as _, &page());
        let tenant = "acme".parse().expect("an identifier");
        Self {
            runtime,
            env,
            streams: streams.expect("settings in range"),
            caller: Caller::new(tenant, "ann".parse().expect("an identifier")),
        }
    }

    fn stream() -> StreamId {
        "out".parse().expect("an identifier")
    }

    /// Appends rows and closes, and says what that took beyond what was there
    /// before.
    fn write(&self, rows: impl Iterator<Item = Row>) -> usize {
        let new = NewStream {
            id: Some(Self::stream()),
            ..NewStream::of("s1".parse().expect("an identifier"))
        };
        let before = settle();
        self.runtime.block_on(async {
            let made = self.streams.create(&self.caller, &new).await;
            let mut writer = made.expect("a new name");
            for row in rows {
                writer.append(&row).await.expect("taken");
            }
            writer.close(Ending::Finished).await.expect("open");
        });
        MEMORY.peak_usage() - before
    }

    /// Reads everything, as somebody who proves it row by row and keeps
    /// nothing; how many rows and bytes that are, and what it took.
    fn read(&self) -> (u64, u64, usize) {
        let before = settle();
        let (mut rows, mut bytes) = (0, 0);
        self.runtime.block_on(async {
            let open = Open::all(Self::stream());
            let reader = self.streams.open(&self.caller, &open).await;
            let mut reader = reader.expect("there");
            let mut digest = Digest::START;
            while let Some(frame) = reader.next().await.expect("a store that works") {
                bytes += u64::try_from(frame.ndjson().len()).expect("few");
                let Frame::Chunk(chunk) = frame else { continue };
                rows += chunk.row_count();
                if chunk.row_bytes() > 0 {
                    let mut hasher = RowsHasher::new();
                    chunk.rows().for_each(|row| hasher.row(row.content()));
                    digest = digest.chain(chunk.first, hasher.finish());
                    assert_eq!(digest, chunk.mark.digest);
                }
            }
        });
        (rows, bytes, MEMORY.peak_usage() - before)
    }
}

/// What is in use now; from here on the peak is counted.
fn settle() -> usize {
    MEMORY.reset_peak_usage();
    MEMORY.current_usage()
}

#[test]
fn a_million_rows_through_one_page_take_a_chunk_and_a_page() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new(Arc::new(Disk::new(4_000)));
    let count = 1_000_000;
    let row = |number: u64| Row::Json(number.to_string().into());
    let written = world.write((0..count).map(row));
    let (rows, _, read) = world.read();
    assert_eq!(rows, count);
    assert!(
        written <= BOUND && read <= BOUND,
        "{written} and {read} bytes"
    );
    // If nothing were counted, nothing would be held.
    assert!(
        written >= PAGE_BYTES / 2 && read >= PAGE_BYTES / 2,
        "{written}, {read}"
    );
}

#[test]
fn a_row_of_fifty_megabytes_takes_a_chunk_and_a_page() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let length = 50_000_000;
    let text = format!("\"{}\"", "x".repeat(length));
    let kinds = [
        Row::Json(text.into()),
        Row::Bytes(vec![7; 45_000_000].into()),
    ];
    for row in kinds {
        let world = World::new(Arc::new(Disk::new(6_000)));
        let in_hand = [row.clone()];
        let written = world.write(in_hand.into_iter());
        let (rows, bytes, read) = world.read();
        assert_eq!(rows, 1);
        assert!(bytes > 50_000_000, "{bytes}");
        assert!(
            written <= BOUND && read <= BOUND,
            "{written} and {read} bytes"
        );
        assert!(read >= PAGE_BYTES, "{read}");
    }
}

/// How many cursors are opened and left.
#[expect(clippy::disallowed_methods, reason = "the gate says how long it lasts")]
fn cursors() -> u64 {
    let told = std::env::var("WINDLASS_STREAM_CURSORS").ok();
    told.map_or(2_000, |text| text.parse().expect("a number"))
}

#[test]
fn cursors_that_are_opened_and_left_leave_nothing_once_they_are_forgotten() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
    let world = World::new(Arc::clone(&ground) as _);
    world.write((0..10).map(|number: u64| Row::Json(number.to_string().into())));
    let count = cursors();
    let visit = |count: u64| {
        world.runtime.block_on(async {
            for _ in 0..count {
                let open = Open::all(World::stream());
                let reader = world.streams.open(&world.caller, &open).await;
                let mut reader = reader.expect("there");
                reader.next().await.expect("a store that works");
            }
            let left = ground.scan_all(KeyRange::all()).await;
            left.expect("a store that works").len()
        })
    };
    let forget = || {
        world.env.advance_ms(24 * 3_600_000);
        world.runtime.block_on(async {
            while world.streams.sweep(1_000).await.expect("works").truncated {}
            let left = ground.scan_all(KeyRange::all()).await;
            left.expect("a store that works")
        })
    };
    // What is grown once and kept is not what is looked for.
    visit(1);
    let before = forget();
    let used = settle();
    let rows = visit(count);
    let left = u64::try_from(rows - before.len()).expect("few");
    assert_eq!(left, 3 * count, "a cursor, a pin and when it is due");
    let held = MEMORY.current_usage() - used;
    assert!(
        held > usize::try_from(count).expect("few") * 100,
        "{held} bytes"
    );
    assert!(forget() == before, "the store is as it was");
    let kept = MEMORY.current_usage().saturating_sub(used);
    assert!(kept < 16_384, "{kept} bytes of {held}");
}

/// A clock on which nobody who sleeps wakes up.
#[derive(Debug)]
struct Frozen(ManualEnv);

impl Env for Frozen {
    fn now(&self) -> Millis {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.random(bytes)
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn ten_thousand_idle_followers_take_a_few_kibibytes_each() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let count = 10_000;
    let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
    let mut world = World::new(Arc::clone(&ground) as _);
    world.write(std::iter::once(Row::Json("1".into())));
    let settings = Settings {
        streams_max: count,
        principal_streams_max: count,
        ..page()
    };
    let frozen = Arc::new(Frozen(ManualEnv::new(2, world.env.now())));
    let streams = Streams::new(ground, frozen, &settings);
    world.streams = streams.expect("settings in range");
    let new = NewStream {
        id: Some("live".parse().expect("an identifier")),
        ..NewStream::of("s1".parse().expect("an identifier"))
    };
    world.runtime.block_on(async {
        let made = world.streams.create(&world.caller, &new).await;
        let mut writer = made.expect("a new name");
        let open = Open {
            follow: true,
            ..Open::all(writer.stream().clone())
        };
        let before = settle();
        let follow = |_| {
            let (streams, caller, open) = (&world.streams, &world.caller, &open);
            Box::pin(async move {
                let mut reader = streams.open(caller, open).await.expect("there");
                reader.next().await.expect("a store that works");
                reader.next().await.expect("a store that works")
            })
        };
        let mut all: FuturesUnordered<_> = (0..count).map(follow).collect();
        // Until all of them wait.
        let mut rounds = 0;
        while world.streams.occupancy().all < count && rounds < count {
            rounds += 1;
            assert_eq!(all.next().now_or_never(), None, "they wait");
        }
        assert_eq!(world.streams.occupancy().all, count);
        let each = (MEMORY.current_usage() - before) / count;
        assert!((1_024..=12 * 1_024).contains(&each), "{each} bytes");
        writer.append(&Row::Json("2".into())).await.expect("taken");
        writer.flush().await.expect("stored");
        let frames: Vec<_> = all.collect().await;
        assert_eq!(frames.len(), count);
    });
}

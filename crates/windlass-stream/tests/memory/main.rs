//! What a stream holds in memory, whatever the number and the size of its rows:
//! a chunk and a page, beyond the row that its writer has in hand.
//!
//! In a binary of its own: every allocation of the process is counted.

mod disk;

use std::sync::{Arc, Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use tokio::runtime::{Builder, Runtime};
use windlass_core::{ManualEnv, Millis, StreamId};
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
        ..Settings::default()
    }
}

/// A chunk of one page, and another page.
const BOUND: usize = 2 * PAGE_BYTES;

struct World {
    runtime: Runtime,
    streams: Streams,
    caller: Caller,
}

impl World {
    fn new(rows: usize) -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
        let streams = Streams::new(Arc::new(Disk::new(rows)), env, &page());
        let tenant = "acme".parse().expect("an identifier");
        Self {
            runtime,
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
    let world = World::new(4_000);
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
        let world = World::new(6_000);
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

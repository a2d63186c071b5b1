//! Sources: rows that are not recorded, in chunks that are cut as they pass.

use std::future::{poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use futures_util::{FutureExt, stream};
use serde_json::{Value, json};
use windlass_core::{BoxFuture, Coded};
use windlass_store::{StoreError, StoreErrorKind};
use windlass_stream::limits::TOMBSTONE_MS;
use windlass_stream::{
    Chunk, Cursor, Digest, Ending, Frame, Mark, Offset, Open, Row, ScanReader, Settings, Source,
    SourceKind, SourcePage, Start, StreamError,
};

use crate::support::{Client, World, caller, caller_of, number, stream as named};

/// The numbers from one to another, up or down, of which some are left out.
#[derive(Debug)]
pub(crate) struct Numbers {
    first: u64,
    last: u64,
    /// Only multiples of it.
    of: u64,
    kind: SourceKind,
    /// Whether a page is there only when it is asked for the fourth time.
    slow: bool,
    /// Calls that fail from now on.
    failing: AtomicU32,
}

impl Numbers {
    pub(crate) fn new(first: u64, last: u64, of: u64) -> Arc<Self> {
        Arc::new(Self {
            first,
            last,
            of,
            kind: SourceKind::Ordered,
            slow: false,
            failing: AtomicU32::new(0),
        })
    }

    fn of_request(request: &str) -> Result<Arc<dyn Source>, StreamError> {
        let asked: Value = serde_json::from_str(request).expect("a request of this test");
        let field = |name: &str| asked[name].as_u64().expect("a number");
        Ok(Self::new(field("first"), field("last"), field("of")))
    }

    fn behind(&self, after: Option<&str>) -> Option<u64> {
        let Some(after) = after else {
            return Some(self.first);
        };
        let after: u64 = after.parse().expect("a position of this test");
        match self.first <= self.last {
            true => after.checked_add(1).filter(|next| *next <= self.last),
            false => after.checked_sub(1).filter(|next| *next >= self.last),
        }
    }
}

impl Source for Numbers {
    fn request(&self) -> String {
        json!({ "first": self.first, "last": self.last, "of": self.of }).to_string()
    }

    fn kind(&self) -> SourceKind {
        self.kind
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<SourcePage, StreamError>> {
        Box::pin(async move {
            if self.slow {
                asked_again(3).await;
            }
            if self.failing.load(Ordering::Relaxed) > 0 {
                self.failing.fetch_sub(1, Ordering::Relaxed);
                let why = "a planned fault";
                return Err(StoreError::new(StoreErrorKind::Unavailable, "read", why).into());
            }
            let mut page = SourcePage::default();
            let mut next = self.behind(after);
            // Pages of seven, of which a filter may leave nothing.
            for _ in 0..limit.min(7) {
                let Some(value) = next else { break };
                let position = value.to_string();
                next = self.behind(Some(&position));
                page.next = next.map(|_| position.clone());
                if value % self.of == 0 {
                    page.rows.push((position, number(value)));
                }
            }
            Ok(page)
        })
    }
}

/// Is there once it was asked for so many times before.
async fn asked_again(times: u32) {
    let mut asked = 0;
    poll_fn(|context| {
        asked += 1;
        context.waker().wake_by_ref();
        match asked > times {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// Small chunks.
fn small() -> Settings {
    Settings {
        chunk_rows: 4,
        ..Settings::default()
    }
}

async fn scan(world: &World, source: Arc<Numbers>, limit: Option<u64>) -> ScanReader {
    let source: Arc<dyn Source> = source;
    let source = ready(Ok(source));
    let reader = world.streams.scan(&caller(), source, limit).await;
    reader.expect("a slot")
}

/// Goes on, as a process that knows nothing but what is stored.
async fn resume(
    world: &World,
    cursor: &Cursor,
    received: Option<Mark>,
) -> Result<ScanReader, StreamError> {
    let start = received.map_or(Start::Earliest, |mark| {
        Start::At(mark.offset, Some(mark.digest))
    });
    resume_at(world, cursor, start).await
}

async fn resume_at(
    world: &World,
    cursor: &Cursor,
    start: Start,
) -> Result<ScanReader, StreamError> {
    let streams = world.calm().streams;
    let source = |request: &str| ready(Numbers::of_request(request));
    streams.resume_scan(&caller(), cursor, start, source).await
}

async fn code(world: &World, cursor: &Cursor, received: Option<Mark>) -> &'static str {
    let refused = resume(world, cursor, received).await;
    refused.expect_err("refused").code()
}

/// Each frame as it is sent, and the cursor.
async fn sent(reader: &mut ScanReader) -> (Vec<Frame>, Cursor) {
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().await.expect("works") {
        frames.push(frame);
    }
    let Frame::Open(opened) = &frames[0] else {
        panic!("{frames:?}")
    };
    let cursor = opened.cursor.parse().expect("a cursor");
    (frames, cursor)
}

fn body(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::ndjson).collect()
}

/// The rows that were sent.
fn rows(frames: &[Frame]) -> Vec<Row> {
    let chunks = frames.iter().filter_map(chunk);
    chunks.flat_map(Chunk::rows).collect()
}

fn marks(frames: &[Frame]) -> Vec<Mark> {
    let chunks = frames.iter().filter_map(chunk);
    chunks.map(|chunk| chunk.mark).collect()
}

const fn chunk(frame: &Frame) -> Option<&Chunk> {
    match frame {
        Frame::Chunk(chunk) => Some(chunk),
        _ => None,
    }
}

/// The numbers that were sent, proven.
fn numbers(frames: &[Frame]) -> Vec<u64> {
    let mut client = Client::new();
    client.take(&body(frames));
    assert!(client.ended, "{client:?}");
    let number = |row: &bytes::Bytes| serde_json::from_slice(row).expect("a number");
    client.proven.iter().map(number).collect()
}

#[tokio::test]
async fn a_source_is_read_in_its_order_with_its_filter_and_up_to_a_limit() {
    let world = World::with(&small());
    let cases: [(Arc<Numbers>, Option<u64>, Vec<u64>); 5] = [
        (Numbers::new(0, 29, 1), None, (0..30).collect()),
        (Numbers::new(29, 0, 1), None, (0..30).rev().collect()),
        (Numbers::new(0, 99, 30), None, vec![0, 30, 60, 90]),
        (Numbers::new(0, 99, 5), Some(6), vec![0, 5, 10, 15, 20, 25]),
        (Numbers::new(1, 99, 500), None, vec![]),
    ];
    for (source, limit, expected) in cases {
        let (frames, _) = sent(&mut scan(&world, source, limit).await).await;
        assert_eq!(numbers(&frames), expected);
    }
}

#[tokio::test]
async fn cut_behind_any_chunk_the_rest_is_byte_identical_and_the_limit_holds() {
    let world = World::with(&small());
    for (source, limit) in [
        (Numbers::new(0, 99, 1), None),
        (Numbers::new(300, 0, 3), Some(50)),
    ] {
        let (whole, _) = sent(&mut scan(&world, Arc::clone(&source), limit).await).await;
        let mut received = None;
        let (_, cursor) = sent(&mut scan(&world, source, limit).await).await;
        for place in 1..whole.len() {
            let rest = resume(&world, &cursor, received).await;
            let (rest, _) = sent(&mut rest.expect("it lasts")).await;
            let (from, to) = (
                body(&whole[place..whole.len() - 1]),
                &rest[1..rest.len() - 1],
            );
            assert_eq!(body(to), from, "from frame {place}");
            if let Frame::Chunk(chunk) = &whole[place] {
                received = Some(chunk.mark);
            }
        }
    }
}

#[tokio::test]
async fn cut_behind_any_row_the_rest_is_what_was_left_with_the_same_digests() {
    let world = World::with(&small());
    for source in [Numbers::new(0, 20, 1), Numbers::new(60, 0, 3)] {
        let (whole, _) = sent(&mut scan(&world, Arc::clone(&source), Some(19)).await).await;
        let (_, cursor) = sent(&mut scan(&world, source, Some(19)).await).await;
        for place in 0..19 {
            let offset = Offset::new(place);
            let reader = resume_at(&world, &cursor, Start::At(offset, None)).await;
            let (rest, _) = sent(&mut reader.expect("it lasts")).await;
            let Frame::Open(opened) = &rest[0] else {
                panic!("{rest:?}")
            };
            assert_eq!(opened.start, offset);
            let behind = usize::try_from(place).expect("few");
            assert_eq!(rows(&rest), rows(&whole)[behind..]);
            let left = marks(&rest);
            assert_eq!(left, marks(&whole)[marks(&whole).len() - left.len()..]);
            let again = Start::At(offset, Some(opened.digest));
            drop(resume_at(&world, &cursor, again).await.expect("the same"));
            let wrong = Start::At(offset, Some(left[0].digest));
            let wrong = resume_at(&world, &cursor, wrong).await;
            assert_eq!(wrong.expect_err("wrong").code(), "prefix_hash_mismatch");
        }
    }
    assert_eq!(world.streams.occupancy().all, 0);
}

#[tokio::test]
async fn whoever_leaves_while_a_page_is_on_its_way_finds_it_when_it_comes_back() {
    let world = World::with(&small());
    let source = Arc::new(Numbers {
        slow: true,
        ..Arc::into_inner(Numbers::new(0, 29, 1)).expect("its only owner")
    });
    let mut reader = scan(&world, source, None).await;
    let (mut frames, mut left) = (Vec::new(), 0);
    loop {
        // Asked once, and dropped if it is not there at once.
        match reader.next().now_or_never() {
            None => left += 1,
            Some(frame) => match frame.expect("works") {
                Some(frame) => frames.push(frame),
                None => break,
            },
        }
        assert!(left < 100, "it begins anew each time");
    }
    assert_eq!((numbers(&frames), left), ((0..30).collect(), 24));
}

#[tokio::test]
async fn a_digest_that_is_not_the_one_that_was_sent_is_refused() {
    let world = World::with(&small());
    let (frames, cursor) = sent(&mut scan(&world, Numbers::new(0, 29, 1), None).await).await;
    let marks = marks(&frames);
    let wrong = Mark {
        digest: Digest::START,
        ..marks[2]
    };
    assert_eq!(
        code(&world, &cursor, Some(wrong)).await,
        "prefix_hash_mismatch"
    );
    let between = Mark {
        offset: Offset::new(5),
        ..marks[1]
    };
    assert_eq!(
        code(&world, &cursor, Some(between)).await,
        "prefix_hash_mismatch"
    );
    let beyond = Mark {
        offset: Offset::new(31),
        ..marks[1]
    };
    assert_eq!(
        code(&world, &cursor, Some(beyond)).await,
        "offset_beyond_tail"
    );
    drop(
        resume(&world, &cursor, Some(marks[2]))
            .await
            .expect("right"),
    );
    assert_eq!(code(&world, &cursor, Some(marks[1])).await, "gap");
    assert_eq!(world.streams.occupancy().all, 0);
}

#[tokio::test]
async fn a_source_without_an_order_says_that_it_cannot_go_on() {
    let world = World::with(&small());
    let source = Arc::new(Numbers {
        kind: SourceKind::Unordered,
        ..Arc::into_inner(Numbers::new(0, 9, 1)).expect("its only owner")
    });
    let (frames, cursor) = sent(&mut scan(&world, source, None).await).await;
    assert_eq!(numbers(&frames), (0..10).collect::<Vec<_>>());
    let Frame::Open(opened) = &frames[0] else {
        panic!("{frames:?}")
    };
    assert!(!opened.resumable, "{opened:?}");
    assert_eq!(code(&world, &cursor, None).await, "not_resumable");
    let bob = caller_of("acme", "bob");
    let foreign = world
        .streams
        .resume_scan(&bob, &cursor, Start::Earliest, |request: &str| {
            ready(Numbers::of_request(request))
        });
    assert_eq!(foreign.await.expect_err("not his").code(), "not_found");
}

#[tokio::test]
async fn a_cursor_of_a_source_is_cancelled_and_expires_and_leaves_nothing() {
    let world = World::with(&small());
    let mut reader = scan(&world, Numbers::new(0, 99, 1), None).await;
    let Some(Frame::Open(opened)) = reader.next().await.expect("works") else {
        panic!("it begins")
    };
    let cursor: Cursor = opened.cursor.parse().expect("a cursor");
    let bob = caller_of("acme", "bob");
    let foreign = world.streams.cancel(&bob, &cursor).await;
    assert_eq!(foreign.expect_err("not his").code(), "not_found");
    for _ in 0..2 {
        world
            .streams
            .cancel(&caller(), &cursor)
            .await
            .expect("hers");
    }
    let stopped = reader.next().await.expect_err("stopped");
    assert_eq!(stopped.code(), "cancelled");
    assert_eq!(code(&world, &cursor, None).await, "cancelled");
    let (_, other) = sent(&mut scan(&world, Numbers::new(0, 9, 1), None).await).await;
    world.env.advance_ms(90_000);
    assert_eq!(code(&world, &other, None).await, "expired");
    world.env.advance_ms(2 * TOMBSTONE_MS);
    assert_eq!(code(&world, &other, None).await, "not_found");
    let swept = world.streams.sweep(10).await.expect("works");
    assert_eq!(swept.cursors_removed, 2);
    assert_eq!(world.rows().await, []);
    let heard = world.heard.words();
    assert_eq!(heard[0], format!("stream.opened {}", u64::MAX));
    assert_eq!(heard[1], "stream.closed cancelled 0");
}

#[tokio::test]
async fn a_slow_reader_of_a_source_keeps_its_cursor_and_an_absent_one_ends() {
    let world = World::with(&small());
    let mut reader = scan(&world, Numbers::new(0, 39, 1), None).await;
    let mut rows = 0;
    while let Some(frame) = reader.next().await.expect("there in time") {
        if let Frame::Chunk(chunk) = frame {
            rows += chunk.row_count();
        }
        world.env.advance_ms(50_000);
    }
    assert_eq!((rows, world.streams.occupancy().all), (40, 0));
    let mut reader = scan(&world, Numbers::new(0, 39, 1), None).await;
    reader.next().await.expect("works");
    world.env.advance_ms(60_000);
    assert_eq!(reader.next().await.expect_err("too late").code(), "expired");
    assert_eq!(world.streams.occupancy().all, 0);
    assert_eq!(world.heard.words()[1], "stream.closed ok 40");
    assert_eq!(world.heard.words()[3], "stream.closed snapshot_expired 0");
}

#[tokio::test]
async fn what_a_source_fails_to_give_is_asked_for_again() {
    let world = World::with(&small());
    let source = Numbers::new(0, 39, 1);
    let mut reader = scan(&world, Arc::clone(&source), None).await;
    let (mut frames, mut failures) = (Vec::new(), 0);
    loop {
        source
            .failing
            .store(u32::from(failures < 5), Ordering::Relaxed);
        match reader.next().await {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.code(), "store_unavailable");
                failures += 1;
            }
        }
    }
    assert_eq!((numbers(&frames), failures), ((0..40).collect(), 5));
}

#[tokio::test]
async fn a_generator_can_be_gone_on_with_once_it_is_recorded() {
    let failed = Ending::Failed {
        code: "model_gone".into(),
        message: "the model went away".into(),
    };
    for ending in [None, Some(failed)] {
        let world = World::new();
        let mut writer = world.create().await;
        let rows = (0..9).map(|count| Ok::<Row, Ending>(number(count)));
        let end = ending.clone().map(Err);
        let mut generator = stream::iter(rows.chain(end));
        let placed = writer.record(&mut generator).await.expect("stored");
        assert_eq!(placed.tail, Offset::new(9));
        let view = world.streams.show(&caller(), &named("out")).await;
        let how = view.expect("there").closed.expect("closed").how;
        assert_eq!(how, ending.unwrap_or(Ending::Finished));
        let open = Open {
            start: Start::At(Offset::new(4), None),
            follow: true,
            ..Open::all(named("out"))
        };
        let mut reader = world.streams.open(&caller(), &open).await.expect("there");
        let Some(Frame::Open(opened)) = reader.next().await.expect("works") else {
            panic!("it begins")
        };
        assert!(opened.resumable, "{opened:?}");
    }
}

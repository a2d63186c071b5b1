//! Many who want to read at once, in every way in there is, whose reads end in
//! every way there is: never more than there are slots, and none afterwards.

mod ground;
mod over_http;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use windlass::stream::{Caller, CloseReason, Frame, Open, StreamError};

use ground::Ground;

/// Reads at a time, of all.
const SLOTS: usize = 4;
/// Those who want one.
const READERS: usize = 16;

/// Where a read comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Library,
    Lines,
    Events,
    /// What comes within a wait.
    Wait,
    /// The Durable Streams protocol: what there is.
    Path,
    /// What comes within a wait, of a path.
    PathWait,
    /// As events, of a path.
    PathEvents,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    /// The reader goes away.
    Left,
    Cancelled,
    Failed,
    Panicked,
    /// The reader is away for longer than its lease lasts, or its wait is over.
    Expired,
}

use End::{Cancelled, Expired, Failed, Finished, Left, Panicked};

const ENDS: [End; 6] = [Finished, Left, Cancelled, Failed, Panicked, Expired];

/// How an auditor hears of such reads.
fn reasons(way: Way, end: End) -> &'static [CloseReason] {
    let waits = matches!(way, Way::Wait | Way::PathWait);
    match end {
        Finished => &[CloseReason::Ok],
        Expired if waits => &[CloseReason::Ok],
        // It may go away while it is still let in.
        Left if waits => &[CloseReason::Disconnected, CloseReason::Error],
        Left => &[CloseReason::Disconnected],
        Cancelled => &[CloseReason::Cancelled],
        Failed => &[CloseReason::Error],
        // Whatever it was when it panicked.
        Panicked => &[CloseReason::Error, CloseReason::Disconnected],
        Expired => &[CloseReason::SnapshotExpired],
    }
}

/// A read in the library; whether it was let in.
async fn in_library(ground: &Ground, end: End) -> bool {
    let streams = ground.streams().clone();
    let id = |text: &str| text.parse().expect("an id");
    let caller = Caller::new(
        "default".parse().expect("an id"),
        "local".parse().expect("an id"),
    );
    let open = Open {
        follow: matches!(end, Left | Cancelled),
        ..Open::all(id(ground::stream(end)))
    };
    let mut reader = match streams.open(&caller, &open).await {
        Ok(reader) => reader,
        Err(StreamError::Capacity(_)) => return false,
        Err(error) => panic!("{error}"),
    };
    let env = Arc::clone(&ground.env);
    let read = tokio::spawn(async move {
        while let Some(frame) = reader.next().await? {
            match (end, frame) {
                (Left, _) => return Ok(()),
                (Cancelled, Frame::Open(opened)) => {
                    let cursor = opened.cursor.parse().expect("a cursor");
                    streams.cancel(&caller, &cursor).await?;
                }
                (Expired, _) => env.skip(),
                _ => {}
            }
        }
        Ok::<_, StreamError>(())
    });
    match (end, read.await) {
        (Finished | Left, Ok(Ok(()))) | (Panicked, Err(_)) => {}
        (Cancelled, Ok(Err(StreamError::Cancelled))) => {}
        (Failed, Ok(Err(StreamError::Store(_)))) => {}
        (Expired, Ok(Err(StreamError::Expired))) => {}
        (_, other) => panic!("{end:?}: {other:?}"),
    }
    true
}

#[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
fn opens_wanted() -> usize {
    let set = std::env::var("WINDLASS_STREAM_OPENS");
    set.map_or(2, |set| set.parse().expect("a number"))
}

/// All want to read again and again; how many were let in, and how many were
/// reading at a time at most.
async fn crowd(ground: &Arc<Ground>, way: Way, end: End) -> (usize, usize) {
    let (over, most) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let watcher = tokio::spawn({
        let (ground, over, most) = (Arc::clone(ground), Arc::clone(&over), Arc::clone(&most));
        async move {
            while !over.load(Ordering::Acquire) {
                most.fetch_max(ground.place.reading(), Ordering::AcqRel);
                tokio::task::yield_now().await;
            }
        }
    });
    let readers = (0..READERS).map(|_| {
        let ground = Arc::clone(ground);
        tokio::spawn(async move {
            let mut let_in = 0;
            for _ in 0..opens_wanted() {
                let_in += usize::from(match way {
                    Way::Library => in_library(&ground, end).await,
                    _ => over_http::read(&ground, way, end).await,
                });
            }
            let_in
        })
    });
    let mut let_in = 0;
    for reader in readers.collect::<Vec<_>>() {
        let_in += reader.await.expect("no panic");
    }
    over.store(true, Ordering::Release);
    watcher.await.expect("no panic");
    ground.place.quiet().await;
    (let_in, most.load(Ordering::Acquire))
}

/// Every end of a way in, on a ground of its own.
async fn ends_of(way: Way, ends: &[End]) {
    for end in ends {
        let ground = Arc::new(ground::new(way, *end).await);
        let (let_in, most) = crowd(&ground, way, *end).await;
        let what = format!("{way:?}, {end:?}");
        assert!(most <= SLOTS, "{what}: {most} at a time");
        assert!(let_in >= SLOTS, "{what}: {let_in} were let in");
        let (opened, closed) = ground.place.ears.heard();
        let refused = |reason: &&CloseReason| **reason == CloseReason::CapacityRefused;
        let refusals = closed.iter().filter(refused).count();
        let reads = closed.len() - refusals;
        assert!(opened <= reads, "{what}: each was closed");
        assert!(reads <= READERS * opens_wanted(), "{what}: {reads} closed");
        let expected = reasons(way, *end);
        let other = closed.iter().filter(|reason| !refused(reason));
        let other: Vec<_> = other.filter(|it| !expected.contains(it)).collect();
        assert!(other.is_empty(), "{what}: {other:?}");
        assert_eq!(ground.place.ears.unbalanced(), 0, "{what}");
    }
}

macro_rules! ways {
    ($($name:ident: $way:ident over $ends:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            ends_of(Way::$way, &$ends).await;
        }
    )*};
}

ways! {
    readers_in_the_library_never_exceed_the_slots: Library over ENDS;
    readers_of_lines_never_exceed_the_slots: Lines over ENDS;
    readers_of_events_never_exceed_the_slots: Events over ENDS;
    readers_that_wait_never_exceed_the_slots: Wait over ENDS;
    // Answered at once: there is no time to go away in.
    readers_of_a_path_never_exceed_the_slots: Path over [Finished, Failed, Panicked];
    readers_that_wait_at_a_path_never_exceed_the_slots: PathWait over ENDS;
    readers_of_events_of_a_path_never_exceed_the_slots: PathEvents over ENDS;
}

//! Many who want to read at once, in every way there is, whose reads end in
//! every way there is: never more than there are slots, and none afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use windlass::store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass::stream::{Caller, CloseReason, Frame, Open, Settings, StreamError};
use windlass::{SystemEnv, Windlass};

use super::{Ears, LINES, Place, numbers, options};
use crate::support::{Request, get, post};

const SLOTS: usize = 4;
const READERS: usize = 16;

/// A store in which the chunks of one stream are damaged, and those of another
/// make it panic.
#[derive(Debug)]
struct Mined(Arc<dyn Store>);

#[async_trait]
impl Store for Mined {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        for scan in scans {
            let key = String::from_utf8_lossy(&scan.range.start).into_owned();
            let is_chunk_of = |stream: &str| {
                key.contains("chunk")
                    && key
                        .split(|it: char| !it.is_alphanumeric())
                        .any(|it| it == stream)
            };
            assert!(!is_chunk_of("panics"), "a mine");
            if is_chunk_of("fails") {
                return Err(StoreError::new(StoreErrorKind::Corrupt, "read", "a mine"));
            }
        }
        self.0.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.0.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.0.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.0.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

async fn mined() -> Place {
    let settings = Settings {
        streams_max: SLOTS,
        principal_streams_max: SLOTS,
        ..Settings::default()
    };
    let ears = Arc::new(Ears::default());
    let location = "memory:".parse().expect("a location");
    let ground = Windlass::open(&location, windlass::Options::default()).await;
    let store = Arc::new(Mined(Arc::clone(ground.expect("a store").store())));
    let options = options(settings, &ears);
    let engine = Windlass::over(store, &options, Arc::new(SystemEnv::new()));
    let place = Place::over(engine.expect("settings"), ears).await;
    for stream in ["panics", "fails"] {
        let make = format!(r#"{{"session":"s","id":"{stream}"}}"#);
        place
            .server
            .ask(post("/v1/streams", &make))
            .await
            .expect(201);
        let path = format!("/v1/streams/{stream}/rows");
        let rows = numbers(0, 1);
        place
            .server
            .ask(post(&path, &rows).with(&LINES))
            .await
            .expect(200);
    }
    place.append(&numbers(0, 3)).await.expect(200);
    place
}

/// How a read ends.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Finished,
    Left,
    Cancelled,
    Failed,
    Panicked,
}

const ENDS: [Ends; 5] = [
    Ends::Finished,
    Ends::Left,
    Ends::Cancelled,
    Ends::Failed,
    Ends::Panicked,
];

impl Ends {
    const fn stream(self) -> &'static str {
        match self {
            Self::Failed => "fails",
            Self::Panicked => "panics",
            _ => "o",
        }
    }

    const fn follows(self) -> bool {
        matches!(self, Self::Left | Self::Cancelled)
    }
}

/// One read over HTTP; whether it was let in.
async fn over_http(place: &Place, form: usize, ends: Ends) -> bool {
    let accept = [(
        "Accept",
        ["application/x-ndjson", "text/event-stream"][form % 2],
    )];
    let is_poll = form == 2;
    let query = match (is_poll, ends.follows()) {
        (true, true) => "?wait_ms=30000&from=tail",
        (true, false) => "?wait_ms=30000",
        (false, true) => "?follow=true",
        (false, false) => "",
    };
    let path = format!("/v1/streams/{}/rows{query}", ends.stream());
    let mut connection = place.server.connect().await;
    connection.send(&get(&path).with(&accept).bytes()).await;
    if is_poll && ends.follows() {
        // Goes away while it waits, if it waits: a refusal comes at once.
        let answered = tokio::time::timeout(std::time::Duration::from_millis(5), connection.head());
        return !answered
            .await
            .is_ok_and(|head| head.is_some_and(|it| it.contains(" 503 ")));
    }
    if is_poll {
        let answer = connection.answer().await.expect("an answer");
        return answer.status != 503;
    }
    let Some(head) = connection.head().await else {
        // The connection went down with what panicked.
        assert!(matches!(ends, Ends::Panicked), "{ends:?}");
        return true;
    };
    if head.contains(" 503 ") {
        return false;
    }
    match ends {
        Ends::Left => {}
        Ends::Cancelled => {
            let open = connection.until("\"base\"").await;
            let cursor = open
                .split("\"cursor\":\"")
                .nth(1)
                .and_then(|it| it.split('"').next());
            let path = format!("/v1/streams/o/reads/{}", cursor.expect("a cursor"));
            let cancel = Request {
                method: "DELETE",
                ..get(&path)
            };
            place.server.ask(cancel).await.expect(204);
            connection.until("0\r\n\r\n").await;
        }
        Ends::Finished | Ends::Failed | Ends::Panicked => {
            connection.until("0\r\n\r\n").await;
        }
    }
    true
}

/// The same in the library.
async fn in_library(place: &Place, ends: Ends) -> bool {
    let streams = place.server.engine.streams().clone();
    let id = |text: &str| text.parse().expect("an id");
    let caller = Caller::new(
        "default".parse().expect("an id"),
        "local".parse().expect("an id"),
    );
    let open = Open {
        follow: ends.follows(),
        ..Open::all(id(ends.stream()))
    };
    let mut reader = match streams.open(&caller, &open).await {
        Ok(reader) => reader,
        Err(StreamError::Capacity(_)) => return false,
        Err(error) => panic!("{error}"),
    };
    let read = tokio::spawn(async move {
        while let Some(frame) = reader.next().await? {
            match (ends, frame) {
                (Ends::Left, _) => return Ok(()),
                (Ends::Cancelled, Frame::Open(opened)) => {
                    let cursor = opened.cursor.parse().expect("a cursor");
                    streams.cancel(&caller, &cursor).await?;
                }
                _ => {}
            }
        }
        Ok::<_, StreamError>(())
    });
    match (ends, read.await) {
        (Ends::Finished | Ends::Left, Ok(Ok(()))) | (Ends::Panicked, Err(_)) => {}
        (Ends::Cancelled, Ok(Err(StreamError::Cancelled))) => {}
        (Ends::Failed, Ok(Err(StreamError::Store(_)))) => {}
        (_, other) => panic!("{ends:?}: {other:?}"),
    }
    true
}

#[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
fn opens_wanted() -> usize {
    let set = std::env::var("WINDLASS_STREAM_OPENS");
    set.map_or(20, |set| set.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_read_than_there_are_slots_and_nobody_does_afterwards() {
    let place = Arc::new(mined().await);
    let (over, most) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let watcher = tokio::spawn({
        let (place, over, most) = (Arc::clone(&place), Arc::clone(&over), Arc::clone(&most));
        async move {
            while !over.load(Ordering::Acquire) {
                most.fetch_max(place.reading(), Ordering::AcqRel);
                tokio::task::yield_now().await;
            }
        }
    });
    let readers = (0..READERS).map(|reader| {
        let place = Arc::clone(&place);
        tokio::spawn(async move {
            let mut let_in = 0;
            for open in 0..opens_wanted() {
                let ends = ENDS[(reader + open) % ENDS.len()];
                let form = (reader / ENDS.len() + open) % 4;
                let_in += usize::from(match form {
                    3 => in_library(&place, ends).await,
                    form => over_http(&place, form, ends).await,
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
    place.quiet().await;
    let most = most.load(Ordering::Acquire);
    assert!((2..=SLOTS).contains(&most), "{most} at a time");
    assert!(let_in > READERS, "{let_in} were let in");
    let (opened, closed) = place.ears.heard();
    let refused = |reason: &&CloseReason| **reason == CloseReason::CapacityRefused;
    let refusals = closed.iter().filter(refused).count();
    assert_eq!(opened, closed.len() - refusals, "each was closed once");
    for reason in [
        CloseReason::Ok,
        CloseReason::Cancelled,
        CloseReason::Disconnected,
        CloseReason::Error,
    ] {
        assert!(closed.contains(&reason), "none ended {}", reason.name());
    }
}

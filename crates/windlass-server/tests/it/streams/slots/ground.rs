//! A server with few slots, a clock that can skip, and streams in which reads
//! fail, panic and are long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use windlass::core::{BoxFuture, Env, Millis, RandomError};
use windlass::store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass::stream::{Settings, Streams};
use windlass::{SystemEnv, Windlass};

use super::{End, SLOTS, Way};
use crate::streams::{Ears, LINES, Place, numbers, options};
use crate::support::{Request, post};

/// The stream whose reads end so.
pub(super) const fn stream(end: End) -> &'static str {
    match end {
        End::Failed => "fails",
        End::Panicked => "panics",
        End::Expired => "long",
        End::Finished => "ended",
        End::Left | End::Cancelled => "o",
    }
}

/// A store in which the chunks of some streams are damaged, and those of others
/// make it panic.
#[derive(Debug)]
struct Mined {
    ground: Arc<dyn Store>,
    /// Parts of keys, and whether to panic there.
    mines: Mutex<Vec<(String, bool)>>,
}

#[async_trait]
impl Store for Mined {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        let mines = self.mines.lock().expect("no panic").clone();
        for scan in scans {
            let key = String::from_utf8_lossy(&scan.range.start).into_owned();
            let mut met = mines.iter().filter(|(stream, _)| key.contains(stream));
            match met.next() {
                Some((_, true)) if key.contains("chunk") => panic!("a mine"),
                Some((_, false)) if key.contains("chunk") => {
                    return Err(StoreError::new(StoreErrorKind::Corrupt, "read", "a mine"));
                }
                _ => {}
            }
        }
        self.ground.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.ground.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.ground.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.ground.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.ground.close().await
    }
}

/// The system's clock, set forward whenever somebody wants that.
#[derive(Debug, Default)]
pub(super) struct Skipping {
    system: SystemEnv,
    skipped_ms: AtomicU64,
}

impl Skipping {
    /// Lets a little more time pass than a lease lasts.
    pub(super) fn skip(&self) {
        self.skipped_ms.fetch_add(61_000, Ordering::AcqRel);
    }
}

impl Env for Skipping {
    fn now(&self) -> Millis {
        let skipped = self.skipped_ms.load(Ordering::Acquire);
        self.system.now().plus_ms(skipped)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.system.random(bytes)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        self.system.sleep_until(deadline)
    }
}

pub(super) struct Ground {
    pub(super) place: Place,
    pub(super) env: Arc<Skipping>,
}

impl Ground {
    pub(super) fn streams(&self) -> &Streams {
        self.place.server.engine.streams()
    }
}

/// Where reads of `way` come to `end`.
pub(super) async fn new(way: Way, end: End) -> Ground {
    let settings = Settings {
        streams_max: SLOTS,
        principal_streams_max: SLOTS,
        ..Settings::default()
    };
    let ears = Arc::new(Ears::default());
    let location = "memory:".parse().expect("a location");
    let ground = Windlass::open(&location, windlass::Options::default()).await;
    let store = Arc::new(Mined {
        ground: Arc::clone(ground.expect("a store").store()),
        mines: Mutex::default(),
    });
    let env = Arc::new(Skipping::default());
    let options = options(settings, &ears);
    let engine = Windlass::over(Arc::clone(&store) as _, &options, Arc::clone(&env) as _);
    let engine = engine.expect("settings");
    let place = Place::patient(engine, ears, wait_ms(end)).await;
    let name = match way {
        Way::Path | Way::PathWait | Way::PathEvents => make_path(&place, end).await,
        _ => make_stream(&place, end).await,
    };
    let mined = matches!(end, End::Failed | End::Panicked);
    let mine = mined.then_some((name, end == End::Panicked));
    store.mines.lock().expect("no panic").extend(mine);
    Ground { place, env }
}

/// For how long who waits may wait, in milliseconds.
pub(super) const fn wait_ms(end: End) -> u64 {
    match end {
        End::Expired => 5,
        _ => 20_000,
    }
}

/// Rows, and more of them where the reader is to be cut off amid them: more
/// than the system takes for one that takes nothing.
fn rows(end: End) -> String {
    match end {
        End::Expired => {
            let row = format!("{{\"row\":\"{}\"}}\n", "x".repeat(10_000));
            row.repeat(150)
        }
        _ => numbers(0, 3),
    }
}

async fn make_stream(place: &Place, end: End) -> String {
    let name = stream(end);
    let path = format!("/v1/streams/{name}");
    if name != "o" {
        let make = format!(r#"{{"session":"s","id":"{name}"}}"#);
        let made = place.server.ask(post("/v1/streams", &make));
        made.await.expect(201);
    }
    let rows = rows(end);
    let append = format!("{path}/rows");
    let appended = place.server.ask(post(&append, &rows).with(&LINES));
    appended.await.expect(200);
    if end == End::Finished {
        let close = format!("{path}/close");
        place.server.ask(post(&close, "{}")).await.expect(200);
    }
    name.to_owned()
}

async fn make_path(place: &Place, end: End) -> String {
    let path = format!("/durable/v1/stream/{}", stream(end));
    let text = [("Content-Type", "text/plain")];
    let closed = [text[0], ("Stream-Closed", "true")];
    let ask = |method, headers, body| {
        let request = Request {
            method,
            ..post(&path, body)
        };
        place.server.ask(request.with(headers))
    };
    ask("PUT", &text, "").await.expect(201);
    let rows = rows(end);
    for part in rows.as_bytes().chunks(100_000) {
        let part = str::from_utf8(part).expect("text");
        ask("POST", &text, part).await.expect(204);
    }
    if end == End::Finished {
        ask("POST", &closed, "").await.expect(204);
    }
    let caller = windlass::stream::Caller::new(
        "default".parse().expect("an id"),
        "local".parse().expect("an id"),
    );
    let durable = place.server.engine.streams().durable();
    let path = stream(end).parse().expect("a path");
    let view = durable.show(&caller, &path).await.expect("there");
    view.stream.to_string()
}

//! Whether a refusal tells by its time that there is something: the same call
//! is made for what is somebody else's and for what is nobody's, in turns, and
//! the times are compared.
//!
//! Told apart are two kinds of calls if their medians differ by more than a
//! tenth, or by more than 2 µs where that is more: a read of the store that only
//! one of them makes, or a return before it, is several times that. A network
//! hides hundreds of times as much. The medians of many calls in turns do not
//! move when the machine is busy, as both kinds are hit alike.
//!
//! Only a long run judges times; a short one compares what was said, and what
//! was asked of the store.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use windlass::store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};
use windlass::stream::{
    Caller, Cursor, Ending, Frame, NewStream, Open, Path, Row, StreamError, Wanted,
};
use windlass::{Options, SystemEnv, Windlass};

use crate::place::Place;

/// Fewest calls of each kind whose times are judged.
const JUDGED_MIN: usize = 2_000;

/// What differs less is the same.
const DIFFERENCE_MIN: Duration = Duration::from_micros(2);

#[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
fn calls_wanted() -> usize {
    let set = std::env::var("WINDLASS_STREAM_TIMINGS");
    set.map_or(40, |set| set.parse().unwrap())
}

/// A call that can be made for several things.
#[derive(Clone, Copy, Debug)]
enum Call {
    Show,
    Open,
    Follow,
    Append,
    Close,
    Remove,
    ShowCursor,
    Resume,
    Cancel,
    ShowPath,
    ReadPath,
}

const CALLS: [Call; 11] = [
    Call::Show,
    Call::Open,
    Call::Follow,
    Call::Append,
    Call::Close,
    Call::Remove,
    Call::ShowCursor,
    Call::Resume,
    Call::Cancel,
    Call::ShowPath,
    Call::ReadPath,
];

/// What is asked for.
struct Thing {
    stream: &'static str,
    cursor: Cursor,
    path: Path,
}

/// Two tenants; `ann` has a stream, a cursor and a path, and `bob`, her
/// neighbour, asks.
struct World {
    engine: Windlass,
    bob: Caller,
    foreign: Thing,
    unknown: Thing,
}

fn caller(principal: &str) -> Caller {
    Caller::new("acme".parse().unwrap(), principal.parse().unwrap())
}

impl World {
    async fn new(engine: Windlass) -> Self {
        let (ann, bob) = (caller("ann"), caller("bob"));
        let streams = engine.streams();
        let new = NewStream {
            id: Some("there".parse().unwrap()),
            ..NewStream::of("s".parse().unwrap())
        };
        let mut writer = streams.create(&ann, &new).await.unwrap();
        writer.append(&Row::json("1").unwrap()).await.unwrap();
        writer.flush().await.unwrap();
        let path: Path = "there".parse().unwrap();
        let wanted = Wanted {
            content_type: Some("text/plain".parse().unwrap()),
            ..Wanted::default()
        };
        let durable = streams.durable();
        durable.put(&ann, &path, &wanted).await.unwrap();
        let open = Open::all("there".parse().unwrap());
        let mut reader = streams.open(&ann, &open).await.unwrap();
        let Some(Frame::Open(opened)) = reader.next().await.unwrap() else {
            panic!("it begins with what was opened");
        };
        let cursor: Cursor = opened.cursor.parse().unwrap();
        let unknown: String = opened.cursor.chars().rev().collect();
        Self {
            bob,
            foreign: Thing {
                stream: "there",
                cursor,
                path,
            },
            unknown: Thing {
                stream: "where",
                cursor: unknown.parse().unwrap(),
                path: "where".parse().unwrap(),
            },
            engine,
        }
    }

    /// What is said to who asks for a thing that is none of his.
    async fn refusal(&self, call: Call, thing: &Thing) -> StreamError {
        let (streams, bob) = (self.engine.streams(), &self.bob);
        let id = thing.stream.parse().unwrap();
        let refused = match call {
            Call::Show => streams.show(bob, &id).await.map(drop),
            Call::Open => streams.open(bob, &Open::all(id)).await.map(drop),
            Call::Follow => {
                let follow = true;
                let open = Open {
                    follow,
                    ..Open::all(id)
                };
                streams.open(bob, &open).await.map(drop)
            }
            Call::Append => streams.writer(bob, &id).await.map(drop),
            Call::Close => streams.close(bob, &id, Ending::Finished).await.map(drop),
            Call::Remove => streams.remove(bob, &id).await.map(drop),
            Call::ShowCursor => streams.cursor(bob, &thing.cursor).await.map(drop),
            Call::Resume => streams.resume(bob, &thing.cursor, None).await.map(drop),
            Call::Cancel => streams.cancel(bob, &thing.cursor).await,
            Call::ShowPath => streams.durable().show(bob, &thing.path).await.map(drop),
            Call::ReadPath => {
                let from = windlass::stream::From::Start;
                let durable = streams.durable();
                durable.read(bob, &thing.path, from, 1_000).await.map(drop)
            }
        };
        refused.expect_err("it is none of his")
    }

    #[expect(clippy::disallowed_methods, reason = "times are what this is about")]
    async fn timed(&self, call: Call, thing: &Thing) -> (Duration, String) {
        let began = Instant::now();
        let refusal = self.refusal(call, thing).await;
        (began.elapsed(), format!("{refusal:?}"))
    }
}

/// The middle one.
fn median(mut times: Vec<Duration>) -> Duration {
    let middle = times.len() / 2;
    *times.select_nth_unstable(middle).1
}

/// By how much two kinds of calls may differ that take so long.
fn allowed(one: Duration, other: Duration) -> Duration {
    DIFFERENCE_MIN.max(one.min(other) / 10)
}

/// Makes the calls in turns; whatever tells them apart.
async fn told_apart(world: &World, call: Call) -> Option<String> {
    let (mut foreign, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..calls_wanted() {
        // Whoever comes first changes, so that none has it warmer.
        let things = match number % 2 == 0 {
            true => [&world.foreign, &world.unknown],
            false => [&world.unknown, &world.foreign],
        };
        let mut said = Vec::new();
        for thing in things {
            let (time, word) = world.timed(call, thing).await;
            said.push(word);
            match std::ptr::eq(thing, &raw const world.foreign) {
                true => foreign.push(time),
                false => unknown.push(time),
            }
        }
        if said[0] != said[1] {
            return Some(format!("{call:?}: {said:?}"));
        }
    }
    let judged = foreign.len() >= JUDGED_MIN;
    let (foreign, unknown) = (median(foreign), median(unknown));
    let differ = foreign.abs_diff(unknown) > allowed(foreign, unknown);
    (judged && differ).then(|| format!("{call:?}: {foreign:?} if foreign, {unknown:?} if unknown"))
}

async fn tell_apart(scheme: &str) {
    let place = Place::new(scheme);
    let world = World::new(place.open().await).await;
    let mut told = Vec::new();
    for call in CALLS {
        // Once more, if it was by chance.
        if told_apart(&world, call).await.is_some() {
            told.extend(told_apart(&world, call).await);
        }
    }
    assert!(told.is_empty(), "{scheme}: {told:#?}");
}

#[tokio::test]
async fn a_refusal_in_memory_does_not_tell_what_is_somebody_else_s() {
    tell_apart("memory").await;
}

#[tokio::test]
async fn a_refusal_of_sqlite_does_not_tell_what_is_somebody_else_s() {
    tell_apart("sqlite").await;
}

/// A store that notes what it is asked: how many scans at a time, and 0 for a
/// commit.
#[derive(Debug)]
struct Noting(Arc<dyn Store>, Mutex<Vec<usize>>);

#[async_trait]
impl Store for Noting {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.1.lock().unwrap().push(scans.len());
        self.0.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.1.lock().unwrap().push(0);
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

#[tokio::test]
async fn the_same_is_asked_of_the_store_for_what_is_foreign_and_for_what_is_unknown() {
    let ground = Place::new("memory").open().await;
    let store = Arc::new(Noting(Arc::clone(ground.store()), Mutex::default()));
    let env = Arc::new(SystemEnv::new());
    let engine = Windlass::over(Arc::clone(&store) as _, &Options::default(), env).unwrap();
    let world = World::new(engine).await;
    for call in CALLS {
        let mut asked = Vec::new();
        for thing in [&world.foreign, &world.unknown] {
            store.1.lock().unwrap().clear();
            world.refusal(call, thing).await;
            asked.push(store.1.lock().unwrap().clone());
        }
        assert_eq!(asked[0], asked[1], "{call:?}");
        assert!(!asked[0].is_empty(), "{call:?} asks nobody");
    }
}

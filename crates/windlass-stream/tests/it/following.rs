//! Many who follow one stream: one of them watches for all.

use std::cell::OnceCell;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::{Either, join_all, select};
use windlass_core::Coded;
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Faulty, Slow, Verb};
use windlass_stream::{Ending, Frame, Offset, Open, Reader, Settings, StreamWriter, Streams};

use crate::clocks::Frozen;
use crate::support::{World, caller, new, number, rows_of, stream};

const MANY: usize = 50;

/// A world in which hints alone wake anybody, over a wrapper of its ground.
fn frozen<S: windlass_store::Store>(wrap: impl FnOnce(Arc<MemoryStore>) -> Arc<S>) -> World {
    let mut world = World::new();
    let settings = Settings {
        principal_streams_max: MANY + 9,
        ..Settings::default()
    };
    let frozen = Arc::new(Frozen(Arc::clone(&world.env)));
    let store = wrap(Arc::clone(&world.ground));
    let streams = Streams::new(store, frozen, &settings);
    world.streams = streams.expect("settings in range");
    world
}

/// Somebody who follows `out` and was told where it begins.
async fn follower(world: &World) -> Reader {
    let open = Open {
        follow: true,
        ..Open::all(stream("out"))
    };
    let mut reader = world.streams.open(&caller(), &open).await.expect("there");
    reader.next().await.expect("works");
    reader
}

async fn followers(world: &World) -> Vec<Reader> {
    let mut all = Vec::new();
    for _ in 0..MANY {
        all.push(follower(world).await);
    }
    all
}

async fn append(writer: &mut StreamWriter, count: u64) {
    writer.append(&number(count)).await.expect("taken");
    writer.flush().await.expect("stored");
}

/// What comes of `work`, which must not wait for what never comes.
async fn lively<T>(work: impl Future<Output = T>) -> T {
    let patience = Box::pin(async {
        for _ in 0..100_000 {
            tokio::task::yield_now().await;
        }
    });
    match select(Box::pin(work), patience).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => panic!("somebody was forgotten"),
    }
}

/// Lets all readers wait until somebody wakes them.
async fn wait_all(all: &mut [Reader], meanwhile: impl Future<Output = ()>) -> Vec<Frame> {
    let reads = join_all(all.iter_mut().map(Reader::next));
    let meanwhile = async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        meanwhile.await;
    };
    let (frames, ()) = lively(async { tokio::join!(reads, meanwhile) }).await;
    let frames = frames.into_iter().map(|frame| frame.expect("works"));
    frames.map(|frame| frame.expect("not the end")).collect()
}

#[tokio::test]
async fn however_many_follow_one_of_them_looks_at_what_is_new() {
    let faulty = OnceCell::new();
    let world = frozen(|ground| {
        let wrapped = Arc::new(Faulty::new(ground));
        faulty.set(Arc::clone(&wrapped)).expect("once");
        wrapped
    });
    let faulty = faulty.get().expect("set");
    let mut writer = world.filled(0, 0).await;
    let mut all = followers(&world).await;
    // The first time, each has looked for itself before it sat down.
    let first = wait_all(&mut all, append(&mut writer, 0)).await;
    assert_eq!(first.len(), MANY);
    let before = faulty.calls(Some(Verb::Read));
    let second = wait_all(&mut all, append(&mut writer, 1)).await;
    for frame in second {
        assert_eq!(rows_of(Some(frame)), [number(1)]);
    }
    let reads = faulty.calls(Some(Verb::Read)) - before;
    let chunks = u64::try_from(MANY).expect("few");
    assert_eq!(reads, chunks + 1, "a chunk each, and one head for all");
}

#[tokio::test]
async fn all_who_wait_are_told_of_the_end() {
    let world = frozen(|ground| ground);
    let mut writer = world.filled(0, 0).await;
    let mut all = followers(&world).await;
    let closing = async {
        writer.close(Ending::Finished).await.expect("open");
    };
    for frame in wait_all(&mut all, closing).await {
        assert!(matches!(frame, Frame::End(_)), "{frame:?}");
    }
}

#[tokio::test]
async fn when_who_watches_stops_waiting_another_one_takes_over() {
    let world = frozen(|ground| ground);
    let mut writer = world.filled(0, 0).await;
    let mut all = followers(&world).await;
    let mut watch = all.remove(0);
    let mut rest = all;
    let leaving = Box::pin(async move {
        let patience = async {
            for _ in 0..9 {
                tokio::task::yield_now().await;
            }
        };
        if let Either::Left((early, _)) = select(Box::pin(watch.next()), Box::pin(patience)).await {
            panic!("{early:?}");
        }
        // It is there still, and does not ask.
        watch
    });
    // The first that waits is the one that watches.
    let meanwhile = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        append(&mut writer, 0).await;
    };
    let waiting = Box::pin(wait_all(&mut rest, meanwhile));
    let (watch, frames) = tokio::join!(leaving, waiting);
    assert_eq!(frames.len(), MANY - 1);
    drop(watch);
}

#[tokio::test]
async fn who_watches_may_leave_at_any_moment_and_nobody_is_forgotten() {
    for seed in 0..300 {
        let world = frozen(|ground| Arc::new(Slow::new(ground, seed)));
        let mut writer = world.filled(0, 0).await;
        let mut rest = [follower(&world).await, follower(&world).await];
        let mut watch = follower(&world).await;
        let turns = seed % 30;
        let leaving = Box::pin(async {
            let patience = Box::pin(async {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            });
            drop(select(Box::pin(watch.next()), patience).await);
            drop(watch);
        });
        let waiting = Box::pin(wait_all(&mut rest, append(&mut writer, 0)));
        let ((), frames) = lively(async { tokio::join!(leaving, waiting) }).await;
        assert_eq!(frames.len(), 2, "seed {seed}");
    }
}

#[tokio::test]
async fn a_follower_is_not_given_rows_of_another_stream_of_the_same_name() {
    let world = frozen(|ground| ground);
    world.filled(1, 1).await;
    let mut reader = follower(&world).await;
    reader.next().await.expect("the first row");
    let replacing = async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let (who, name) = (caller(), stream("out"));
        world.streams.remove(&who, &name).await.expect("hers");
        world.env.advance_ms(1);
        let again = world.streams.create(&who, &new("out")).await;
        let mut writer = again.expect("a name that is free");
        for count in 7..9 {
            append(&mut writer, count).await;
        }
        assert_eq!(writer.flushed().flushes, 2);
        let view = world.streams.show(&who, &name).await.expect("there");
        assert_eq!(view.tail, Offset::new(2));
    };
    let (read, ()) = lively(async { tokio::join!(reader.next(), replacing) }).await;
    assert_eq!(read.expect_err("it is gone").code(), "not_found");
}

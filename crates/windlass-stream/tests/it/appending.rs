//! What is appended is stored once, whatever becomes of a commit.

use std::cell::OnceCell;
use std::sync::Arc;

use async_trait::async_trait;
use proptest::prelude::*;
use windlass_core::{Coded, ErrorKind, StreamId};
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Fault, Faulty, Moment, Strict, StrictOptions, Verb};
use windlass_stream::{
    Ending, Expiry, NewStream, Offset, Reason, Row, RowError, Settings, Start, StreamError,
};

use crate::support::{
    Client, START, World, caller, caller_of, new, number, row, session, stream, text,
};

/// Everything there is, proven.
async fn received(world: &World) -> Vec<String> {
    let mut client = Client::new();
    client.take(&world.body(Start::Earliest).await);
    assert!(client.ended, "{client:?}");
    client.proven.iter().map(text).collect()
}

fn up_to(count: u64) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn rows_are_seen_once_they_are_flushed_and_not_before() {
    let world = World::new();
    let mut writer = world.create().await;
    writer.append(&number(0)).await.expect("taken");
    assert_eq!(received(&world).await, up_to(0));
    assert_eq!(writer.held_rows(), 1);
    let placed = writer.flush().await.expect("stored");
    assert_eq!((placed.first, placed.tail), (Offset::START, Offset::new(1)));
    assert_eq!((received(&world).await, writer.held_rows()), (up_to(1), 0));
}

#[tokio::test]
async fn a_flush_without_rows_writes_nothing() {
    let world = World::new();
    let mut writer = world.filled(1, 2).await;
    let before = world.rows().await;
    let placed = writer.flush().await.expect("nothing to do");
    assert_eq!(placed.tail, Offset::new(2));
    assert_eq!(world.rows().await, before);
}

#[tokio::test]
async fn a_chunk_is_one_row_of_the_store_under_its_first_offset() {
    let world = World::new();
    let mut writer = world.filled(2, 3).await;
    writer.close(Ending::Finished).await.expect("open");
    let expected = [
        "acme/stream/out/chunk/00000000000000000000",
        "acme/stream/out/chunk/00000000000000000003",
        "acme/stream/out/floor",
        "acme/stream/out/head",
        "acme/streams/s1/out",
    ];
    assert_eq!(world.keys().await, expected);
}

#[tokio::test]
async fn a_chunk_is_stored_as_it_is_sent() {
    let world = World::new();
    let writer = world.filled(1, 2).await;
    let digest = writer.flushed();
    assert_eq!((digest.rows, digest.last), (2, Some(Reason::End)));
    let rows = world.rows().await;
    let stored = text(&rows[0].value);
    let lines: Vec<&str> = stored.split_inclusive('\n').collect();
    assert_eq!(lines[..2], ["{\"row\":0}\n", "{\"row\":1}\n"]);
    assert!(lines[2].starts_with("{\"mark\":{\"offset\":\"0000000000000002\",\"digest\":\""));
    let body = String::from_utf8(world.body(Start::Earliest).await).expect("text");
    assert!(body.contains(&stored), "{body}");
}

#[tokio::test]
async fn what_is_closed_takes_no_row_ever_again() {
    let world = World::new();
    let mut other = world.filled(1, 1).await;
    world
        .streams
        .close(&caller(), &stream("out"), Ending::Finished)
        .await
        .expect("open");
    other.append(&number(1)).await.expect("not yet known");
    let refused = other.flush().await.expect_err("closed");
    assert_eq!(refused.code(), "stream_closed");
    let again = world.streams.writer(&caller(), &stream("out")).await;
    assert_eq!(again.expect_err("closed").code(), "stream_closed");
    assert_eq!(received(&world).await, up_to(1));
}

#[tokio::test]
async fn closing_stores_what_is_held_in_the_same_commit() {
    let world = World::new();
    let mut writer = world.create().await;
    writer.append(&number(0)).await.expect("taken");
    let placed = writer.close(Ending::Finished).await.expect("open");
    assert_eq!(placed.tail, Offset::new(1));
    let view = world.streams.show(&caller(), &stream("out")).await;
    let view = view.expect("a stream");
    assert_eq!(view.closed.expect("closed").how, Ending::Finished);
    assert_eq!(
        (view.tail, view.bytes, view.created),
        (placed.tail, 10, START)
    );
}

#[tokio::test]
async fn rows_that_are_none_are_refused_and_the_writer_goes_on() {
    let world = World::new();
    let mut writer = world.create().await;
    let wrong = Row::Json("{".into());
    let refused = writer.append(&wrong).await.expect_err("no JSON");
    assert!(!refused.taken, "{refused:?}");
    assert_eq!(refused.code(), "invalid_row");
    assert!(
        matches!(refused.error, StreamError::Row(RowError::NotJson)),
        "{refused:?}"
    );
    writer.append(&number(0)).await.expect("taken");
    writer.flush().await.expect("stored");
    assert_eq!(received(&world).await, up_to(1));
}

#[tokio::test]
async fn two_writers_of_one_stream_take_turns_chunk_by_chunk() {
    let world = World::new();
    let mut one = world.create().await;
    let mut two = world
        .streams
        .writer(&caller(), &stream("out"))
        .await
        .expect("open");
    for number_of in 0..6 {
        let writer = if number_of % 2 == 0 {
            &mut one
        } else {
            &mut two
        };
        writer.append(&number(number_of)).await.expect("taken");
        let placed = writer.flush().await.expect("stored");
        assert_eq!(placed.first, Offset::new(number_of));
    }
    assert_eq!(received(&world).await, up_to(6));
}

/// Appends three chunks and closes; what fails is tried again, and what the
/// writer has is not given to it twice.
async fn persist(world: &World) {
    let mut tries = 0;
    let mut writer = loop {
        tries += 1;
        match world.streams.create(&caller(), &new("out")).await {
            Ok(writer) => break writer,
            Err(StreamError::Exists) => {
                match world.streams.writer(&caller(), &stream("out")).await {
                    Ok(writer) => break writer,
                    Err(error) => assert!(passes(&error), "{error:?}"),
                }
            }
            Err(error) => assert!(passes(&error), "{error:?}"),
        }
        assert!(tries < 50, "it never comes to an end");
    };
    for count in 0..6 {
        while let Err(error) = writer.append(&number(count)).await {
            assert!(passes(&error.error), "{error:?}");
            if error.taken {
                break;
            }
        }
    }
    while let Err(error) = writer.close(Ending::Finished).await {
        assert!(passes(&error), "{error:?}");
    }
}

/// Whether trying again is the remedy.
fn passes(error: &StreamError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Indeterminate
    )
}

fn two_rows() -> Settings {
    Settings {
        chunk_rows: 2,
        ..Settings::default()
    }
}

#[tokio::test]
async fn any_one_call_of_the_store_may_fail_in_any_way_and_rows_are_stored_once() {
    for verb in [Verb::Read, Verb::Commit] {
        for number in 1..40 {
            for (moment, kind) in [
                (Moment::Before, StoreErrorKind::Unavailable),
                (Moment::Before, StoreErrorKind::Indeterminate),
                (Moment::After, StoreErrorKind::Indeterminate),
            ] {
                let faulty = OnceCell::new();
                let world = World::over(&two_rows(), |ground| {
                    let wrapped = Arc::new(Faulty::new(ground));
                    faulty.set(Arc::clone(&wrapped)).expect("once");
                    wrapped
                });
                let faulty = faulty.get().expect("set");
                faulty.plan(Fault {
                    verb: Some(verb),
                    number,
                    moment,
                    kind,
                });
                persist(&world).await;
                let hits = faulty.hits();
                let received = received(&world.calm()).await;
                assert_eq!(received, up_to(6), "{verb:?} {number} {moment:?} {kind:?}");
                if hits == 0 {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_store_worse_than_any_real_one_gets_each_row_once() {
    let world = World::over(&two_rows(), |ground| {
        Arc::new(Strict::new(ground, StrictOptions::ALL))
    });
    persist(&world).await;
    assert_eq!(received(&world.calm()).await, up_to(6));
}

/// A store whose answer to a commit comes a while after it was applied.
#[derive(Debug)]
struct Late(Arc<MemoryStore>);

#[async_trait]
impl Store for Late {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.0.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let answer = self.0.commit(batch).await;
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        answer
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

/// Polls a future so many times, then gives it up.
async fn give_up<F: Future>(future: F, polls: usize) {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        future.as_mut().poll(context).map(drop)
    })
    .await;
}

#[tokio::test]
async fn futures_that_are_dropped_lose_no_row_and_write_none_twice() {
    for polls in 0..12 {
        let world = World::over(&two_rows(), |ground| Arc::new(Late(ground)));
        let mut writer = world.create().await;
        for count in 0..6 {
            writer.append(&number(count)).await.expect("taken");
            if count % 2 == 0 {
                give_up(writer.flush(), polls).await;
            }
        }
        give_up(writer.close(Ending::Finished), polls).await;
        match writer.close(Ending::Finished).await {
            Ok(_) => {}
            // The one before came to its end.
            Err(error) => assert_eq!((error.code(), polls > 3), ("stream_closed", true)),
        }
        assert_eq!(received(&world).await, up_to(6), "{polls} polls");
    }
}

#[tokio::test]
async fn a_foreign_stream_is_answered_like_one_that_does_not_exist() {
    let world = World::new();
    world.filled(1, 1).await;
    for stranger in [caller_of("acme", "bob"), caller_of("other", "ann")] {
        let shown = world.streams.show(&stranger, &stream("out")).await;
        let none = world.streams.show(&stranger, &stream("none")).await;
        let [shown, none] = [shown, none].map(|it| format!("{:?}", it.expect_err("not theirs")));
        assert_eq!(shown, none);
        let writer = world.streams.writer(&stranger, &stream("out")).await;
        assert_eq!(writer.expect_err("not theirs").code(), "not_found");
        let open = windlass_stream::Open::all(stream("out"));
        let reader = world.streams.open(&stranger, &open).await;
        assert_eq!(reader.expect_err("not theirs").code(), "not_found");
    }
}

#[tokio::test]
async fn names_are_taken_within_a_tenant_or_drawn() {
    let world = World::new();
    world.create().await;
    let bob = caller_of("acme", "bob");
    let taken = world.streams.create(&bob, &new("out")).await;
    assert_eq!(taken.expect_err("ann's").code(), "stream_exists");
    let elsewhere = caller_of("other", "ann");
    world
        .streams
        .create(&elsewhere, &new("out"))
        .await
        .expect("free there");
    let drawn = NewStream::of(session("s1"));
    let drawn = world
        .streams
        .create(&caller(), &drawn)
        .await
        .expect("a new name");
    assert_eq!(drawn.stream().as_str().len(), 36, "a UUID");
    let all = world.streams.list(&caller(), &session("s1"), None, 9).await;
    let all = all.expect("a list").streams;
    assert_eq!(all, [drawn.stream().clone(), stream("out")]);
}

#[tokio::test]
async fn a_session_s_streams_are_listed_page_by_page() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world
            .streams
            .create(&caller(), &new(name))
            .await
            .expect("new");
    }
    let mut after: Option<StreamId> = None;
    let mut seen = Vec::new();
    loop {
        let page = world
            .streams
            .list(&caller(), &session("s1"), after.as_ref(), 2)
            .await;
        let page = page.expect("a list");
        after = page.streams.last().cloned();
        seen.extend(page.streams);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c"].map(stream));
}

#[tokio::test]
async fn a_stream_expires_after_its_last_change_to_the_millisecond() {
    let world = World::new();
    let fleeting = NewStream {
        expiry: Expiry::IdleMs(1_000),
        ..new("out")
    };
    let mut writer = world
        .streams
        .create(&caller(), &fleeting)
        .await
        .expect("new");
    world.env.advance_ms(999);
    writer.append(&row("1")).await.expect("taken");
    writer.flush().await.expect("in time");
    world.env.advance_ms(999);
    world
        .streams
        .show(&caller(), &stream("out"))
        .await
        .expect("in time");
    world.env.advance_ms(1);
    let late = world.streams.show(&caller(), &stream("out")).await;
    assert_eq!(late.expect_err("too late").code(), "expired");
    let never = NewStream {
        expiry: Expiry::IdleMs(0),
        ..new("x")
    };
    let never = world.streams.create(&caller(), &never).await;
    assert_eq!(never.expect_err("no time at all").code(), "invalid_request");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_the_caps_the_rows_are_the_same(
        rows in prop::collection::vec("[a-z]{0,40}", 1..40),
        pages in 0_usize..3,
        most in 1_usize..20,
    ) {
        let settings = Settings { chunk_pages: pages, chunk_rows: most, ..Settings::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let seen = runtime.block_on(async {
            let world = World::with(&settings);
            let mut writer = world.create().await;
            for text in &rows {
                writer.append(&Row::Bytes(text.clone().into())).await.expect("taken");
            }
            writer.flush().await.expect("stored");
            received(&world).await
        });
        prop_assert_eq!(seen, rows);
    }
}

#[tokio::test]
async fn a_writer_in_doubt_is_told_what_it_stored_though_the_stream_has_expired() {
    for moment in [Moment::Before, Moment::After] {
        let faulty = OnceCell::new();
        let world = World::over(&Settings::default(), |ground| {
            let wrapped = Arc::new(Faulty::new(ground));
            faulty.set(Arc::clone(&wrapped)).expect("once");
            wrapped
        });
        let faulty: &Arc<Faulty<MemoryStore>> = faulty.get().expect("set");
        let fleeting = NewStream {
            expiry: Expiry::IdleMs(1_000),
            ..new("out")
        };
        let made = world.streams.create(&caller(), &fleeting).await;
        let mut writer = made.expect("a new name");
        writer.append(&number(0)).await.expect("taken");
        // The commit, and the read that would have told what became of it.
        let plan = |verb, kind, moment| {
            let number = faulty.calls(Some(verb)) + 1;
            faulty.plan(Fault {
                verb: Some(verb),
                number,
                moment,
                kind,
            });
        };
        plan(Verb::Commit, StoreErrorKind::Indeterminate, moment);
        plan(Verb::Read, StoreErrorKind::Unavailable, Moment::Before);
        let refused = writer.flush().await.expect_err("nothing is known");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        world.env.advance_ms(1_000);
        match (moment, writer.flush().await) {
            (Moment::After, placed) => {
                assert_eq!(placed.expect("stored in time").tail, Offset::new(1));
            }
            (_, refused) => assert_eq!(refused.expect_err("too late").code(), "expired"),
        }
    }
}

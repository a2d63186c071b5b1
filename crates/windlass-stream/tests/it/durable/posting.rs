//! What is appended, is appended once, and in order.

use std::sync::Arc;
use std::time::Duration;

use windlass_core::{Coded, ErrorKind};
use windlass_store_testing::{Slow, Strict, StrictOptions};
use windlass_stream::{Capacity, From, Post, Settings};

use super::{Desk, by, of, path, post, text};
use crate::support::{World, caller, caller_of};

#[tokio::test]
async fn a_producer_s_retry_appends_once_whatever_the_store_answers() {
    let world = World::over(&Settings::default(), |ground| {
        Arc::new(Strict::new(ground, StrictOptions::ALL))
    });
    let calm = world.calm();
    let (rough, desk) = (Desk::new(&world), Desk::new(&calm));
    desk.made("a/b", &[]).await;
    let mut retries = 0;
    for number in 0..100 {
        let append = by(number / 10, number % 10, &format!("{number};"));
        while let Err(error) = rough.post("a/b", &append).await {
            let kind = error.kind();
            let passing = matches!(kind, ErrorKind::Unavailable | ErrorKind::Indeterminate);
            assert!(passing, "{number}: {error:?}");
            retries += 1;
        }
    }
    assert!(retries > 10, "answers were lost: {retries}");
    let expected: String = (0..100).map(|number| format!("{number};")).collect();
    assert_eq!(desk.body("a/b").await, expected);
}

#[tokio::test]
async fn without_a_producer_an_answer_that_was_lost_is_found_out() {
    let options = StrictOptions {
        indeterminate_every: 2,
        ..StrictOptions::WITHOUT_ERRORS
    };
    let world = World::over(&Settings::default(), |ground| {
        Arc::new(Strict::new(ground, options))
    });
    let desk = Desk::new(&world);
    for stream in ["x", "y", "z"] {
        let put = desk.put(stream, &text()).await.expect("a free path");
        assert!(put.created, "{stream}");
        for number in 0..20 {
            let posted = desk.post(stream, &post(&format!("{number};"))).await;
            let posted = posted.unwrap_or_else(|error| panic!("{number}: {error:?}"));
            assert_eq!((posted.tail.number(), posted.repeated), (number + 1, false));
        }
    }
}

#[tokio::test]
async fn appends_of_one_producer_at_the_same_time_take_effect_once() {
    for seed in 0..50 {
        let world = World::over(&Settings::default(), |ground| {
            Arc::new(Slow::new(ground, seed))
        });
        let desk = Desk::new(&world);
        desk.made("a", &[]).await;
        let append = by(0, 0, "once");
        let (left, right) = tokio::join!(desk.post("a", &append), desk.post("a", &append));
        let mut repeated = [left, right].map(|posted| posted.expect("one of them").repeated);
        repeated.sort_unstable();
        assert_eq!(repeated, [false, true], "seed {seed}");
        assert_eq!(desk.body("a").await, "once", "seed {seed}");
    }
}

#[tokio::test]
async fn epochs_and_gaps_are_refused_with_what_is_due() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("a", &[]).await;
    for (append, expected) in [
        (by(1, 0, "x"), Ok((false, Some(0)))),
        (by(1, 1, "y"), Ok((false, Some(1)))),
        (by(1, 0, "x"), Ok((true, Some(1)))),
        (
            by(0, 2, "z"),
            Err("the producer's epoch has passed; the stream is at epoch 1"),
        ),
        (
            by(1, 3, "z"),
            Err("the producer's append 2 is missing before 3"),
        ),
        (
            by(2, 1, "z"),
            Err("`producer number` is not 0 in a new epoch"),
        ),
    ] {
        let posted = desk.post("a", &append).await;
        let posted = posted.map(|posted| (posted.repeated, posted.number));
        let posted = posted.map_err(|error| error.to_string());
        assert_eq!(posted, expected.map_err(str::to_owned), "{append:?}");
    }
    assert_eq!(desk.body("a").await, "xy");
}

#[tokio::test]
async fn the_append_that_closed_a_stream_is_a_repetition_and_no_other_is() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("a", &[]).await;
    let first = by(0, 0, "first;");
    desk.post("a", &first).await.expect("open");
    let last = Post {
        close: true,
        ..by(0, 1, "last")
    };
    let closed = desk.post("a", &last).await.expect("open");
    assert_eq!((closed.closed, closed.repeated), (true, false));
    let again = desk.post("a", &last).await.expect("a repetition");
    assert_eq!(
        (again.closed, again.repeated, again.tail.number()),
        (true, true, 2)
    );
    let close_only = Post {
        close: true,
        ..Post::default()
    };
    let again = desk.post("a", &close_only).await.expect("closed is closed");
    assert!(again.closed && again.repeated, "{again:?}");
    for refused in [
        first,
        by(0, 2, "more"),
        post("more"),
        Post {
            close: true,
            ..post("more")
        },
    ] {
        let error = desk.post("a", &refused).await.expect_err("closed");
        assert_eq!(error.code(), "stream_closed", "{refused:?}");
    }
    let piece = desk.piece("a", From::Start).await.expect("readable");
    assert!(piece.is_end(), "{piece:?}");
    assert_eq!(desk.body("a").await, "first;last");
}

#[tokio::test]
async fn a_writer_s_sequence_only_grows_and_is_noted_with_the_rows() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("a", &[]).await;
    for (sequence, taken) in [
        ("09", true),
        ("10", true),
        ("10", false),
        ("0a", false),
        ("2", true),
    ] {
        let append = Post {
            sequence: Some(sequence.into()),
            ..post(&format!("{sequence};"))
        };
        let code = desk.post("a", &append).await.map_err(|error| error.code());
        let expected = if taken {
            Ok(())
        } else {
            Err("writer_sequence_regressed")
        };
        assert_eq!(code.map(drop), expected, "{sequence}");
    }
    assert_eq!(desk.body("a").await, "09;10;2;");
}

#[tokio::test]
async fn a_path_is_of_its_principal_and_keeps_its_attributes() {
    let world = World::new();
    let desk = Desk::new(&world);
    let made = desk.put("p", &of("Application/JSON; charset=utf-8")).await;
    assert!(made.expect("a free path").created);
    let again = desk.put("p", &of("application/json")).await.expect("there");
    assert!(!again.created, "{again:?}");
    let other = desk.put("p", &text()).await.expect_err("another type");
    assert_eq!(other.code(), "stream_differs");
    let wrong = desk.post("p", &post("{}")).await.expect_err("another type");
    assert_eq!(wrong.code(), "content_type_mismatch");
    let bob = caller_of("acme", "bob");
    for code in [
        world
            .streams
            .durable()
            .show(&bob, &path("p"))
            .await
            .map(drop),
        world
            .streams
            .durable()
            .post(&bob, &path("p"), &post("x"))
            .await
            .map(drop),
        world.streams.durable().remove(&bob, &path("p")).await,
    ] {
        assert_eq!(code.expect_err("foreign").code(), "not_found");
    }
    let his = world.streams.durable().put(&bob, &path("p"), &text()).await;
    assert!(his.expect("free for him").created);
}

#[tokio::test]
async fn a_live_reader_holds_a_slot_and_gets_what_comes() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("a", &["x"]).await;
    let live = desk.streams.live(&caller(), &path("a"), From::Now).await;
    let mut live = live.expect("a slot");
    assert_eq!(world.streams.occupancy().all, 1);
    let none = live.next(100, Duration::ZERO).await.expect("nothing yet");
    assert!(none.rows.is_empty() && none.is_up_to_date(), "{none:?}");
    desk.post("a", &post("y")).await.expect("open");
    let some = live.next(100, Duration::ZERO).await.expect("a row");
    assert_eq!(
        some.rows
            .iter()
            .map(|row| &row.content()[..])
            .collect::<Vec<_>>(),
        [b"y"]
    );
    desk.post(
        "a",
        &Post {
            close: true,
            ..Post::default()
        },
    )
    .await
    .expect("open");
    let end = live.next(100, Duration::ZERO).await.expect("the end");
    assert!(end.is_end(), "{end:?}");
    drop(live);
    assert_eq!(world.streams.occupancy(), Capacity::new().occupancy());
    let words = world.heard.words();
    assert_eq!(words, ["stream.opened 1", "stream.closed ok 1"]);
}

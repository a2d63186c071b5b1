//! Rows that are sent are seen by nobody before they are all there.

use std::sync::Arc;

use windlass_core::{Coded, Env};
use windlass_store_testing::{Strict, StrictOptions};
use windlass_stream::limits::{INPUT_MS, TOMBSTONE_MS};
use windlass_stream::{
    Expiry, InputId, InputState, NewInput, Offset, RowsHasher, Settings, StreamError,
};

use super::{Desk, by, path, post, text};
use crate::support::{World, caller};

fn input(target: &str, verified: bool) -> NewInput {
    NewInput {
        target: path(target),
        content_type: text().content_type,
        expiry: Expiry::Never,
        verified,
    }
}

fn digest(rows: &[&str]) -> String {
    let mut hasher = RowsHasher::new();
    rows.iter().for_each(|row| hasher.row(row.as_bytes()));
    hasher.finish().to_string()
}

/// An input with these rows.
async fn sent(desk: &Desk, target: &str, rows: &[&str]) -> InputId {
    let opened = desk
        .streams
        .open_input(&caller(), &input(target, true), None)
        .await;
    let id = opened.expect("a free path").id;
    for row in rows {
        let sent = desk.streams.append_input(&caller(), &id, &post(row)).await;
        sent.expect("an open input");
    }
    id
}

async fn finish(desk: &Desk, id: &InputId, digest: Option<&str>) -> Result<u64, String> {
    let finished = desk.streams.finish_input(&caller(), id, digest).await;
    let tail = finished.map(|view| view.tail.number());
    tail.map_err(|error| format!("{}: {error}", error.code()))
}

#[tokio::test]
async fn an_input_is_seen_when_it_is_verified_and_not_before() {
    let world = World::new();
    let desk = Desk::new(&world);
    let rows = ["a", "b", "c"];
    let id = sent(&desk, "out", &rows).await;
    assert_eq!(desk.shown("out").await, Err("not_found"));
    let missing = finish(&desk, &id, None).await.expect_err("no digest");
    assert!(missing.starts_with("integrity_missing_digest"), "{missing}");
    let invalid = finish(&desk, &id, Some("abc"))
        .await
        .expect_err("no digest");
    assert!(invalid.starts_with("invalid_request"), "{invalid}");
    assert_eq!(desk.shown("out").await, Err("not_found"));
    for _ in 0..2 {
        assert_eq!(finish(&desk, &id, Some(&digest(&rows))).await, Ok(3));
    }
    assert_eq!(desk.body("out").await, "abc");
    let late = desk.streams.append_input(&caller(), &id, &post("d")).await;
    assert_eq!(late.expect_err("ended").code(), "stream_closed");
    world.env.advance_ms(INPUT_MS + TOMBSTONE_MS);
    world.streams.sweep(100).await.expect("a store that works");
    assert_eq!(desk.body("out").await, "abc");
    desk.remove("out").await.expect("there");
    world.streams.sweep(100).await.expect("a store that works");
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn rows_that_are_not_what_was_sent_are_withdrawn_and_no_others() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.made("other", &["x"]).await;
    let bad = sent(&desk, "out", &["a", "b"]).await;
    let good = sent(&desk, "out", &["a", "c"]).await;
    let expected = digest(&["a", "c"]);
    for _ in 0..2 {
        let failed = desk
            .streams
            .finish_input(&caller(), &bad, Some(&expected))
            .await;
        let words = failed.expect_err("other rows").to_string();
        let all = "the rows from `0000000000000000` to `0000000000000002` are not what was \
                   sent, and are withdrawn";
        assert_eq!(words, all);
    }
    let more = desk.streams.append_input(&caller(), &bad, &post("d")).await;
    assert_eq!(more.expect_err("withdrawn").code(), "stream_closed");
    assert_eq!(desk.shown("out").await, Err("not_found"));
    assert_eq!(finish(&desk, &good, Some(&expected)).await, Ok(2));
    assert_eq!(
        (desk.body("out").await, desk.body("other").await),
        ("ac".into(), "x".into())
    );
    world.env.advance_ms(INPUT_MS + INPUT_MS / 8 + TOMBSTONE_MS);
    world.streams.sweep(100).await.expect("a store that works");
    for name in ["out", "other"] {
        desk.remove(name).await.expect("there");
    }
    world.streams.sweep(100).await.expect("a store that works");
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_input_takes_no_path_that_is_taken() {
    let world = World::new();
    let desk = Desk::new(&world);
    let id = sent(&desk, "out", &["a"]).await;
    desk.made("out", &["x"]).await;
    let taken = finish(&desk, &id, Some(&digest(&["a"]))).await;
    let taken = taken.expect_err("taken");
    assert!(taken.starts_with("stream_exists"), "{taken}");
    let taken = desk
        .streams
        .open_input(&caller(), &input("out", false), None)
        .await;
    assert_eq!(taken.expect_err("taken").code(), "stream_exists");
    assert_eq!(desk.body("out").await, "x");
    desk.remove("out").await.expect("there");
    assert_eq!(finish(&desk, &id, Some(&digest(&["a"]))).await, Ok(1));
    let unknown = "00000000-0000-0000-0000-000000000000"
        .parse()
        .expect("a name");
    assert_eq!(
        finish(&desk, &unknown, None)
            .await
            .expect_err("none")
            .split(':')
            .next(),
        Some("not_found")
    );
    let gone = sent(&desk, "more", &["a"]).await;
    desk.streams
        .drop_input(&caller(), &gone)
        .await
        .expect("there");
    assert_eq!(
        desk.streams
            .drop_input(&caller(), &gone)
            .await
            .expect_err("gone")
            .code(),
        "not_found"
    );
}

#[tokio::test]
async fn an_input_is_sent_once_whatever_the_store_answers() {
    let world = World::over(&Settings::default(), |ground| {
        Arc::new(Strict::new(ground, StrictOptions::ALL))
    });
    let calm = world.calm();
    let (rough, desk) = (Desk::new(&world), Desk::new(&calm));
    for round in 0..20 {
        let target = format!("out{round}");
        let id = sent(&desk, &target, &[]).await;
        let rows: Vec<String> = (0..5).map(|row| format!("{round}.{row};")).collect();
        for (number, row) in (0..).zip(&rows) {
            let append = by(0, number, row);
            while rough
                .streams
                .append_input(&caller(), &id, &append)
                .await
                .is_err()
            {}
        }
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        while finish(&rough, &id, Some(&digest(&rows))).await.is_err() {}
        assert_eq!(desk.body(&target).await, rows.concat());
    }
}

#[tokio::test]
async fn an_input_that_is_begun_again_under_its_operation_id_is_the_same_one() {
    let world = World::new();
    let desk = Desk::new(&world);
    let operation = "op-1".parse().expect("an identifier");
    let begin = async |new: &NewInput| {
        let by = caller();
        desk.streams.open_input(&by, new, Some(&operation)).await
    };
    let new = input("out", true);
    let id = begin(&new).await.expect("a free path").id;
    let sent = desk.streams.append_input(&caller(), &id, &post("a")).await;
    sent.expect("an open input");
    let again = begin(&new).await.expect("the same");
    assert_eq!((&again.id, again.tail), (&id, Offset::new(1)));
    for other in [input("other", true), input("out", false)] {
        let refused = begin(&other).await.expect_err("another request");
        assert_eq!(refused.code(), "operation_conflict");
    }
    let finished = finish(&desk, &id, Some(&digest(&["a"]))).await;
    assert_eq!(finished, Ok(1));
    // Its own path is taken by itself, and no reason to refuse.
    let again = begin(&new).await.expect("the same");
    assert_eq!((&again.id, again.state), (&id, InputState::Finished));
    let bob = crate::support::caller_of("acme", "bob");
    let foreign = desk.streams.open_input(&bob, &new, Some(&operation)).await;
    assert_ne!(foreign.expect("his own").id, id);
}

#[tokio::test]
async fn an_input_shows_how_far_it_is_and_what_became_of_it() {
    let world = World::new();
    let desk = Desk::new(&world);
    let id = sent(&desk, "out", &["a", "b"]).await;
    let show = async || desk.streams.show_input(&caller(), &id).await;
    let open = show().await.expect("there");
    assert_eq!((open.target.as_str(), open.tail), ("out", Offset::new(2)));
    let InputState::Open { verified, expires } = open.state else {
        panic!("{open:?}")
    };
    let left = expires.expect("a day").since(world.env.now());
    assert!(verified && left >= INPUT_MS, "{left}");
    let wrong = finish(&desk, &id, Some(&digest(&["a"]))).await;
    wrong.expect_err("it has another row");
    let InputState::Withdrawn(why) = show().await.expect("there").state else {
        panic!("it is withdrawn")
    };
    assert_eq!(
        (&*why.expected, &*why.actual, why.tail),
        (&*digest(&["a"]), &*digest(&["a", "b"]), Offset::new(2))
    );
    let bob = crate::support::caller_of("acme", "bob");
    let foreign = desk.streams.show_input(&bob, &id).await;
    let foreign = foreign.expect_err("not his");
    assert!(matches!(foreign, StreamError::NotFound), "{foreign:?}");
}

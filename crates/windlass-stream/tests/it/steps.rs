//! Changes in one commit: under an operation id, and as a part of another.

use std::cell::OnceCell;
use std::sync::Arc;

use windlass_core::{Coded, ErrorKind, OperationId};
use windlass_store::{Batch, Commit, Store, StoreErrorKind};
use windlass_store_testing::{Fault, Faulty, Moment, Slow, Verb};
use windlass_stream::limits::OPERATION_MS;
use windlass_stream::{
    Applied, Ending, Made, NewStream, Offset, Planned, Row, Settings, Start, Step, StreamError,
};

use crate::support::{Client, World, caller, caller_of, new, number, session, stream, text};

fn operation(name: &str) -> OperationId {
    name.parse().expect("an identifier")
}

fn numbers(numbers: std::ops::Range<u64>) -> Step {
    Step::append(stream("out"), numbers.map(number).collect())
}

async fn apply(world: &World, step: &Step, name: &str) -> Result<Applied, StreamError> {
    let id = operation(name);
    world.streams.apply(&caller(), step, Some(&id)).await
}

async fn plan(world: &World, steps: &[Step]) -> Planned {
    let planned = world.streams.plan(&caller(), steps).await;
    planned.expect("steps that can be made")
}

/// All rows there are, proven.
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
async fn what_is_planned_is_there_once_somebody_commits_it() {
    let world = World::new();
    world.filled(1, 1).await;
    world
        .streams
        .create(&caller(), &new("log"))
        .await
        .expect("new");
    let before = world.rows().await;
    let end = Step {
        close: Some(Ending::Finished),
        ..numbers(1..3)
    };
    let beside = Step::append(stream("log"), vec![number(7)]);
    let planned = plan(&world, &[end, beside]).await;
    assert_eq!(world.rows().await, before);
    let tails: Vec<_> = planned.placed.iter().map(|it| it.tail).collect();
    assert_eq!(tails, [3, 1].map(Offset::new));
    let batch = planned.batch.put("acme/another/part", "its row");
    let done = world.ground.commit(batch).await.expect("works");
    assert!(matches!(done, Commit::Applied(_)), "{done:?}");
    assert_eq!(received(&world).await, up_to(3));
    let view = world.streams.show(&caller(), &stream("out")).await;
    let view = view.expect("there");
    assert_eq!(view.closed.expect("closed").how, Ending::Finished);
    assert_eq!(view.digest, planned.placed[0].digest);
}

#[tokio::test]
async fn a_writer_goes_on_behind_what_a_turn_has_appended() {
    let world = World::new();
    let mut writer = world.filled(1, 1).await;
    writer.append(&number(2)).await.expect("taken");
    let planned = plan(&world, &[numbers(1..2)]).await;
    let done = world.ground.commit(planned.batch).await.expect("works");
    assert!(matches!(done, Commit::Applied(_)), "{done:?}");
    let placed = writer.flush().await.expect("stored behind it");
    assert_eq!(placed.first, Offset::new(2));
    assert_eq!(received(&world).await, up_to(3));
}

#[tokio::test]
async fn a_writer_of_a_stream_that_a_turn_has_closed_is_told() {
    let world = World::new();
    let mut writer = world.filled(1, 1).await;
    writer.append(&number(1)).await.expect("taken");
    let close = Step::close(stream("out"), Ending::Finished);
    let planned = plan(&world, std::slice::from_ref(&close)).await;
    let done = world.ground.commit(planned.batch).await.expect("works");
    assert!(matches!(done, Commit::Applied(_)), "{done:?}");
    let refused = writer.flush().await.expect_err("closed");
    assert_eq!(refused.code(), "stream_closed");
    let refused = world.streams.plan(&caller(), &[close]).await;
    assert_eq!(refused.expect_err("closed").code(), "stream_closed");
    assert_eq!(received(&world).await, up_to(1));
}

#[tokio::test]
async fn what_is_planned_conflicts_with_what_was_appended_meanwhile() {
    let world = World::new();
    let mut writer = world.filled(1, 1).await;
    let planned = plan(&world, &[numbers(1..2)]).await;
    writer.append(&number(1)).await.expect("taken");
    writer.flush().await.expect("stored");
    let after = world.rows().await;
    let done = world.ground.commit(planned.batch).await.expect("works");
    assert!(matches!(done, Commit::Conflict { .. }), "{done:?}");
    assert_eq!(world.rows().await, after);
}

#[tokio::test]
async fn steps_that_cannot_be_made_are_refused_whole() {
    let world = World::new();
    world.filled(1, 1).await;
    let long = Row::json(format!("\"{}\"", "x".repeat(600_000))).expect("JSON");
    let cases = [
        (vec![numbers(0..0)], "invalid_request"),
        (vec![numbers(0..1), numbers(1..2)], "invalid_request"),
        (
            vec![Step::append(stream("no"), vec![number(0)])],
            "not_found",
        ),
        (
            vec![Step::append(stream("out"), vec![long.clone(), long])],
            "invalid_request",
        ),
        (
            vec![Step::append(stream("out"), vec![Row::Json("{".into())])],
            "invalid_row",
        ),
    ];
    for (steps, code) in cases {
        let refused = world.streams.plan(&caller(), &steps).await;
        assert_eq!(refused.expect_err("refused").code(), code, "{steps:?}");
    }
    let (bob, steps) = (caller_of("acme", "bob"), [numbers(0..1)]);
    let refused = world.streams.plan(&bob, &steps).await;
    assert_eq!(refused.expect_err("not his").code(), "not_found");
}

#[test]
fn steps_have_the_same_fingerprint_only_if_they_ask_the_same() {
    let text = Step::append(stream("out"), vec![Row::Bytes("1".into())]);
    let steps = [
        numbers(0..1),
        numbers(0..2),
        text,
        Step::append(stream("log"), vec![number(0)]),
        Step::close(stream("out"), Ending::Finished),
        Step::close(stream("out"), Ending::Cancelled),
    ];
    for (one, step) in steps.iter().enumerate() {
        for (other, twin) in steps.iter().enumerate() {
            let same = step.fingerprint() == twin.fingerprint();
            assert_eq!(same, one == other, "{step:?} {twin:?}");
        }
    }
}

#[tokio::test]
async fn many_rows_in_one_commit_keep_the_size_of_chunks() {
    let settings = Settings {
        chunk_rows: 3,
        ..Settings::default()
    };
    let world = World::with(&settings);
    world.create().await;
    let applied = world.streams.apply(&caller(), &numbers(0..7), None).await;
    let applied = applied.expect("one commit");
    assert_eq!(applied.placed.tail, Offset::new(7));
    let chunks = world.keys().await;
    let chunks = chunks.iter().filter(|key| key.contains("/chunk/"));
    assert_eq!(chunks.count(), 3);
    assert_eq!(received(&world).await, up_to(7));
}

#[tokio::test]
async fn what_is_asked_twice_under_one_id_takes_effect_once() {
    let world = World::new();
    world.create().await;
    let first = apply(&world, &numbers(0..2), "a").await.expect("appended");
    assert!(!first.repeated, "{first:?}");
    world.env.advance_ms(OPERATION_MS - 1);
    apply(&world, &numbers(2..3), "b").await.expect("appended");
    let again = apply(&world, &numbers(0..2), "a").await.expect("repeated");
    assert_eq!((again.placed, again.repeated), (first.placed, true));
    assert_eq!(received(&world).await, up_to(3));
    let other = apply(&world, &numbers(0..3), "a").await;
    assert_eq!(other.expect_err("another").code(), "operation_conflict");
}

#[tokio::test]
async fn a_stream_that_was_closed_under_an_id_is_closed_by_it_again() {
    let world = World::new();
    world.filled(1, 1).await;
    let close = Step::close(stream("out"), Ending::Finished);
    let first = apply(&world, &close, "a").await.expect("closed");
    let again = apply(&world, &close, "a").await.expect("closed by it");
    assert_eq!((again.placed, again.repeated), (first.placed, true));
    let other = apply(&world, &close, "b").await;
    assert_eq!(other.expect_err("closed before").code(), "stream_closed");
    world
        .streams
        .remove(&caller(), &stream("out"))
        .await
        .expect("there");
    let gone = apply(&world, &close, "a").await.expect("closed by it");
    assert_eq!(gone, again);
}

#[tokio::test]
async fn a_stream_that_was_made_under_an_id_has_the_same_drawn_name() {
    let world = World::new();
    let unnamed = NewStream::of(session("s1"));
    let (who, id) = (caller(), operation("a"));
    let made = world.streams.make(&who, &unnamed, Some(&id)).await;
    let made = made.expect("new");
    let again = world.streams.make(&who, &unnamed, Some(&id)).await;
    let expected = Made {
        repeated: true,
        ..made.clone()
    };
    assert_eq!(again.expect("the same"), expected);
    let other = world.streams.make(&who, &new("out"), Some(&id)).await;
    assert_eq!(other.expect_err("another").code(), "operation_conflict");
    let bob = caller_of("acme", "bob");
    let his = world.streams.make(&bob, &unnamed, Some(&id)).await;
    assert_ne!(his.expect("an id of his own").stream, made.stream);
    let listed = world.streams.list(&who, &session("s1"), None, 9).await;
    assert_eq!(listed.expect("a list").streams.len(), 2);
}

#[tokio::test]
async fn an_operation_id_is_forgotten_after_a_day_and_leaves_nothing() {
    let world = World::new();
    world.filled(1, 1).await;
    let without = world.rows().await.len();
    apply(&world, &numbers(1..2), "a").await.expect("appended");
    assert_eq!(world.rows().await.len(), without + 3);
    world.env.advance_ms(OPERATION_MS - 1);
    let early = world.streams.sweep(10).await.expect("works");
    assert_eq!((early.scanned, early.operations_removed), (0, 0));
    world.env.advance_ms(1);
    let swept = world.streams.sweep(10).await.expect("works");
    assert_eq!((swept.scanned, swept.operations_removed), (1, 1));
    assert_eq!(world.rows().await.len(), without + 1);
    let anew = apply(&world, &numbers(2..4), "a").await.expect("free");
    assert!(!anew.repeated, "{anew:?}");
}

#[tokio::test]
async fn an_operation_whose_outcome_is_unknown_is_done_once() {
    for moment in [Moment::Before, Moment::After] {
        let faulty = OnceCell::new();
        let world = World::over(&Settings::default(), |ground| {
            let wrapped = Arc::new(Faulty::new(ground));
            faulty.set(Arc::clone(&wrapped)).expect("once");
            wrapped
        });
        world.create().await;
        let faulty = faulty.get().expect("set");
        for number_of in 0..8 {
            faulty.plan(Fault {
                verb: Some(Verb::Commit),
                number: faulty.calls(Some(Verb::Commit)) + 1,
                moment,
                kind: StoreErrorKind::Indeterminate,
            });
            let rows = numbers(number_of..number_of + 1);
            let name = format!("op-{number_of}");
            while let Err(error) = apply(&world, &rows, &name).await {
                assert_eq!(error.kind(), ErrorKind::Indeterminate);
            }
        }
        assert_eq!(faulty.hits(), 8);
        assert_eq!(received(&world).await, up_to(8));
    }
}

/// Two who make the same stream under one id, the outcome of the first commit
/// being unknown; how many of them say that they did it.
async fn makers(seed: u64, moment: Moment) -> usize {
    let world = World::over(&Settings::default(), |ground| {
        let faulty = Faulty::new(Arc::new(Slow::new(ground, seed)));
        faulty.plan(Fault {
            verb: Some(Verb::Commit),
            number: 1,
            moment,
            kind: StoreErrorKind::Indeterminate,
        });
        Arc::new(faulty)
    });
    let (who, id, out) = (caller(), operation("a"), new("out"));
    let make = || world.streams.make(&who, &out, Some(&id));
    let (one, two) = tokio::join!(make(), make());
    let made = [one.expect("made"), two.expect("made")];
    made.iter().filter(|made| !made.repeated).count()
}

#[tokio::test]
async fn of_two_that_make_a_stream_under_one_id_one_did_it_whatever_was_unknown() {
    for seed in 0..100 {
        for moment in [Moment::Before, Moment::After] {
            assert_eq!(makers(seed, moment).await, 1, "seed {seed}, {moment:?}");
        }
    }
}

#[tokio::test]
async fn of_two_that_ask_at_the_same_time_under_one_id_one_takes_effect() {
    for seed in 0..100 {
        let world = World::over(&Settings::default(), |ground| {
            Arc::new(Slow::new(ground, seed))
        });
        world.create().await;
        let end = Step {
            close: Some(Ending::Finished),
            ..numbers(0..1)
        };
        let (one, two) = tokio::join!(apply(&world, &end, "a"), apply(&world, &end, "a"));
        let (one, two) = (one.expect("done"), two.expect("done"));
        assert_eq!(two.placed, one.placed, "seed {seed}");
        assert_ne!(
            two.repeated, one.repeated,
            "seed {seed}: one of them did it"
        );
        assert_eq!(received(&world).await, up_to(1), "seed {seed}");
        let made = NewStream::of(session("s2"));
        let (who, id) = (caller(), operation("b"));
        let make = || world.streams.make(&who, &made, Some(&id));
        let (one, two) = tokio::join!(make(), make());
        let (one, two) = (one.expect("made").stream, two.expect("made").stream);
        assert_eq!(one, two, "seed {seed}");
    }
}

#[tokio::test]
async fn a_batch_of_nothing_is_planned_from_no_steps() {
    let world = World::new();
    assert_eq!(plan(&world, &[]).await.batch, Batch::new());
}

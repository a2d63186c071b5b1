//! What is stored, row by row: the layout that was released is read, and what
//! is written today is the same.

use windlass_queue::{Backoff, Delivery, Failure, Payload, Settle, Slot, State, Under, Work};
use windlass_store::key::segments;

use crate::support::{
    START, TTL, World, acquire, caller, job, names, session, settle, text, try_push, under,
};

/// One row a line: the key, and the value as text.
const LAYOUT: &str = include_str!("../fixtures/layout-1.ndjson");

/// A little of everything.
async fn world() -> World {
    let world = World::new();
    let full = Work {
        payloads: vec![
            Payload::json("step", &Some("search")).expect("JSON"),
            Payload::json("nothing", &()).expect("JSON"),
            Payload::bytes("image", &b"\x89PNG"[..]),
        ],
        delivery: Delivery::EarliestBoundary,
        slot: Slot::Exclusive,
        merge_key: Some("chat".into()),
        priority: 9,
        available_at: Some(START.plus_ms(TTL)),
        source_key: Some("hook/1".into()),
        attempts_max: 3,
        backoff: Backoff {
            first_ms: 500,
            max_ms: 60_000,
        },
    };
    let keyed = Work {
        source_key: Some("hook/2".into()),
        ..job("b")
    };
    let work = vec![full, job("a"), keyed, job("c"), job("d")];
    try_push(&world.queue, "s1", work, under("push-1"))
        .await
        .expect("new");
    let claim = world.take(3).await;
    let some = Settle {
        complete: vec![claim.work[1].id],
        fail: vec![Failure {
            fatal: true,
            reason: Some("broken".into()),
            ..Failure::new(claim.work[2].id)
        }],
        ..Settle::nothing(claim.token)
    };
    settle(&world.queue, &session("s1"), some)
        .await
        .expect("held");
    acquire(&world.queue, "s1", "w1", TTL).await.expect("free");
    world
}

async fn rows(world: &World) -> Vec<(String, String)> {
    let rows = world.rows().await;
    rows.iter()
        .map(|row| (text(&row.key), text(&row.value)))
        .collect()
}

fn parse(layout: &str) -> Vec<(String, String)> {
    let row = |line: &str| serde_json::from_str(line).expect("a key and a value");
    layout.lines().map(row).collect()
}

#[tokio::test]
async fn what_is_written_today_is_the_released_layout() {
    let written = rows(&world().await).await;
    let lines = written
        .iter()
        .map(|row| serde_json::to_string(row).expect("text"));
    assert_eq!(lines.collect::<Vec<_>>().join("\n"), LAYOUT.trim_end());
    for (key, _) in &written {
        assert!(segments(key.as_bytes()).is_some(), "{key}");
    }
}

#[tokio::test]
async fn the_released_layout_is_read_and_worked_on() {
    let world = World::new();
    for (key, value) in parse(LAYOUT) {
        world.put(&key, value).await;
    }
    assert_eq!(
        world.list(State::Dead).await[0].reason.as_deref(),
        Some("broken")
    );
    assert_eq!(world.list(State::Claimed).await.len(), 1);
    assert_eq!(world.list(State::Pending).await.len(), 2);
    let again = try_push(&world.queue, "s1", vec![job("x")], under("push-1")).await;
    assert_eq!(crate::support::code(again), "operation_conflict");
    world.env.advance_ms(TTL);
    let first = world.take(9).await;
    let work = &first.work[0];
    assert_eq!(
        (work.payloads.len(), work.priority, work.attempts_max),
        (3, 9, 3)
    );
    assert_eq!(
        work.payloads[1].parse::<Option<u8>>().expect("a null"),
        None
    );
    assert_eq!(work.payloads[2], Payload::bytes("image", &b"\x89PNG"[..]));
    world.complete(&first).await.expect("held");
    assert_eq!(names(&world.take(9).await), ["a", "d"]);
    let lease = world.queue.lease(&caller(), &session("s1")).await;
    assert_eq!(lease.expect("readable"), None, "it ran out");
    let known = Work {
        source_key: Some("hook/2".into()),
        ..job("b")
    };
    let known = try_push(&world.queue, "s1", vec![known], Under::NOTHING).await;
    assert!(
        known.expect("the first")[0].known,
        "finished, and remembered"
    );
}

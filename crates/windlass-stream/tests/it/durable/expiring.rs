//! Streams that go by themselves.

use std::time::Duration;
use windlass_core::Env;

use windlass_core::Millis;
use windlass_stream::limits::TOMBSTONE_MS;
use windlass_stream::{Expiry, From, Wanted};

use super::{Desk, fork, path, post, text};
use crate::support::{World, caller};

fn sliding(ms: u64) -> Wanted {
    Wanted {
        expiry: Expiry::SlidingMs(ms),
        ..text()
    }
}

#[tokio::test]
async fn a_stream_that_is_read_within_its_time_never_expires_and_few_reads_are_noted() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.put("a", &sliding(8_000)).await.expect("free");
    let mut noted = 0;
    for step in 0..200 {
        world.env.advance_ms([100, 500, 1_000, 7_999][step % 4]);
        let before = world.rows().await;
        desk.piece("a", From::Now).await.expect("read in time");
        noted += usize::from(world.rows().await != before);
    }
    assert_eq!(
        noted, 100,
        "one of two reads is within an eighth of the time"
    );
    desk.piece("a", From::Now).await.expect("read in time");
    world.env.advance_ms(8_999);
    assert_eq!(desk.shown("a").await, Ok(0), "an eighth longer at most");
    world.env.advance_ms(1);
    assert_eq!(desk.shown("a").await, Err("not_found"));
    assert_eq!(desk.body("a").await, "not_found");
}

#[tokio::test]
async fn to_look_at_a_stream_is_not_to_read_it_and_a_row_is_a_use() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.put("looked", &sliding(8_000)).await.expect("free");
    desk.put("written", &sliding(8_000)).await.expect("free");
    world.env.advance_ms(7_000);
    assert_eq!(desk.shown("looked").await, Ok(0));
    desk.post("written", &post("x")).await.expect("open");
    world.env.advance_ms(7_000);
    assert_eq!(desk.shown("looked").await, Err("not_found"));
    assert_eq!(desk.shown("written").await, Ok(1));
}

#[tokio::test]
async fn who_waits_for_rows_keeps_the_stream() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.put("a", &sliding(8_000)).await.expect("free");
    let live = desk.streams.live(&caller(), &path("a"), From::Now).await;
    let mut live = live.expect("a slot");
    for _ in 0..20 {
        live.next(100, Duration::ZERO).await.expect("there");
        world.env.advance_ms(4_000);
    }
    assert_eq!(desk.shown("a").await, Ok(0));
}

#[tokio::test]
async fn a_path_whose_stream_has_expired_is_free_and_upkeep_takes_the_rows() {
    let world = World::new();
    let desk = Desk::new(&world);
    desk.put("a", &sliding(1_000)).await.expect("free");
    desk.post("a", &post("old")).await.expect("open");
    world.env.advance_ms(60_000);
    let made = desk
        .put("a", &sliding(600_000_000))
        .await
        .expect("free again");
    assert!(made.created, "{made:?}");
    desk.post("a", &post("new")).await.expect("open");
    world.env.advance_ms(TOMBSTONE_MS);
    let swept = world.streams.sweep(100).await.expect("a store that works");
    assert_eq!((swept.streams_removed, swept.unreadable), (1, Vec::new()));
    assert_eq!(desk.body("a").await, "new");
    desk.remove("a").await.expect("there");
    world.streams.sweep(100).await.expect("a store that works");
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_fork_goes_when_its_source_would_unless_it_says_otherwise_and_outlives_it() {
    let world = World::new();
    let desk = Desk::new(&world);
    let at = world.env.now().plus_ms(5_000);
    let source = Wanted {
        expiry: Expiry::At(at),
        body: "x".into(),
        ..text()
    };
    desk.put("a", &source).await.expect("free");
    let own = Wanted {
        expiry: Expiry::At(Millis::new(at.get() + 10 * TOMBSTONE_MS)),
        ..fork("a", None, 0)
    };
    desk.put("longer", &own).await.expect("a fork");
    let inherited = desk.put("same", &fork("a", None, 0)).await.expect("a fork");
    assert_eq!(inherited.view.expiry, Expiry::At(at));
    let again = desk.put("same", &fork("a", None, 0)).await.expect("there");
    assert!(!again.created, "{again:?}");
    world.env.advance_ms(5_000);
    for name in ["a", "same"] {
        assert_eq!(desk.shown(name).await, Err("not_found"), "{name}");
    }
    for _ in 0..3 {
        world.env.advance_ms(TOMBSTONE_MS);
        world.streams.sweep(100).await.expect("a store that works");
    }
    assert_eq!(desk.body("longer").await, "x");
    let anew = desk.put("a", &text()).await.expect("free again");
    assert!(anew.created, "{anew:?}");
    desk.remove("a").await.expect("there");
    world.env.advance_ms(12 * TOMBSTONE_MS);
    world.streams.sweep(100).await.expect("a store that works");
    world.streams.sweep(100).await.expect("a store that works");
    assert_eq!(world.keys().await, Vec::<String>::new());
}

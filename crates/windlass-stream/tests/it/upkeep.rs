//! Trimming under readers, and nothing that stays for ever.

use windlass_core::{Coded, Env};
use windlass_stream::limits::TOMBSTONE_MS;
use windlass_stream::{
    Ending, Expiry, NewStream, Occupancy, Offset, Open, Start, StreamError, SweepReport, Trimmed,
};

use crate::cursors::{left, opened};
use crate::support::{
    START, World, caller, caller_of, new, number, read_all, rows_of, session, stream,
};

async fn trim(world: &World, before: u64) -> Trimmed {
    let before = Offset::new(before);
    let trimmed = world.streams.trim(&caller(), &stream("out"), before).await;
    trimmed.expect("within the stream")
}

async fn sweep(world: &World) -> SweepReport {
    let report = world
        .streams
        .sweep(1_000)
        .await
        .expect("a store that works");
    assert_eq!(report.unreadable, []);
    report
}

/// The numbers of the chunks that are stored.
async fn chunks(world: &World) -> Vec<u64> {
    let keys = world.keys().await;
    let chunks = keys
        .iter()
        .filter_map(|key| key.strip_prefix("acme/stream/out/chunk/"));
    chunks
        .map(|number| number.parse().expect("a number"))
        .collect()
}

fn trimmed(earliest: u64, kept: u64, chunks_removed: u64) -> Trimmed {
    Trimmed {
        earliest: Offset::new(earliest),
        kept: Offset::new(kept),
        chunks_removed,
    }
}

#[tokio::test]
async fn trimming_gives_up_whole_chunks_and_leaves_the_digests_as_they_were() {
    let world = World::new();
    world.filled(4, 2).await;
    let mut before = Vec::new();
    for start in 4..=8 {
        before.push(
            world
                .open(Start::At(Offset::new(start), None))
                .await
                .expect("kept"),
        );
    }
    drop(before.drain(..));
    world.env.advance_ms(100_000);
    assert_eq!(trim(&world, 5).await, trimmed(4, 4, 2));
    assert_eq!(chunks(&world).await, [4, 6]);
    assert_eq!(trim(&world, 3).await, trimmed(4, 4, 0), "never back");
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let first = opened(&mut reader).await;
    assert_eq!(first.start, Offset::new(4));
    let start = Start::At(first.start, Some(first.digest));
    drop(world.open(start).await.expect("proven"));
    let gap = world
        .open(Start::At(Offset::new(3), None))
        .await
        .expect_err("given up");
    let earliest = Offset::new(4);
    assert!(
        matches!(gap, StreamError::Gap { earliest: it } if it == earliest),
        "{gap:?}"
    );
    drop(reader);
    world.env.advance_ms(100_000);
    assert_eq!(trim(&world, 8).await, trimmed(8, 8, 2));
    let all = world.body(Start::Earliest).await;
    assert!(all.ends_with(b"\"closed\":false}}\n"), "{all:?}");
    let beyond = world
        .streams
        .trim(&caller(), &stream("out"), Offset::new(9))
        .await;
    assert_eq!(beyond.expect_err("not there").code(), "offset_beyond_tail");
    let foreign = caller_of("acme", "bob");
    let foreign = world
        .streams
        .trim(&foreign, &stream("out"), Offset::new(8))
        .await;
    assert_eq!(foreign.expect_err("not his").code(), "not_found");
}

#[tokio::test]
async fn what_somebody_reads_is_kept_until_the_cursor_has_expired() {
    let world = World::new();
    world.filled(4, 2).await;
    let mut reader = world
        .open(Start::At(Offset::new(3), None))
        .await
        .expect("there");
    let cursor = opened(&mut reader).await.cursor.parse().expect("a cursor");
    assert_eq!(
        trim(&world, 8).await,
        trimmed(8, 2, 1),
        "the chunk that 3 is in"
    );
    assert_eq!(chunks(&world).await, [2, 4, 6]);
    let gap = world.open(Start::At(Offset::new(3), None)).await;
    assert_eq!(gap.expect_err("for nobody else").code(), "gap");
    assert_eq!(rows_of(reader.next().await.expect("pinned")), [number(3)]);
    drop(reader);
    let resumed = world.streams.resume(&caller(), &cursor, None).await;
    let rest = read_all(&mut resumed.expect("pinned")).await;
    assert!(rest.starts_with(b"{\"open\":"), "{rest:?}");
    world.env.advance_ms(95_000);
    assert_eq!(trim(&world, 8).await, trimmed(8, 8, 3));
    assert_eq!(chunks(&world).await, Vec::<u64>::new());
}

#[tokio::test]
async fn what_was_received_is_pinned_no_longer() {
    let world = World::new();
    world.filled(4, 2).await;
    let cursor = left(&world, Start::Earliest).await;
    let mut reader = world
        .open(Start::At(Offset::new(4), None))
        .await
        .expect("there");
    let digest = opened(&mut reader).await.digest;
    let offset = Offset::new(4);
    let mark = windlass_stream::Mark { offset, digest };
    let resumed = world.streams.resume(&caller(), &cursor, Some(mark)).await;
    drop(resumed.expect("it lasts"));
    assert_eq!(trim(&world, 8).await, trimmed(8, 4, 2));
    let back = world.streams.resume(&caller(), &cursor, None).await;
    let body = read_all(&mut back.expect("from the last mark")).await;
    assert!(body.starts_with(b"{\"open\":"), "{body:?}");
}

#[tokio::test]
async fn a_cancelled_cursor_pins_nothing() {
    let world = World::new();
    world.filled(2, 2).await;
    let cursor = left(&world, Start::Earliest).await;
    world
        .streams
        .cancel(&caller(), &cursor)
        .await
        .expect("hers");
    assert_eq!(trim(&world, 4).await, trimmed(4, 4, 2));
}

#[tokio::test]
async fn cursors_that_are_left_leave_nothing_behind() {
    let world = World::new();
    world.filled(2, 2).await;
    let before = world.rows().await;
    for _ in 0..50 {
        left(&world, Start::Earliest).await;
    }
    let cancelled = left(&world, Start::Tail).await;
    world
        .streams
        .cancel(&caller(), &cancelled)
        .await
        .expect("hers");
    world.env.advance_ms(90_000 + TOMBSTONE_MS - 1);
    assert_eq!(sweep(&world).await.cursors_removed, 0);
    world.env.advance_ms(1);
    assert_eq!(sweep(&world).await.cursors_removed, 51);
    assert_eq!(world.rows().await, before);
    assert_eq!(world.streams.occupancy(), Occupancy::default());
    assert_eq!(
        sweep(&world).await,
        SweepReport::default(),
        "nothing is due"
    );
}

#[tokio::test]
async fn a_cursor_that_was_renewed_is_looked_at_later() {
    let world = World::new();
    world.filled(9, 1).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let cursor = opened(&mut reader).await.cursor.parse().expect("a cursor");
    for _ in 0..8 {
        world.env.advance_ms(59_999);
        reader.next().await.expect("in time");
    }
    drop(reader);
    world.env.advance_ms(250_000);
    let report = sweep(&world).await;
    assert_eq!((report.scanned, report.cursors_removed), (1, 0));
    let late = world.streams.resume(&caller(), &cursor, None).await;
    assert_eq!(late.expect_err("not forgotten yet").code(), "expired");
    world.env.advance_ms(TOMBSTONE_MS);
    assert_eq!(sweep(&world).await.cursors_removed, 1);
}

#[tokio::test]
async fn a_sweep_stops_at_its_limit_and_says_so() {
    let world = World::new();
    world.filled(1, 1).await;
    for _ in 0..5 {
        left(&world, Start::Earliest).await;
    }
    world.env.advance_ms(90_000 + TOMBSTONE_MS);
    for (removed, truncated) in [(2, true), (2, true), (1, false)] {
        let report = world.streams.sweep(2).await.expect("a store that works");
        assert_eq!(
            (report.cursors_removed, report.truncated),
            (removed, truncated)
        );
    }
}

#[tokio::test]
async fn an_expired_stream_goes_with_all_its_rows_unless_it_is_read() {
    let world = World::new();
    let fleeting = NewStream {
        expiry: Expiry::IdleMs(10_000),
        ..new("out")
    };
    let mut writer = world
        .streams
        .create(&caller(), &fleeting)
        .await
        .expect("new");
    for count in 0..15 {
        writer.append(&number(count)).await.expect("taken");
        writer.flush().await.expect("stored");
    }
    let mut reader = world.open(Start::Earliest).await.expect("there");
    opened(&mut reader).await;
    for count in 0..15 {
        world.env.advance_ms(55_000);
        assert_eq!(sweep(&world).await.streams_removed, 0, "it is read");
        assert_eq!(
            rows_of(reader.next().await.expect("in use")),
            [number(count)]
        );
    }
    drop(reader);
    let over = world.env.now().since(START);
    assert!(
        over > 10_000 + TOMBSTONE_MS,
        "long after it would have gone: {over}"
    );
    world.env.advance_ms(2 * TOMBSTONE_MS);
    let gone = world.streams.show(&caller(), &stream("out")).await;
    assert_eq!(gone.expect_err("forgotten").code(), "not_found");
    let mut report = sweep(&world).await;
    report.streams_removed += sweep(&world).await.streams_removed;
    assert_eq!((report.streams_removed, report.cursors_removed), (1, 1));
    assert_eq!(world.rows().await, []);
    world
        .streams
        .create(&caller(), &new("out"))
        .await
        .expect("the name is free");
}

#[tokio::test]
async fn a_stream_that_is_used_is_listed_again_and_a_finished_one_counts_from_its_end() {
    let world = World::new();
    let fleeting = NewStream {
        expiry: Expiry::IdleMs(10_000),
        ..new("out")
    };
    let mut writer = world
        .streams
        .create(&caller(), &fleeting)
        .await
        .expect("new");
    world.env.advance_ms(9_000);
    writer.close(Ending::Finished).await.expect("open");
    world.env.advance_ms(9_000);
    assert_eq!(sweep(&world).await.streams_removed, 0);
    world
        .streams
        .show(&caller(), &stream("out"))
        .await
        .expect("until 19,000");
    world.env.advance_ms(1_000 + TOMBSTONE_MS - 1);
    assert_eq!(sweep(&world).await, SweepReport::default(), "not due yet");
    world.env.advance_ms(1);
    assert_eq!(sweep(&world).await.streams_removed, 1);
    assert_eq!(world.rows().await, []);
}

#[tokio::test]
async fn a_session_s_streams_go_with_it_and_no_others() {
    let world = World::new();
    let other = NewStream {
        session: session("s2"),
        ..new("other")
    };
    world.streams.create(&caller(), &other).await.expect("new");
    let before = world.rows().await;
    for name in ["a", "b", "c"] {
        let whose = caller_of("acme", name);
        world.streams.create(&whose, &new(name)).await.expect("new");
        let rows = [number(1), number(2)];
        world
            .streams
            .append(&whose, &stream(name), &rows)
            .await
            .expect("open");
    }
    let (acme, s1) = (caller().tenant, session("s1"));
    let removed = world
        .streams
        .remove_session(&acme, &s1)
        .await
        .expect("works");
    assert_eq!(removed, 12, "head, floor, chunk and listing of each");
    assert_eq!(world.rows().await, before);
    let again = world.streams.remove_session(&acme, &s1).await;
    assert_eq!(again.expect("works"), 0);
}

#[tokio::test]
async fn only_its_owner_removes_a_stream() {
    let world = World::new();
    world.filled(1, 1).await;
    let stranger = world
        .streams
        .remove(&caller_of("acme", "bob"), &stream("out"))
        .await;
    assert_eq!(stranger.expect_err("not his").code(), "not_found");
    world
        .streams
        .remove(&caller(), &stream("out"))
        .await
        .expect("hers");
    let open = world
        .streams
        .open(&caller(), &Open::all(stream("out")))
        .await;
    assert_eq!(open.expect_err("gone").code(), "not_found");
    assert_eq!(world.rows().await, []);
}

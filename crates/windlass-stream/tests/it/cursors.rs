//! Cursors: with one a read goes on, whatever happened to the reader.

use windlass_core::Coded;
use windlass_stream::limits::TOMBSTONE_MS;
use windlass_stream::{
    Cursor, Digest, Ending, Frame, Mark, Occupancy, Offset, Open, Opened, Reader, Start,
    StreamError,
};

use crate::support::{World, caller, caller_of, number, read_all, rows_of, stream, text};

/// A lease lasts a minute here, and a cursor half as long again.
const LASTING_MS: u64 = 90_000;

pub(crate) async fn opened(reader: &mut Reader) -> Opened {
    match reader.next().await {
        Ok(Some(Frame::Open(opened))) => opened,
        other => panic!("{other:?}"),
    }
}

/// The cursor of a read of `out` from `start` on, whose reader went away.
pub(crate) async fn left(world: &World, start: Start) -> Cursor {
    let mut reader = world.open(start).await.expect("there");
    let opened = opened(&mut reader).await;
    opened.cursor.parse().expect("a cursor")
}

/// How going on with a cursor is refused.
async fn refused(world: &World, cursor: &Cursor) -> &'static str {
    let resumed = world.streams.resume(&caller(), cursor, None).await;
    resumed.expect_err("a refusal").code()
}

async fn mark_at(world: &World, offset: u64) -> Mark {
    let offset = Offset::new(offset);
    let mut reader = world.open(Start::At(offset, None)).await.expect("kept");
    let digest = opened(&mut reader).await.digest;
    Mark { offset, digest }
}

#[tokio::test]
async fn a_read_goes_on_where_it_was_to_the_tail_it_was_pinned_to() {
    let world = World::new();
    let mut writer = world.filled(2, 2).await;
    let cursor = left(&world, Start::Earliest).await;
    let received = mark_at(&world, 2).await;
    writer.append(&number(4)).await.expect("taken");
    writer.close(Ending::Finished).await.expect("open");
    for start in [None, Some(received)] {
        let resumed = world.streams.resume(&caller(), &cursor, start).await;
        let mut reader = resumed.expect("it lasts");
        let opened = opened(&mut reader).await;
        assert_eq!(opened.cursor, cursor.to_string());
        let first = start.map_or(Offset::START, |mark| mark.offset);
        assert_eq!((opened.start, opened.tail), (first, Offset::new(4)));
        let rest = read_all(&mut reader).await;
        let rest = String::from_utf8(rest).expect("text");
        assert!(!rest.contains("{\"row\":4}"), "{rest}");
        assert!(
            rest.contains("{\"row\":3}") && rest.contains("\"closed\":false"),
            "{rest}"
        );
    }
}

#[tokio::test]
async fn a_cursor_survives_a_restart_and_is_stored_as_a_hash() {
    let world = World::new();
    world.filled(1, 1).await;
    let cursor = left(&world, Start::Earliest).await;
    let stored = world.rows().await;
    let secret = cursor.to_string();
    let shows = |bytes| text(bytes).contains(&secret);
    assert!(
        !stored
            .iter()
            .any(|row| shows(&row.key) || shows(&row.value))
    );
    let again = world.calm().streams.resume(&caller(), &cursor, None).await;
    drop(again.expect("it lasts"));
}

#[tokio::test]
async fn what_was_not_received_as_it_was_sent_is_not_gone_on_from() {
    let world = World::new();
    world.filled(2, 2).await;
    let cursor = left(&world, Start::Earliest).await;
    let wrong = Mark {
        offset: Offset::new(2),
        digest: Digest::START,
    };
    let mismatch = world.streams.resume(&caller(), &cursor, Some(wrong)).await;
    assert_eq!(
        mismatch.expect_err("not sent").code(),
        "prefix_hash_mismatch"
    );
    let beyond = Mark {
        offset: Offset::new(5),
        digest: Digest::START,
    };
    let beyond = world.streams.resume(&caller(), &cursor, Some(beyond)).await;
    assert_eq!(
        beyond.expect_err("no such row").code(),
        "offset_beyond_tail"
    );
    assert_eq!(world.streams.occupancy(), Occupancy::default());
}

#[tokio::test]
async fn an_unknown_a_foreign_and_a_forgotten_cursor_are_answered_alike() {
    let world = World::new();
    world.filled(1, 1).await;
    let cursor = left(&world, Start::Earliest).await;
    let unknown = Cursor::draw(world.env.as_ref()).expect("random");
    let words = |answer: Result<Reader, StreamError>| format!("{:?}", answer.expect_err("no"));
    let expected = words(world.streams.resume(&caller(), &unknown, None).await);
    assert_eq!(expected, "NotFound");
    let strangers = [caller_of("acme", "bob"), caller_of("other", "ann")];
    for elapsed in [0, LASTING_MS, TOMBSTONE_MS] {
        world.env.advance_ms(elapsed);
        for stranger in &strangers {
            let answer = world.streams.resume(stranger, &cursor, None).await;
            assert_eq!(words(answer), expected, "after {elapsed}");
            let cancelled = world.streams.cancel(stranger, &cursor).await;
            assert_eq!(cancelled.expect_err("no").code(), "not_found");
        }
    }
    let forgotten = world.streams.resume(&caller(), &cursor, None).await;
    assert_eq!(words(forgotten), expected);
}

#[tokio::test]
async fn a_cursor_that_shares_only_the_looked_up_half_is_not_found() {
    let world = World::new();
    world.filled(1, 1).await;
    let cursor = left(&world, Start::Earliest).await;
    let key = format!("acme/cursor/{}", cursor.hash().name());
    let rows = world.rows().await;
    let row = rows.iter().find(|row| row.key == key).expect("its record");
    let other = text(&row.value).replace(&cursor.hash().proof(), &"0".repeat(32));
    world.put(&key, other).await;
    assert_eq!(refused(&world, &cursor).await, "not_found");
}

#[tokio::test]
async fn a_cursor_lasts_to_the_millisecond_and_is_told_to_have_expired_for_a_while() {
    let world = World::new();
    world.filled(1, 1).await;
    let cursor = left(&world, Start::Earliest).await;
    world.env.advance_ms(LASTING_MS - 1);
    drop(
        world
            .streams
            .resume(&caller(), &cursor, None)
            .await
            .expect("in time"),
    );
    // Going on made it last again.
    world.env.advance_ms(LASTING_MS);
    assert_eq!(refused(&world, &cursor).await, "expired");
    world.env.advance_ms(TOMBSTONE_MS - 1);
    assert_eq!(refused(&world, &cursor).await, "expired");
    world.env.advance_ms(1);
    assert_eq!(refused(&world, &cursor).await, "not_found");
}

#[tokio::test]
async fn cancelling_stops_the_reader_and_can_be_repeated() {
    let world = World::new();
    world.filled(3, 1).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let cursor = opened(&mut reader).await.cursor.parse().expect("a cursor");
    reader.next().await.expect("a chunk");
    for _ in 0..2 {
        world
            .streams
            .cancel(&caller(), &cursor)
            .await
            .expect("hers");
    }
    assert_eq!(
        reader.next().await.expect_err("stopped").code(),
        "cancelled"
    );
    assert_eq!(reader.next().await.expect("over"), None);
    let heard = world.heard.words();
    assert_eq!(heard, ["stream.opened 3", "stream.closed cancelled 1"]);
    assert_eq!(refused(&world, &cursor).await, "cancelled");
    // Longer than it would have lasted: cancelled comes before expired.
    world.env.advance_ms(TOMBSTONE_MS - 1);
    assert_eq!(refused(&world, &cursor).await, "cancelled");
    world.env.advance_ms(1);
    assert_eq!(refused(&world, &cursor).await, "not_found");
}

#[tokio::test]
async fn a_reader_of_another_process_is_stopped_within_half_a_lease() {
    let world = World::new();
    world.filled(9, 1).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let cursor = opened(&mut reader).await.cursor.parse().expect("a cursor");
    world
        .calm()
        .streams
        .cancel(&caller(), &cursor)
        .await
        .expect("hers");
    world.env.advance_ms(29_999);
    assert_eq!(
        rows_of(reader.next().await.expect("not yet known")),
        [number(0)]
    );
    world.env.advance_ms(1);
    assert_eq!(
        reader.next().await.expect_err("stopped").code(),
        "cancelled"
    );
}

#[tokio::test]
async fn a_disconnect_is_no_cancel() {
    let world = World::new();
    world.filled(3, 1).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let cursor = opened(&mut reader).await.cursor.parse().expect("a cursor");
    drop(reader);
    drop(
        world
            .streams
            .resume(&caller(), &cursor, None)
            .await
            .expect("it lasts"),
    );
    assert_eq!(world.heard.words()[1], "stream.closed disconnected 0");
}

#[tokio::test]
async fn a_read_for_a_removed_stream_ends_as_not_found() {
    let world = World::new();
    world.filled(3, 1).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let cursor = opened(&mut reader).await.cursor.parse().expect("a cursor");
    world
        .streams
        .remove(&caller(), &stream("out"))
        .await
        .expect("hers");
    assert_eq!(reader.next().await.expect_err("gone").code(), "not_found");
    assert_eq!(refused(&world, &cursor).await, "not_found");
}

#[tokio::test]
async fn a_cursor_of_a_follower_goes_on_following() {
    let world = World::new();
    let mut writer = world.filled(1, 1).await;
    let open = Open {
        follow: true,
        ..Open::all(stream("out"))
    };
    let mut reader = world.streams.open(&caller(), &open).await.expect("there");
    let cursor: Cursor = opened(&mut reader).await.cursor.parse().expect("a cursor");
    drop(reader);
    writer.append(&number(1)).await.expect("taken");
    writer.close(Ending::Finished).await.expect("open");
    let received = mark_at(&world, 1).await;
    let resumed = world
        .streams
        .resume(&caller(), &cursor, Some(received))
        .await;
    let body = read_all(&mut resumed.expect("it lasts")).await;
    let body = String::from_utf8(body).expect("text");
    assert!(
        body.contains("{\"row\":1}") && body.contains("\"closed\":true"),
        "{body}"
    );
}

#[tokio::test]
async fn a_follower_that_waits_is_told_at_once_that_its_cursor_was_cancelled() {
    let world = World::frozen();
    world.filled(0, 0).await;
    let open = Open {
        follow: true,
        ..Open::all(stream("out"))
    };
    let mut reader = world.streams.open(&caller(), &open).await.expect("there");
    let cursor: Cursor = opened(&mut reader).await.cursor.parse().expect("a cursor");
    let who = caller();
    let (read, cancelled) = tokio::join!(reader.next(), world.streams.cancel(&who, &cursor));
    cancelled.expect("hers");
    assert_eq!(read.expect_err("stopped").code(), "cancelled");
    assert_eq!(world.streams.occupancy().all, 0);
}

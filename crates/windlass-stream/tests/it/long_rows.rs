//! Rows that are longer than a chunk.

use std::cell::OnceCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use windlass_core::{Coded, ErrorKind};
use windlass_store::StoreErrorKind;
use windlass_store_testing::{Fault, Faulty, Moment, Slow, Verb};
use windlass_stream::limits::{CHUNK_BYTES_MAX, LONG_ROW_BYTES_MAX, PAGE_BYTES, UPLOAD_MS};
use windlass_stream::{
    Ending, Expiry, Frame, Mark, NewStream, Offset, Row, RowError, Settings, Start, Step,
    StreamError, StreamWriter,
};

use crate::support::{Client, World, caller, new, number, read_all, stream, text};

/// Chunks of a page.
fn small() -> Settings {
    Settings {
        chunk_pages: 1,
        ..Settings::default()
    }
}

/// A text of JSON whose line has so many bytes, no two neighbours alike.
fn json(line: usize) -> Row {
    let length = line - "{\"row\":\"\"}\n".len();
    let text: String = ('a'..='z').cycle().take(length).collect();
    Row::json(format!("\"{text}\"")).expect("JSON")
}

/// So many bytes, as they come.
fn bytes(length: usize) -> Row {
    let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
    Row::Bytes(bytes.into())
}

/// The line of a row, as one that is not long would be sent.
fn line_of(row: &Row) -> Vec<u8> {
    use base64::Engine as _;
    let encode = |bytes| base64::engine::general_purpose::STANDARD.encode(bytes);
    match row {
        Row::Json(text) => [b"{\"row\":", text.as_ref(), b"}\n"].concat(),
        Row::Bytes(bytes) => format!("{{\"bytes\":\"{}\"}}\n", encode(bytes)).into_bytes(),
    }
}

const LONG: usize = CHUNK_BYTES_MAX + 1;

/// What a client has proven of everything there is.
async fn proven(world: &World) -> Vec<Bytes> {
    let mut client = Client::new();
    client.take(&world.body(Start::Earliest).await);
    assert!(client.ended, "{client:?}");
    client.proven
}

#[tokio::test]
async fn a_long_row_is_sent_as_one_line_and_proven_like_any_other() {
    let rows = [
        number(0),
        json(LONG),
        number(1),
        json(CHUNK_BYTES_MAX + PAGE_BYTES),
        bytes(CHUNK_BYTES_MAX * 3 / 4),
        bytes(CHUNK_BYTES_MAX),
        bytes(CHUNK_BYTES_MAX + 1),
        number(2),
    ];
    let world = World::with(&small());
    let mut writer = world.create().await;
    for row in &rows {
        writer.append(row).await.expect("taken");
    }
    writer.close(Ending::Finished).await.expect("open");
    let body = world.body(Start::Earliest).await;
    let mut client = Client::new();
    client.take(&body);
    let contents: Vec<Bytes> = rows.iter().map(|row| row.content().clone()).collect();
    assert!(client.proven == contents, "the rows");
    let mark = b"{\"mark\":";
    let is_row = |line: &&[u8]| !line.starts_with(mark);
    let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
    let between = lines[1..lines.len() - 1].iter().copied();
    let sent: Vec<u8> = between.filter(is_row).collect::<Vec<_>>().concat();
    let expected: Vec<u8> = rows.iter().flat_map(line_of).collect();
    assert!(sent == expected, "the lines");
    let view = world.streams.show(&caller(), &stream("out")).await;
    let bytes = u64::try_from(expected.len()).expect("few");
    assert_eq!(view.expect("there").bytes, bytes);
}

#[tokio::test]
async fn a_long_row_is_stored_as_pieces_and_a_record() {
    let world = World::new();
    let mut writer = world.create().await;
    writer.append(&json(LONG)).await.expect("stored");
    let rows = world.rows().await;
    let record = text(&rows[0].value);
    let (line, mark) = record.split_once('\n').expect("a record and a mark");
    let name = &line[r#"{"pieces":{"name":""#.len()..][..32];
    let length = LONG.to_string();
    let expected = format!(r#"{{"pieces":{{"name":"{name}","size":65536,"bytes":{length}}}}}"#);
    assert_eq!(line, expected);
    assert!(mark.starts_with("{\"mark\":"), "{mark}");
    let keys = world.keys().await;
    let first = "acme/stream/out/long/00000000000000000000";
    let long = rows.iter().find(|row| row.key == first).expect("its row");
    assert_eq!(text(&long.value), format!(r#"{{"v":1,"name":"{name}"}}"#));
    let piece = |number: usize| format!("acme/stream/out/piece/{name}/{number:020}");
    let pieces = keys.iter().filter(|key| key.contains("/piece/")).cloned();
    assert_eq!(
        pieces.collect::<Vec<_>>(),
        (0..17).map(piece).collect::<Vec<_>>()
    );
    assert!(keys.iter().all(|key| !key.contains("upload")), "{keys:?}");
}

#[tokio::test]
async fn a_reader_gets_a_long_row_in_pieces_no_longer_than_a_chunk() {
    let world = World::with(&small());
    let mut writer = world.create().await;
    writer.append(&json(LONG)).await.expect("taken");
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let (mut count, mut end, mut over) = (0, 0, false);
    reader.next().await.expect("works");
    while let Some(frame) = reader.next().await.expect("works") {
        match frame {
            Frame::Piece(piece) => {
                assert_eq!((piece.row, piece.start, over), (Offset::START, end, false));
                assert!(piece.bytes.len() <= PAGE_BYTES, "{}", piece.bytes.len());
                end += u64::try_from(piece.bytes.len()).expect("few");
                over = piece.last;
                count += 1;
            }
            Frame::Chunk(chunk) => {
                assert_eq!((chunk.row_count(), chunk.row_bytes(), over), (1, 0, true));
                assert_eq!(chunk.rows().count(), 0);
                assert_eq!(*chunk.lines(), chunk.mark.line());
            }
            Frame::End(given) => assert_eq!((given.row_count, given.bytes), (1, end)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((count, end), (65, u64::try_from(LONG).expect("few")));
}

#[tokio::test]
async fn a_read_that_is_cut_within_a_long_row_goes_on_at_its_beginning() {
    let world = World::with(&small());
    let mut writer = world.create().await;
    for row in [&number(0), &json(LONG), &number(1)] {
        writer.append(row).await.expect("taken");
    }
    writer.close(Ending::Finished).await.expect("open");
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let (mut cursor, mut received) = (None, None);
    for _ in 0..20 {
        match reader.next().await.expect("works").expect("not the end") {
            Frame::Open(opened) => cursor = Some(opened.cursor.parse().expect("a cursor")),
            Frame::Chunk(chunk) => received = Some(chunk.mark),
            Frame::Piece(piece) => assert_eq!(piece.row, Offset::new(1)),
            other => panic!("{other:?}"),
        }
    }
    drop(reader);
    let cursor = cursor.expect("said first");
    let before: Mark = received.expect("the first chunk");
    let resumed = world.streams.resume(&caller(), &cursor, Some(before)).await;
    let rest = read_all(&mut resumed.expect("it lasts")).await;
    let mut client = Client::new();
    client.at = (before.offset, before.digest);
    client.take(&rest);
    assert!(client.ended && client.proven.len() == 2, "{:?}", client.at);
    assert!(client.proven[0] == *json(LONG).content(), "the row");
}

#[tokio::test]
async fn nobody_sees_anything_of_a_long_row_before_it_is_whole() {
    let world = World::over(&small(), |ground| Arc::new(Slow::new(ground, 3)));
    let calm = world.calm();
    let mut writer = world.create().await;
    writer.append(&number(0)).await.expect("taken");
    writer.flush().await.expect("stored");
    let row = bytes(CHUNK_BYTES_MAX);
    let mut context = Context::from_waker(Waker::noop());
    let mut dropped = 0;
    // Every time it waits it is dropped, and another call goes on.
    loop {
        let first = dropped == 0;
        let mut flush = pin!(async {
            match first {
                true => writer.append(&row).await.map_err(|it| it.error),
                false => writer.flush().await.map(drop),
            }
        });
        let mut polled = flush.as_mut().poll(&mut context);
        for _ in 0..dropped % 40 {
            if polled.is_pending() {
                polled = flush.as_mut().poll(&mut context);
            }
        }
        if polled.is_ready() {
            break;
        }
        dropped += 1;
        let seen = proven(&calm).await;
        assert!(
            seen == [number(0).content().clone()] || seen.len() == 2,
            "{}",
            seen.len()
        );
        assert!(dropped < 20_000, "it never comes to an end");
    }
    assert!(dropped > 20, "{dropped}");
    let seen = proven(&calm).await;
    assert!(
        seen == [number(0).content().clone(), row.content().clone()],
        "once"
    );
}

#[tokio::test]
async fn any_one_commit_of_a_long_row_may_fail_and_it_is_appended_once() {
    let kinds = [
        (StoreErrorKind::Unavailable, Moment::Before),
        (StoreErrorKind::Indeterminate, Moment::Before),
        (StoreErrorKind::Indeterminate, Moment::After),
    ];
    for (kind, moment) in kinds {
        let mut number_of = 1;
        loop {
            let faulty = OnceCell::new();
            let world = World::over(&Settings::default(), |ground| {
                let wrapped = Arc::new(Faulty::new(ground));
                faulty.set(Arc::clone(&wrapped)).expect("once");
                wrapped
            });
            let faulty = faulty.get().expect("set");
            let mut writer = world.create().await;
            faulty.plan(Fault {
                verb: Some(Verb::Commit),
                number: faulty.calls(Some(Verb::Commit)) + number_of,
                moment,
                kind,
            });
            let row = bytes(CHUNK_BYTES_MAX);
            if let Err(error) = writer.append(&row).await {
                assert!(error.taken, "{error:?}");
                assert_eq!(error.kind(), kind_of(kind));
                writer.flush().await.expect("it goes on");
            }
            assert!(
                proven(&world).await == [row.content().clone()],
                "{number_of}"
            );
            if faulty.hits() == 0 {
                assert!(number_of > 20, "pieces and a record: {number_of}");
                break;
            }
            number_of += 5;
        }
    }
}

fn kind_of(kind: StoreErrorKind) -> ErrorKind {
    match kind {
        StoreErrorKind::Unavailable => ErrorKind::Unavailable,
        StoreErrorKind::Indeterminate => ErrorKind::Indeterminate,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn others_append_while_a_long_row_is_stored_and_nothing_is_lost() {
    for seed in 0..10 {
        let world = World::over(&Settings::default(), |ground| {
            Arc::new(Slow::new(ground, seed))
        });
        let mut one = world.create().await;
        let name = stream("out");
        let who = caller();
        let mut two = world.streams.writer(&who, &name).await.expect("open");
        let row = bytes(CHUNK_BYTES_MAX);
        let short = async {
            for count in 0..9 {
                two.append(&number(count)).await.expect("taken");
                two.flush().await.expect("stored");
            }
        };
        let (long, ()) = tokio::join!(one.append(&row), short);
        long.expect("stored");
        let mut seen = proven(&world.calm()).await;
        let place = seen.iter().position(|it| it == row.content());
        seen.remove(place.expect("it is there"));
        let expected = (0..9).map(|count| number(count).content().clone());
        assert_eq!(seen, expected.collect::<Vec<_>>(), "seed {seed}");
    }
}

/// A world whose calls take a while, with a stream of one row.
async fn slow(seed: u64) -> World {
    let world = World::over(&Settings::default(), |ground| {
        Arc::new(Slow::new(ground, seed))
    });
    world.filled(1, 1).await;
    world
}

/// Pieces of the row that is left.
const ALL: usize = 22;

/// Appends a long row until so many pieces are stored, and a little longer, and
/// leaves.
async fn leave(world: &World, pieces: usize, longer: usize) -> StreamWriter {
    let writer = world.streams.writer(&caller(), &stream("out")).await;
    let mut writer = writer.expect("open");
    let row = bytes(CHUNK_BYTES_MAX);
    let mut context = Context::from_waker(Waker::noop());
    let mut append = Box::pin(writer.append(&row));
    for _ in 0..10_000 {
        if append.as_mut().poll(&mut context).is_ready() {
            assert_eq!(pieces, ALL, "it was not to end");
            break;
        }
        let keys = world.keys().await;
        if keys.iter().filter(|key| key.contains("/piece/")).count() >= pieces {
            break;
        }
    }
    let has_ended = |keys: Vec<String>| keys.iter().any(|key| key.contains("/long/"));
    for _ in 0..longer {
        if has_ended(world.keys().await) || append.as_mut().poll(&mut context).is_ready() {
            break;
        }
    }
    drop(append);
    writer
}

#[tokio::test]
async fn pieces_of_a_row_that_was_never_appended_are_taken_back_after_an_hour() {
    let world = slow(1).await;
    let before = world.rows().await;
    drop(leave(&world, 3, 0).await);
    assert_eq!(world.rows().await.len(), before.len() + 5, "three and two");
    world.env.advance_ms(UPLOAD_MS - 1);
    let early = world.streams.sweep(10).await.expect("works");
    assert_eq!((early.scanned, early.pieces_removed), (0, 0));
    world.env.advance_ms(1);
    let swept = world.streams.sweep(10).await.expect("works");
    assert_eq!((swept.scanned, swept.pieces_removed), (1, 3));
    assert_eq!(world.rows().await, before);
}

#[tokio::test]
async fn a_writer_whose_pieces_were_taken_back_stores_them_anew() {
    let late = (0..24).map(|seed| (seed, ALL));
    for (seed, pieces) in [(1, 3)].into_iter().chain(late) {
        let world = slow(seed).await;
        let longer = usize::try_from(seed % 4).expect("few");
        let mut writer = leave(&world, pieces, longer).await;
        world.env.advance_ms(UPLOAD_MS);
        world.streams.sweep(10).await.expect("works");
        let placed = writer.flush().await.expect("stored");
        assert_eq!(placed.tail, Offset::new(2));
        assert!(
            proven(&world.calm()).await[1] == *bytes(CHUNK_BYTES_MAX).content(),
            "the row"
        );
        world.env.advance_ms(2 * UPLOAD_MS);
        let swept = world.streams.sweep(10).await.expect("works");
        assert_eq!(swept.pieces_removed, 0);
        assert_eq!(proven(&world.calm()).await.len(), 2);
    }
}

#[tokio::test]
async fn of_pieces_that_are_appended_while_they_are_taken_back_none_is_missing() {
    let mut lost = 0;
    for seed in 0..20 {
        let world = World::over(&Settings::default(), |ground| {
            Arc::new(Slow::new(ground, seed))
        });
        world.filled(1, 1).await;
        let mut writer = leave(&world, 3, 0).await;
        world.env.advance_ms(UPLOAD_MS);
        // It is almost done, or has hardly gone on, when the sweep comes.
        let mut flush = Box::pin(writer.flush());
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..seed * 12 {
            if flush.as_mut().poll(&mut context).is_ready() {
                break;
            }
            if proven(&world.calm()).await.len() == 2 {
                break;
            }
        }
        drop(flush);
        let (flushed, swept) = tokio::join!(writer.flush(), world.streams.sweep(10));
        flushed.expect("stored");
        lost += u64::from(swept.expect("works").pieces_removed > 0);
        let seen = proven(&world.calm()).await;
        assert!(seen[1] == *bytes(CHUNK_BYTES_MAX).content(), "seed {seed}");
    }
    assert!(
        (1..20).contains(&lost),
        "each comes first sometimes: {lost}"
    );
}

#[tokio::test]
async fn trimming_deletes_the_pieces_of_what_it_deletes_and_no_others() {
    let world = World::new();
    let mut writer = world.create().await;
    for row in [&json(LONG), &number(1), &json(LONG + 9), &number(3)] {
        writer.append(row).await.expect("taken");
        writer.flush().await.expect("stored");
    }
    let (who, name) = (caller(), stream("out"));
    let trimmed = world.streams.trim(&who, &name, Offset::new(2)).await;
    assert_eq!(trimmed.expect("works").chunks_removed, 2);
    let keys = world.keys().await;
    let count = |part: &str| keys.iter().filter(|key| key.contains(part)).count();
    assert_eq!((count("/piece/"), count("/long/")), (17, 1), "{keys:?}");
    let body = world.body(Start::Earliest).await;
    let line = line_of(&json(LONG + 9));
    assert!(body.windows(line.len()).any(|it| it == line), "it is kept");
    world.env.advance_ms(1_000_000);
    let trimmed = world.streams.trim(&who, &name, Offset::new(4)).await;
    assert_eq!(trimmed.expect("works").kept, Offset::new(4));
    let keys = world.keys().await;
    let of_stream = keys.iter().filter(|key| key.starts_with("acme/stream/out"));
    let of_stream = of_stream.filter(|key| !key.contains("/pin/"));
    let expected = ["floor", "head"].map(|row| format!("acme/stream/out/{row}"));
    assert_eq!(of_stream.collect::<Vec<_>>(), expected.each_ref());
}

#[tokio::test]
async fn a_stream_that_is_removed_takes_its_pieces_along() {
    let world = slow(1).await;
    let left = leave(&world, 3, 0).await;
    let mut writer = world.streams.writer(&caller(), &stream("out")).await;
    let writer = writer.as_mut().expect("open");
    writer.append(&json(LONG)).await.expect("stored");
    world
        .streams
        .remove(&caller(), &stream("out"))
        .await
        .expect("hers");
    let keys = world.keys().await;
    assert!(keys.iter().all(|key| key.starts_with("due/")), "{keys:?}");
    drop(left);
    world.env.advance_ms(UPLOAD_MS);
    world.streams.sweep(10).await.expect("works");
    assert_eq!(world.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_stream_that_expires_takes_its_pieces_along() {
    let world = World::new();
    let fleeting = NewStream {
        expiry: Expiry::IdleMs(1_000),
        ..new("out")
    };
    let made = world.streams.create(&caller(), &fleeting).await;
    let mut writer = made.expect("a new name");
    writer.append(&json(LONG)).await.expect("stored");
    world
        .env
        .advance_ms(1_000 + 2 * windlass_stream::limits::TOMBSTONE_MS);
    while world.streams.sweep(10).await.expect("works").scanned > 0 {}
    assert_eq!(world.keys().await, [""; 0]);
}

#[tokio::test]
async fn a_piece_that_is_missing_or_short_is_no_row() {
    for damage in ["missing", "short"] {
        let world = World::new();
        let mut writer = world.create().await;
        writer.append(&json(LONG)).await.expect("stored");
        let keys = world.keys().await;
        let pieces: Vec<&String> = keys.iter().filter(|key| key.contains("/piece/")).collect();
        match damage {
            "short" => world.put(pieces[7], "x").await,
            _ => world.delete(pieces[7]).await,
        }
        let mut reader = world.open(Start::Earliest).await.expect("there");
        let error = loop {
            match reader.next().await {
                Ok(Some(Frame::Open(_) | Frame::Piece(_))) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), "corrupt_record", "{damage}");
    }
}

#[tokio::test]
async fn a_long_row_can_be_appended_under_an_operation_id_and_not_within_a_turn() {
    let world = World::new();
    world.create().await;
    let step = Step::append(stream("out"), vec![number(0), json(LONG), number(2)]);
    let id = "a".parse().expect("an identifier");
    let first = world.streams.apply(&caller(), &step, Some(&id)).await;
    let first = first.expect("appended");
    let rows = world.rows().await;
    let again = world.streams.apply(&caller(), &step, Some(&id)).await;
    let again = again.expect("repeated");
    assert_eq!((again.placed, again.repeated), (first.placed, true));
    assert!(world.rows().await == rows, "nothing happened");
    assert_eq!(proven(&world).await.len(), 3);
    let refused = world.streams.plan(&caller(), &[step]).await;
    assert_eq!(refused.expect_err("refused").code(), "invalid_row");
}

#[tokio::test]
async fn a_row_that_is_longer_than_any_may_be_is_refused_and_the_writer_goes_on() {
    let world = World::new();
    let mut writer = world.create().await;
    let text = format!("\"{}\"", "x".repeat(LONG_ROW_BYTES_MAX));
    let refused = writer.append(&Row::Json(text.into())).await;
    let refused = refused.expect_err("too long");
    let max = LONG_ROW_BYTES_MAX;
    let too_long = |error: &StreamError| match error {
        StreamError::Row(RowError::TooLong { max: given, .. }) => *given == max,
        _ => false,
    };
    assert!(!refused.taken && too_long(&refused.error), "{refused:?}");
    writer.append(&number(0)).await.expect("taken");
    writer.close(Ending::Finished).await.expect("open");
    assert_eq!(proven(&world).await.len(), 1);
}

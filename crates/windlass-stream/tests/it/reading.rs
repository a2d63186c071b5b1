//! Reading from anywhere, and on after any cut.

use std::sync::Arc;

use windlass_core::{Coded, ManualEnv};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Faulty, Verb};
use windlass_stream::{
    Digest, End, Ending, Frame, Mark, Occupancy, Offset, Open, Refusal, Row, Settings, Start,
    StreamError, Streams,
};

use crate::clocks::{Frozen, Patient};
use crate::support::{
    Client, START, World, caller, caller_of, new, number, read_all, row, rows_of, stream, text,
};

/// A stream of three chunks, of rows of several kinds, and closed.
async fn mixed() -> World {
    let world = World::new();
    let mut writer = world.create().await;
    let rows = [
        row("{\"token\":\"Hel\"}"),
        row("\"line\\nbreak\""),
        Row::Bytes(b"\x00\n\xff"[..].into()),
        row("[]"),
        Row::Bytes(b""[..].into()),
        row("\"}\""),
        row("null"),
    ];
    for (place, row) in rows.iter().enumerate() {
        writer.append(row).await.expect("taken");
        if place % 3 == 2 {
            writer.flush().await.expect("stored");
        }
    }
    writer.close(Ending::Finished).await.expect("open");
    world
}

#[tokio::test]
async fn cut_at_every_byte_and_read_on_the_whole_is_the_same() {
    let world = mixed().await;
    let body = world.body(Start::Earliest).await;
    let mut whole = Client::new();
    whole.take(&body);
    assert!(whole.ended && whole.proven.len() == 7, "{whole:?}");
    for cut in 0..=body.len() {
        let mut client = Client::new();
        client.take(&body[..cut]);
        let (offset, digest) = client.at;
        client.take(&world.body(Start::At(offset, Some(digest))).await);
        assert_eq!(client.proven, whole.proven, "cut at {cut}");
        assert_eq!(client.at, whole.at, "cut at {cut}");
        assert!(client.ended, "cut at {cut}");
    }
}

#[tokio::test]
async fn each_offset_can_be_read_from_and_proven_by_what_was_received() {
    let world = mixed().await;
    let body = world.body(Start::Earliest).await;
    let mut whole = Client::new();
    whole.take(&body);
    for start in 0..=7 {
        let offset = Offset::new(start);
        let mut reader = world.open(Start::At(offset, None)).await.expect("kept");
        let opened = match reader.next().await {
            Ok(Some(Frame::Open(opened))) => opened,
            other => panic!("{other:?}"),
        };
        assert_eq!((opened.start, opened.tail), (offset, Offset::new(7)));
        // The same digest, made from what a reader has received so far.
        let first = usize::try_from(opened.base.offset.number()).expect("small");
        let mut hasher = windlass_stream::RowsHasher::new();
        let received = usize::try_from(start).expect("small");
        whole.proven[first..received]
            .iter()
            .for_each(|row| hasher.row(row));
        let at_mark = opened.base.offset == offset;
        let digest = if at_mark {
            opened.base.digest
        } else {
            opened
                .base
                .digest
                .chain(opened.base.offset, hasher.finish())
        };
        assert_eq!(opened.digest, digest, "from {start}");
        assert_eq!(at_mark, [0, 3, 6, 7].contains(&start), "from {start}");
        let again = world.open(Start::At(offset, Some(digest))).await;
        drop(again.expect("proven"));
        let rest = read_all(&mut reader).await;
        let lines = rest.split_inclusive(|byte| *byte == b'\n');
        let rows = lines.filter_map(|line| Row::of_line(&line.to_vec().into()));
        let rows: Vec<_> = rows.map(|row| row.content().clone()).collect();
        assert_eq!(rows, whole.proven[received..], "from {start}");
    }
}

#[tokio::test]
async fn a_digest_that_does_not_match_is_refused_wherever_it_is_claimed() {
    let world = mixed().await;
    for offset in [0, 1, 3, 7] {
        let wrong =
            Digest::START.chain(Offset::new(99), windlass_stream::RowsHasher::new().finish());
        let start = Start::At(Offset::new(offset), Some(wrong));
        let refused = world.open(start).await.expect_err("not what was sent");
        assert_eq!(refused.code(), "prefix_hash_mismatch", "at {offset}");
    }
    assert_eq!(world.streams.occupancy(), Occupancy::default());
}

#[tokio::test]
async fn what_is_not_kept_is_a_gap_and_what_is_not_there_is_beyond_the_tail() {
    let world = mixed().await;
    let beyond = world.open(Start::At(Offset::new(8), None)).await;
    let tail = Offset::new(7);
    let beyond = beyond.expect_err("there are seven");
    assert!(
        matches!(beyond, StreamError::BeyondTail { tail: it } if it == tail),
        "{beyond:?}"
    );
    let mark = {
        let mut client = Client::new();
        let body = world.body(Start::Earliest).await;
        let end = body.windows(2).position(|it| it == b"}\n").expect("a line") + 2;
        let chunk = body[end..]
            .windows(8)
            .position(|it| it == b"{\"mark\":")
            .expect("a mark");
        let line = body[end + chunk..]
            .iter()
            .position(|it| *it == b'\n')
            .expect("its end");
        client.take(&body[..=end + chunk + line]);
        client.at
    };
    let floor = format!(
        "{{\"v\":1,\"earliest\":\"{0}\",\"kept\":\"{0}\",\"digest\":\"{1}\"}}",
        mark.0, mark.1
    );
    world.put("acme/stream/out/floor", floor).await;
    world
        .delete("acme/stream/out/chunk/00000000000000000000")
        .await;
    let gap = world.open(Start::At(Offset::START, None)).await;
    let earliest = Offset::new(3);
    let gap = gap.expect_err("trimmed");
    assert!(
        matches!(gap, StreamError::Gap { earliest: it } if it == earliest),
        "{gap:?}"
    );
    for start in 3..=7 {
        let reader = world.open(Start::At(Offset::new(start), None)).await;
        let body = read_all(&mut reader.expect("kept")).await;
        assert!(body.ends_with(b"\"closed\":true}}\n"), "from {start}");
    }
}

#[tokio::test]
async fn what_is_appended_later_is_not_part_of_a_read() {
    let world = World::new();
    let mut writer = world.filled(2, 2).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    writer.append(&number(4)).await.expect("taken");
    writer.close(Ending::Finished).await.expect("open");
    let opened = reader.next().await.expect("readable");
    assert!(matches!(opened, Some(Frame::Open(_))), "{opened:?}");
    for rows in [[number(0), number(1)], [number(2), number(3)]] {
        assert_eq!(rows_of(reader.next().await.expect("readable")), rows);
    }
    let end = reader.next().await.expect("readable");
    let Some(Frame::End(End {
        offset,
        row_count,
        bytes,
        closed,
        ..
    })) = end
    else {
        panic!("{end:?}");
    };
    assert_eq!(
        (offset, row_count, bytes, closed),
        (Offset::new(4), 4, 40, false)
    );
    assert_eq!(reader.next().await.expect("over"), None);
}

#[tokio::test]
async fn a_stream_that_failed_says_so_after_its_last_row() {
    for (how, code) in [
        (
            Ending::Failed {
                code: "model_gone".into(),
                message: "the model went away".into(),
            },
            "model_gone",
        ),
        (Ending::Cancelled, "cancelled"),
    ] {
        let world = World::new();
        let mut writer = world.filled(1, 1).await;
        writer.close(how).await.expect("open");
        let body = String::from_utf8(world.body(Start::Earliest).await).expect("text");
        let last = body.lines().last().expect("a line");
        assert!(
            last.starts_with(&format!("{{\"error\":{{\"code\":\"{code}\"")),
            "{last}"
        );
        assert!(
            last.ends_with("\"resume\":\"0000000000000001\",\"closed\":true}}"),
            "{last}"
        );
    }
}

#[tokio::test]
async fn a_missing_chunk_is_corrupt_and_never_a_silent_gap() {
    for (missing, start) in [(0, 0), (2, 0), (2, 3), (4, 5), (2, 4)] {
        let world = World::new();
        world.filled(3, 2).await;
        let key = format!("acme/stream/out/chunk/{missing:020}");
        world.delete(&key).await;
        let code = match world.open(Start::At(Offset::new(start), None)).await {
            Err(error) => error.code(),
            Ok(mut reader) => loop {
                match reader.next().await {
                    Err(error) => break error.code(),
                    Ok(frame) => assert!(frame.is_some(), "{missing} from {start}"),
                }
            },
        };
        assert_eq!(code, "corrupt_record", "{missing} from {start}");
    }
}

#[tokio::test]
async fn a_chunk_without_its_mark_is_corrupt() {
    let world = World::new();
    world.filled(1, 2).await;
    world
        .put(
            "acme/stream/out/chunk/00000000000000000000",
            "{\"row\":0}\n",
        )
        .await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    reader.next().await.expect("it begins");
    let error = reader.next().await.expect_err("damaged");
    assert_eq!(error.code(), "corrupt_record");
    assert_eq!(reader.next().await.expect("over"), None);
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_somebody_reads() {
    let world = World::new();
    world.filled(9, 1).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    for _ in 0..8 {
        world.env.advance_ms(59_999);
        let frame = reader.next().await.expect("in time");
        assert!(frame.is_some(), "there is more");
    }
    world.env.advance_ms(60_000);
    assert_eq!(reader.next().await.expect_err("too late").code(), "expired");
    assert_eq!(reader.next().await.expect("over"), None);
    let heard = world.heard.words();
    assert_eq!(
        heard,
        ["stream.opened 9", "stream.closed snapshot_expired 7"]
    );
    assert_eq!(world.streams.occupancy(), Occupancy::default());
}

#[tokio::test]
async fn every_way_to_end_gives_the_slot_back_and_is_told_once() {
    let world = World::new();
    world.filled(2, 1).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    assert_eq!(world.streams.occupancy().all, 1);
    read_all(&mut reader).await;
    assert_eq!(
        world.streams.occupancy().all,
        0,
        "finished, though not dropped"
    );
    drop(reader);
    let mut reader = world.open(Start::Earliest).await.expect("there");
    reader.next().await.expect("it begins");
    reader.next().await.expect("a chunk");
    drop(reader);
    let none = Open::all(stream("none"));
    let none = world.streams.open(&caller(), &none).await;
    assert_eq!(none.expect_err("no such stream").code(), "not_found");
    world
        .delete("acme/stream/out/chunk/00000000000000000001")
        .await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    while reader.next().await.is_ok_and(|frame| frame.is_some()) {}
    assert_eq!(world.streams.occupancy(), Occupancy::default());
    let expected = [
        "stream.opened 2",
        "stream.closed ok 2",
        "stream.opened 2",
        "stream.closed disconnected 1",
        "stream.closed error 0",
        "stream.opened 2",
        "stream.closed error 1",
    ];
    assert_eq!(world.heard.words(), expected);
}

#[tokio::test]
async fn an_open_that_is_refused_tells_only_that() {
    let world = World::with(&Settings {
        streams_max: 2,
        principal_streams_max: 1,
        ..Settings::default()
    });
    world.filled(1, 1).await;
    let _reader = world.open(Start::Earliest).await.expect("there");
    let refused = world.open(Start::Earliest).await.expect_err("her only one");
    let (limit, current) = (1, 1);
    let principal = Refusal::Principal { limit, current };
    assert!(
        matches!(refused, StreamError::Capacity(it) if it == principal),
        "{refused:?}"
    );
    assert_eq!(refused.code(), "principal_stream_quota_exhausted");
    let bob = caller_of("acme", "bob");
    world.streams.create(&bob, &new("his")).await.expect("new");
    let his = Open::all(stream("his"));
    let _his = world.streams.open(&bob, &his).await.expect("free");
    let refused = world.streams.open(&bob, &his).await.expect_err("all taken");
    assert_eq!(refused.code(), "server_stream_capacity_exhausted");
    let heard = world.heard.words();
    assert_eq!(heard[1], "stream.closed capacity_refused 0");
    assert_eq!(heard.len(), 4, "{heard:?}");
}

#[tokio::test]
async fn settings_are_frozen_when_a_read_begins() {
    let world = World::new();
    world.filled(3, 1).await;
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let short = Settings {
        lease_ttl_ms: 10,
        ..Settings::default()
    };
    let changed = world.streams.configure(&short).expect("a duration");
    assert_eq!(changed, []);
    world.env.advance_ms(59_999);
    reader.next().await.expect("under the old settings");
    let mut reader = world.open(Start::Earliest).await.expect("there");
    world.env.advance_ms(10);
    assert_eq!(
        reader.next().await.expect_err("under the new").code(),
        "expired"
    );
}

/// What a follower sees of three rows that are appended while it waits.
async fn followed(streams: &Streams) -> Vec<String> {
    let mut writer = streams.create(&caller(), &new("out")).await.expect("new");
    let open = Open {
        follow: true,
        ..Open::all(stream("out"))
    };
    let mut reader = streams.open(&caller(), &open).await.expect("there");
    let reading = async {
        let mut client = Client::new();
        client.take(&read_all(&mut reader).await);
        assert!(client.ended, "{client:?}");
        client.proven
    };
    let writing = async {
        for count in 0..3 {
            tokio::task::yield_now().await;
            writer.append(&number(count)).await.expect("taken");
            writer.flush().await.expect("stored");
        }
        tokio::task::yield_now().await;
        writer.close(Ending::Finished).await.expect("open");
    };
    let (rows, ()) = tokio::join!(reading, writing);
    rows.iter().map(text).collect()
}

#[tokio::test]
async fn a_follower_sees_what_is_appended_by_looking_alone() {
    let world = World::new();
    let patient = Arc::new(Patient(Arc::clone(&world.env)));
    let strict = windlass_store_testing::StrictOptions::WITHOUT_ERRORS;
    let store = windlass_store_testing::Strict::new(Arc::clone(&world.ground), strict);
    let streams = Streams::new(Arc::new(store), patient, &Settings::default());
    assert_eq!(followed(&streams.expect("in range")).await, ["0", "1", "2"]);
}

#[tokio::test]
async fn a_follower_sees_what_is_appended_by_hints_alone() {
    let world = World::new();
    let frozen = Arc::new(Frozen(Arc::clone(&world.env)));
    let store = Arc::clone(&world.ground);
    let streams = Streams::new(store, frozen, &Settings::default());
    assert_eq!(followed(&streams.expect("in range")).await, ["0", "1", "2"]);
}

/// Calls of the store that opening at `offset` and reading one chunk takes.
async fn reads_at(store: &Arc<Faulty<MemoryStore>>, streams: &Streams, offset: u64) -> u64 {
    let before = store.calls(Some(Verb::Read));
    let open = Open {
        start: Start::At(Offset::new(offset), None),
        ..Open::all(stream("out"))
    };
    let mut reader = streams.open(&caller(), &open).await.expect("kept");
    reader.next().await.expect("it begins");
    assert_eq!(
        rows_of(reader.next().await.expect("readable"))[0],
        number(offset)
    );
    store.calls(Some(Verb::Read)) - before
}

#[tokio::test]
async fn opening_takes_as_many_reads_far_into_a_stream_as_near_its_beginning() {
    let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
    let store = Arc::new(Faulty::new(ground));
    let env = Arc::new(ManualEnv::new(7, START));
    let settings = Settings {
        chunk_rows: 4,
        ..Settings::default()
    };
    let streams = Streams::new(Arc::clone(&store) as _, env, &settings).expect("in range");
    let mut writer = streams.create(&caller(), &new("out")).await.expect("new");
    for count in 0..8_000 {
        writer.append(&number(count)).await.expect("taken");
    }
    // One of them is ahead of what was asked for.
    for (near, reads) in [(8, 4), (10, 4)] {
        assert_eq!(reads_at(&store, &streams, near).await, reads, "at {near}");
        let far = near + 4_000;
        assert_eq!(reads_at(&store, &streams, far).await, reads, "at {far}");
    }
}

#[test]
fn a_mark_s_line_is_read_as_it_was_written() {
    let mark = Mark::START;
    let line = mark.line();
    assert_eq!(Mark::of_line(line.as_bytes()), Some(mark));
    for wrong in [&line[1..], line.trim_end(), "", "{\"mark\":{}}\n"] {
        assert_eq!(Mark::of_line(wrong.as_bytes()), None, "{wrong}");
    }
}

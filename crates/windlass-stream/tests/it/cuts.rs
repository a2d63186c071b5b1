//! A line that breaks at any byte of 200 kB.

use windlass_core::{ManualEnv, Millis};
use windlass_stream::{Cursor, Digest, Ending, Frame, Mark, Offset, Row, Settings, Start};

use crate::cursors::opened;
use crate::support::{Client, World, caller, read_all};

/// Rows of all kinds and many lengths, that are chunks of about a kilobyte.
async fn recorded(world: &World) {
    let mut writer = world.create().await;
    let random = ManualEnv::new(5, Millis::new(0));
    let (mut bytes, mut count) = (0, 0_u64);
    while bytes < 230_000 {
        let mut noise = vec![0; usize::try_from(count * 37 % 150).expect("few")];
        windlass_core::Env::random(&random, &mut noise).expect("bytes");
        let row = match count % 3 {
            0 => Row::Bytes(noise.into()),
            1 => Row::json(format!("{{\"token\":{count},\"text\":\"{noise:?}\"}}")).expect("JSON"),
            _ => Row::json(count.to_string()).expect("JSON"),
        };
        writer.append(&row).await.expect("taken");
        bytes += row.content().len() * 5 / 4;
        count += 1;
        if count % 11 == 0 {
            writer.flush().await.expect("stored");
        }
    }
    writer.close(Ending::Finished).await.expect("open");
}

/// What a reader was sent, and the places in it at which a line with a mark
/// ends.
struct Sent {
    body: Vec<u8>,
    cursor: Cursor,
    /// After each mark, and the mark; first where the rows begin.
    marks: Vec<(usize, Mark)>,
    /// Where the last line begins, which is of this read alone.
    end: usize,
}

async fn sent(world: &World) -> Sent {
    let mut reader = world.open(Start::Earliest).await.expect("there");
    let open = opened(&mut reader).await;
    let mut body = Frame::Open(open.clone()).ndjson().to_vec();
    let mut marks = vec![(body.len(), Mark::START)];
    body.extend(read_all(&mut reader).await);
    let (mut at, mut end) = (0, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        end = at;
        at += line.len();
        if let Some(mark) = Mark::of_line(line) {
            marks.push((at, mark));
        }
    }
    let cursor = open.cursor.parse().expect("a cursor");
    Sent {
        body,
        cursor,
        marks,
        end,
    }
}

/// Where the last whole mark ends in what was received, by looking for it from
/// the end as a client would.
fn kept(received: &[u8]) -> Option<usize> {
    let mut end = received.iter().rposition(|byte| *byte == b'\n')? + 1;
    loop {
        let line = received[..end - 1].iter().rposition(|byte| *byte == b'\n');
        let start = line.map_or(0, |before| before + 1);
        if Mark::of_line(&received[start..end]).is_some() {
            return Some(end);
        }
        end = (start > 0).then_some(start)?;
    }
}

impl Sent {
    /// The last mark of what was received up to `cut`, and where it ends.
    fn last(&self, cut: usize) -> (usize, Option<Mark>) {
        let rows = self.marks[0].0;
        let Some(end) = kept(&self.body[..cut]) else {
            return (rows, None);
        };
        let place = self.marks.binary_search_by_key(&end, |(end, _)| *end);
        (end, Some(self.marks[place.expect("a mark ends there")].1))
    }
}

/// Goes on behind each mark, to the end: what comes is, byte for byte, what
/// would have come, and proves itself. What a cut leaves of a mark is proven by
/// looking at every one of them.
#[tokio::test]
async fn cut_at_every_byte_of_200_kilobytes_the_whole_is_byte_identical() {
    let world = World::new().calm();
    recorded(&world).await;
    let sent = sent(&world).await;
    assert!(sent.body.len() > 200_000 && sent.marks.len() > 100);
    for (end, mark) in &sent.marks {
        let received = (*mark != Mark::START).then_some(*mark);
        let resumed = world
            .streams
            .resume(&caller(), &sent.cursor, received)
            .await;
        let rest = read_all(&mut resumed.expect("it lasts")).await;
        let mut client = Client::new();
        client.at = (mark.offset, mark.digest);
        client.take(&rest);
        let whole = sent.marks.last().expect("one").1;
        assert_eq!(
            (client.at, client.ended),
            ((whole.offset, whole.digest), true)
        );
        let from = rest.iter().position(|byte| *byte == b'\n').expect("open") + 1;
        let last = rest[..rest.len() - 1]
            .iter()
            .rposition(|byte| *byte == b'\n');
        let rows = &rest[from..last.map_or(from, |end| end + 1)];
        assert!(rows == &sent.body[*end..sent.end], "from {}", mark.offset);
    }
    for cut in 0..=sent.body.len() {
        let (end, mark) = sent.last(cut);
        assert!(end <= cut.max(sent.marks[0].0), "cut at {cut}");
        // Nothing whole comes between this mark and the cut.
        let place = sent.marks.partition_point(|(end, _)| *end <= cut);
        let expected = place.checked_sub(1).map(|place| sent.marks[place].1);
        let expected = expected.filter(|mark| mark.offset > Offset::START);
        assert_eq!(mark, expected, "cut at {cut}");
    }
}

/// Every 60th byte with a real client: a cursor, the digest of what it has,
/// and the next chunk as it comes.
#[tokio::test]
async fn cut_at_thousands_of_bytes_a_cursor_and_a_digest_go_on() {
    let world = World::new().calm();
    recorded(&world).await;
    let sent = sent(&world).await;
    let mut resumed = 0;
    for cut in (0..=sent.body.len()).step_by(60) {
        let (end, mark) = sent.last(cut);
        let reader = world.streams.resume(&caller(), &sent.cursor, mark).await;
        let mut reader = reader.expect("it lasts");
        let open = opened(&mut reader).await;
        let start = mark.unwrap_or(Mark::START);
        assert_eq!((open.start, open.digest), (start.offset, start.digest));
        let next = reader.next().await.expect("works").expect("not the end");
        if let Frame::Chunk(chunk) = next {
            let lines = chunk.lines();
            assert!(sent.body[end..].starts_with(lines), "cut at {cut}");
        } else {
            assert_eq!(end, sent.end, "cut at {cut}");
        }
        resumed += 1;
        if let Some(mark) = mark.filter(|_| resumed % 10 == 0) {
            let wrong = Mark {
                digest: Digest::START,
                ..mark
            };
            let refused = world
                .streams
                .resume(&caller(), &sent.cursor, Some(wrong))
                .await;
            let code = windlass_core::Coded::code(&refused.expect_err("another digest"));
            assert_eq!(code, "prefix_hash_mismatch");
        }
    }
    assert!(resumed > 3_000, "{resumed}");
    assert_eq!(world.streams.occupancy().all, 0);
    assert_eq!(Settings::default(), *world.streams.settings());
}

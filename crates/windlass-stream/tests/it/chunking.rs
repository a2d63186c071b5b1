//! When chunks are cut, and what is in them.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use windlass_stream::limits::{CHUNK_BYTES_MAX, LONG_ROW_BYTES_MAX, ROW_BYTES_MAX};
use windlass_stream::{Caps, Chunker, Cut, Reason, Row, RowError, RowsHasher};

const CAPS: Caps = Caps {
    bytes: 100,
    rows: 4,
    latency: Duration::from_millis(50),
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn row(text: &str) -> Row {
    Row::json(text.to_owned()).expect("JSON")
}

/// A JSON text of so many bytes.
fn long(length: usize) -> Row {
    row(&format!("\"{}\"", "x".repeat(length - 2)))
}

fn chunker(caps: Caps) -> Chunker {
    Chunker::new(caps, 0, Duration::ZERO)
}

/// Why a chunk of these rows is flushed at `now`.
fn reason(caps: Caps, rows: &[Row], now: u64) -> Option<Reason> {
    let mut chunker = chunker(caps);
    rows.iter().for_each(|row| chunker.push(row));
    chunker.reached(ms(now))
}

#[test]
fn a_chunk_is_flushed_at_the_first_cap_it_reaches() {
    // A line has nine bytes more than its row.
    assert_eq!(reason(CAPS, &[long(90)], 0), None, "99 bytes");
    assert_eq!(reason(CAPS, &[long(91)], 0), Some(Reason::Bytes));
    let rows = vec![row("1"); 4];
    assert_eq!(reason(CAPS, &rows[..3], 0), None);
    assert_eq!(reason(CAPS, &rows, 0), Some(Reason::Rows));
    assert_eq!(reason(CAPS, &rows[..1], 49), None);
    assert_eq!(reason(CAPS, &rows[..1], 50), Some(Reason::Latency));
    assert_eq!(reason(CAPS, &[], 1_000), None, "nothing waits");
}

#[test]
fn on_a_tie_bytes_come_before_rows_and_rows_before_latency() {
    let (small, large) = (vec![row("1"); 4], vec![long(40); 4]);
    assert_eq!(reason(CAPS, &large, 50), Some(Reason::Bytes));
    assert_eq!(reason(CAPS, &small, 50), Some(Reason::Rows));
}

#[test]
fn latency_counts_from_the_last_flush_and_not_from_the_row() {
    let mut chunker = chunker(CAPS);
    assert_eq!(chunker.deadline(), None, "nothing to flush");
    chunker.push(&row("1"));
    assert_eq!(chunker.deadline(), Some(ms(50)));
    let cut = chunker.cut(Reason::Latency).expect("a row");
    chunker.acknowledge(cut.rows, cut.lines.len(), cut.reason, ms(70));
    chunker.push(&row("2"));
    assert_eq!(chunker.deadline(), Some(ms(120)));
    assert_eq!(chunker.reached(ms(200)), Some(Reason::Latency));
}

#[test]
fn without_latency_each_row_is_flushed_by_itself() {
    let caps = Caps {
        latency: Duration::ZERO,
        ..CAPS
    };
    assert_eq!(reason(caps, &[row("1")], 0), Some(Reason::Latency));
}

#[test]
fn an_empty_end_cuts_nothing() {
    assert_eq!(chunker(CAPS).cut(Reason::End), None);
}

#[test]
fn what_was_written_is_reported_with_the_last_reason() {
    let mut chunker = chunker(CAPS);
    for reason in [Reason::Rows, Reason::End] {
        chunker.push(&row("1"));
        chunker.push(&row("22"));
        let cut = chunker.cut(reason).expect("rows");
        assert_eq!((chunker.rows(), chunker.bytes()), (0, 0));
        chunker.acknowledge(cut.rows, cut.lines.len(), reason, ms(1));
    }
    let flushed = chunker.flushed();
    assert_eq!((flushed.flushes, flushed.rows, flushed.bytes), (2, 4, 42));
    assert_eq!(flushed.last, Some(Reason::End));
}

#[test]
fn a_row_that_would_not_fit_into_a_mebibyte_waits_for_the_next_chunk() {
    let caps = Caps {
        bytes: CHUNK_BYTES_MAX,
        ..CAPS
    };
    let mut chunker = chunker(caps);
    chunker.push(&long(10));
    let largest = long(ROW_BYTES_MAX - 8);
    assert_eq!(chunker.blocks(&largest, ms(0)), Some(Reason::Bytes));
    assert_eq!(chunker.cut(Reason::Bytes).expect("a row").rows, 1);
    assert_eq!(chunker.blocks(&largest, ms(0)), None);
    chunker.push(&largest);
    assert_eq!(chunker.bytes(), CHUNK_BYTES_MAX);
}

#[test]
fn rows_that_are_no_line_of_json_are_refused() {
    assert_eq!(Row::json("{"), Err(RowError::NotJson));
    assert_eq!(Row::json("1 2"), Err(RowError::NotJson));
    assert_eq!(Row::json(""), Err(RowError::NotJson));
    assert_eq!(Row::json(&b"\"\xff\""[..]), Err(RowError::NotJson));
    assert_eq!(Row::json("[1,\n2]"), Err(RowError::LineBreak));
    assert_eq!(Row::json("[1,\r2]"), Err(RowError::LineBreak));
    let max = LONG_ROW_BYTES_MAX;
    let length = max + 1;
    let long = format!("\"{}\"", "x".repeat(length - 10));
    assert_eq!(Row::json(long), Err(RowError::TooLong { length, max }));
    assert_eq!(
        Row::json("[1, 2]").map(|row| row.content().clone()),
        Ok("[1, 2]".into())
    );
}

/// JSON texts and bytes of mixed lengths.
fn any_row() -> impl Strategy<Value = Row> {
    let json = "[a-z \\\\\"{}é\u{2028}]{0,60}".prop_map(|text| {
        let text = serde_json::to_string(&text).expect("a string");
        Row::json(text).expect("JSON")
    });
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![json, bytes.prop_map(|bytes| Row::Bytes(bytes.into()))]
}

/// Chunks of rows that come at intervals, flushed when they have to be.
fn cut_all(caps: Caps, rows: &[(Row, u64)]) -> Vec<Cut> {
    let mut chunker = chunker(caps);
    let (mut cuts, mut now) = (Vec::new(), Duration::ZERO);
    let flush = |chunker: &mut Chunker, reason, now| {
        let cut = chunker.cut(reason)?;
        chunker.acknowledge(cut.rows, cut.lines.len(), reason, now);
        Some(cut)
    };
    for (row, wait) in rows {
        let until = now + ms(*wait);
        if let Some(due) = chunker.deadline().filter(|due| *due <= until) {
            cuts.extend(flush(&mut chunker, Reason::Latency, due));
        }
        now = until;
        if let Some(reason) = chunker.blocks(row, now) {
            cuts.extend(flush(&mut chunker, reason, now));
        }
        chunker.push(row);
        if let Some(reason) = chunker.reached(now) {
            cuts.extend(flush(&mut chunker, reason, now));
        }
    }
    cuts.extend(flush(&mut chunker, Reason::End, now));
    cuts
}

proptest! {
    #[test]
    fn chunks_hold_every_row_once_in_order_and_keep_their_caps(
        rows in prop::collection::vec((any_row(), 0_u64..80), 0..60),
        bytes in 1_usize..400,
        most in 1_usize..9,
    ) {
        let caps = Caps { bytes, rows: most, latency: ms(50) };
        let cuts = cut_all(caps, &rows);
        let mut left = rows.iter().map(|(row, _)| row);
        for cut in &cuts {
            let lines = Bytes::from(cut.lines.clone());
            let mut hasher = RowsHasher::new();
            let mut last = 0;
            let mut count = 0;
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                let row = Row::of_line(&lines.slice_ref(line)).expect("a row's line");
                prop_assert_eq!(Some(&row), left.next());
                hasher.row(row.content());
                last = line.len();
                count += 1;
            }
            prop_assert_eq!(cut.rows, count);
            prop_assert_eq!(cut.hash, hasher.finish());
            prop_assert!(count > 0 && count <= u64::try_from(most).expect("small"));
            prop_assert!(cut.lines.len() - last < bytes, "full before its last row");
        }
        prop_assert_eq!(left.next(), None);
    }

    #[test]
    fn room_for_a_mark_is_kept_without_another_copy(
        rows in prop::collection::vec(any_row(), 1..30),
        room in 0_usize..200,
    ) {
        let caps = Caps { bytes: 1_000, rows: 1_000, latency: ms(50) };
        let mut chunker = Chunker::new(caps, room, Duration::ZERO);
        for row in &rows {
            chunker.push(row);
        }
        let lines = chunker.cut(Reason::End).expect("rows").lines;
        prop_assert!(lines.capacity() - lines.len() >= room);
        prop_assert!(lines.capacity() <= lines.len().max(1_000) + 200 + room);
    }
}

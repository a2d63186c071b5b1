//! Rows out over HTTP: a recorded stream, from SQLite into the socket of one
//! reader, beside the same bytes sent in fewer steps.

use bytes::Bytes;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::Bar;
use crate::sessions::rows;
use crate::sessions::{Bench, Measured, dropped_note};

use super::Plain;
use super::fetch::{Fetch, request};
use super::fixture::{open, record};
use super::plain::{FromMemory, Loop, each_segment, serve, unpack};
use super::served::Served;

/// Bytes of a stream.
const STREAM_BYTES: u64 = 64 << 20;
/// Bytes where it only has to be shown that all runs.
const STREAM_BYTES_QUICK: u64 = 2 << 20;

/// Rows of 100 bytes and of a KiB, as their lines are long. There is no bar
/// for rows of a KiB beside a query and a write each: that sends an eighth of
/// what memory does, so nothing could send twenty times as much.
const LINES: [(usize, f64, Bar); 2] = [
    (100, 0.4, Bar::RatioAtLeast(20.0)),
    (1_024, 0.5, Bar::Absent),
];

/// Reading a whole stream over HTTP.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn out(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let mut measured = Measured::default();
    for (number, (line_bytes, memory, rows)) in LINES.into_iter().enumerate() {
        let bars = [Bar::RatioAtLeast(memory), Bar::RatioAtLeast(0.85), rows];
        let one = rows_of(bench, number, line_bytes, bars)?;
        measured.rows.extend(one.rows);
        measured.notes.extend(one.notes);
    }
    Ok(measured)
}

fn rows_of(
    bench: &Bench<'_>,
    number: usize,
    line_bytes: usize,
    bars: [Bar; 3],
) -> Result<Measured, BenchError> {
    let bytes = match bench.quick {
        true => STREAM_BYTES_QUICK,
        false => STREAM_BYTES,
    };
    let path = bench.directory.join(format!("out-{line_bytes}.db"));
    bench.runtime.block_on(async {
        let windlass = open(&path).await?;
        let count = bytes / u64::try_from(line_bytes).unwrap_or(u64::MAX);
        record(&windlass, number, count, line_bytes).await?;
        windlass.store().close().await?;
        Ok::<_, BenchError>(())
    })?;
    let mut segments = Vec::new();
    each_segment(&rows::open(&path, None)?, number, |segment| {
        segments.push(Bytes::copy_from_slice(segment));
        Ok(())
    })?;
    let sum: usize = segments.iter().map(Bytes::len).sum();
    let body_bytes = u64::try_from(sum).unwrap_or(0);
    unpack(&path, number)?;
    let served = Served::start(open(&path))?;
    let memory = FromMemory::start(segments)?;
    let by_segment = serve(&path, number, Loop::Segments)?;
    let by_row = serve(&path, number, Loop::Rows)?;
    let plain = |name, address| Fetch::new(name, address, request(address, "/", None), body_bytes);
    let mut sides: Vec<Box<dyn Side<Sample = f64>>> = vec![
        Box::new(Fetch::new(
            "ours",
            served.address,
            served.request(number),
            body_bytes,
        )),
        Box::new(plain("axum from memory", memory.address)),
        Box::new(plain("a loop over segments", by_segment)),
        Box::new(plain("a loop over rows", by_row)),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let versus = [
        "axum, the same bytes from memory",
        "hand-written loop, the same segments",
        "a query and a write a row",
    ];
    let rows = versus
        .into_iter()
        .zip(bars)
        .enumerate()
        .map(|(place, (versus, bar))| {
            let row = Plain {
                what: format!("rows of {line_bytes} B out over HTTP, SQLite"),
                versus,
                unit: "MB/s",
                against: Some(place + 1),
                bar,
                durability: Durability::Reads,
            };
            row.row(&rounds)
        });
    Ok(Measured {
        rows: rows.collect(),
        notes: dropped_note("out", &rounds.dropped).into_iter().collect(),
    })
}

//! How soon the first row is there, and what it costs to open a stream deep
//! within.

use std::time::Duration;

use windlass::Windlass;
use windlass::stream::{Ending, Frame, Offset, Open, Start, Streams};

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Row};
use crate::harness::throughput::decimal;
use crate::sessions::{Bench, Measured, dropped_note};

use super::Plain;
use super::fetch::Fetch;
use super::fixture::{caller, name, new, open, record, row};
use super::served::Served;

/// Rows of the small and of the large stream.
const ROWS: [u64; 2] = [10, 1_000_000];
/// Rows of the large one where it only has to be shown that all runs.
const ROWS_QUICK: u64 = 20_000;
/// Bytes of a row's line.
const LINE_BYTES: usize = 100;

/// From the request to the first row, over HTTP: half of all are sooner.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn first_row(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = bench.directory.join("first.db");
    let sizes = [ROWS[0], if bench.quick { ROWS_QUICK } else { ROWS[1] }];
    bench.runtime.block_on(async {
        let windlass = open(&path).await?;
        for (number, rows) in sizes.into_iter().enumerate() {
            record(&windlass, number, rows, LINE_BYTES).await?;
        }
        windlass.store().close().await?;
        Ok::<_, BenchError>(())
    })?;
    let served = Served::start(open(&path))?;
    let mut measured = Measured::default();
    for (number, rows) in sizes.into_iter().enumerate() {
        let fetch = Fetch::new("ours", served.address, served.request(number), 0);
        let mut sides: Vec<Box<dyn Side<Sample = f64>>> = vec![Box::new(First { fetch })];
        let rounds = contest(&mut sides, bench.effort, bench.directory)?;
        let row = Plain {
            what: format!("first row after the request, a stream of {rows} rows, p50"),
            versus: "-",
            unit: "ms",
            against: None,
            bar: Bar::OursAtMost(2.0),
            durability: Durability::PowerLoss,
        };
        measured.rows.push(row.row(&rounds));
        measured
            .notes
            .extend(dropped_note("first", &rounds.dropped));
    }
    Ok(measured)
}

struct First {
    fetch: Fetch,
}

impl Side for First {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "ours"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let end = clock::now() + span;
        let mut waits = Vec::new();
        while clock::now() < end {
            waits.push(self.fetch.first_row()?);
        }
        waits.sort_unstable();
        Ok(waits[waits.len() / 2].as_secs_f64() * 1e3)
    }
}

/// Where the long stream is opened.
const OFFSETS: [u64; 2] = [10_000_000, 100];
/// The deep one where it only has to be shown that all runs.
const DEEP_QUICK: u64 = 50_000;

/// Opening a stream of ten million rows at its end and near its beginning.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn deep(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = bench.directory.join("deep.db");
    let [mut far, near] = OFFSETS;
    if bench.quick {
        far = DEEP_QUICK;
    }
    let windlass = bench.runtime.block_on(async {
        let windlass = open(&path).await?;
        fill(&windlass, far + 100).await?;
        Ok::<_, BenchError>(windlass)
    })?;
    let side = |offset| -> Box<dyn Side<Sample = f64>> {
        Box::new(At {
            bench,
            streams: windlass.streams().clone(),
            offset: Offset::new(offset),
        })
    };
    let mut sides = vec![side(far), side(near)];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let row: Row = Plain {
        what: format!("opening at offset {far} of a stream, SQLite"),
        versus: "at offset 100",
        unit: "us",
        against: Some(1),
        bar: Bar::RatioAtMost(1.5),
        durability: Durability::PowerLoss,
    }
    .row(&rounds);
    Ok(Measured {
        rows: vec![row],
        notes: dropped_note("deep", &rounds.dropped).into_iter().collect(),
    })
}

async fn fill(windlass: &Windlass, rows: u64) -> Result<(), BenchError> {
    let mut writer = windlass.streams().create(&caller(), &new(0)).await?;
    for number in 0..rows {
        let written = writer.append(&row(number, 0)).await;
        written.map_err(|refused| refused.error)?;
    }
    writer.close(Ending::Finished).await?;
    Ok(())
}

struct At<'b> {
    bench: &'b Bench<'b>,
    streams: Streams,
    offset: Offset,
}

impl Side for At<'_> {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "opening"
    }

    /// Opens, reads the first rows and leaves, over and over.
    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let what = Open {
            start: Start::At(self.offset, None),
            ..Open::all(name(0).parse().expect("a valid name"))
        };
        let start = clock::now();
        let mut times = 0;
        while start.elapsed() < span {
            self.bench.runtime.block_on(async {
                let mut reader = self.streams.open(&caller(), &what).await?;
                let opened = reader.next().await?;
                let chunk = reader.next().await?;
                match (opened, chunk) {
                    (Some(Frame::Open(_)), Some(Frame::Chunk(_))) => Ok(()),
                    other => Err(BenchError::Unfair(format!("it gave {other:?}"))),
                }
            })?;
            times += 1;
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / decimal(times))
    }
}

//! The table of the server: what HTTP costs over the engine in process, and
//! over handing out bytes from memory.
//!
//! Clients, server and store share the machine, as the other sides share it.
//!
//! | module | what is in it |
//! |---|---|
//! | [`mod@line`] | one connection that asks the same thing again and again |
//! | [`consoles`] | those who look on meanwhile |
//! | [`sides`] | the servers that are compared |
//! | [`redis`] | Redis, where it is installed |

pub mod consoles;
pub mod line;
pub mod redis;
pub mod sides;

use windlass::core::Sharing;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds, Side, contest};
use crate::harness::report::Report;
use crate::harness::row::{Bar, Comparison, Row, figure};
use crate::harness::throughput::Throughput;
use crate::sessions::fixture::{CALLS, Fixture};
use crate::sessions::ours::{Hope, Ours, Spreading, Work};
use crate::sessions::{Bench, dropped_note, machine_note, throughput_figures};

use sides::{Lines, Served};

/// The parts of the table.
pub const PARTS: [&str; 3] = ["use", "get", "console"];

/// Connections, each with a session.
pub const CONNECTIONS: usize = 64;

const WORK: Work = Work {
    callers: CONNECTIONS,
    spreading: Spreading::OwnSession,
    operations: false,
    hope: Hope::Grants,
};

/// Measures the table.
///
/// # Errors
///
/// Whatever makes the figures worthless; a missed bar is no error.
pub fn run(bench: &Bench<'_>, only: Option<&str>) -> Result<Report, BenchError> {
    let mut report = Report::default();
    report.notes.push(machine_note(bench)?);
    for part in PARTS
        .into_iter()
        .filter(|part| only.is_none_or(|only| only == *part))
    {
        bench.say.say(part);
        match part {
            "use" => uses(bench, &mut report)?,
            "console" => consoles(bench, &mut report)?,
            _ => gets(bench, &mut report)?,
        }
    }
    Ok(report)
}

fn fixture(bench: &Bench<'_>, name: &str) -> Result<Fixture, BenchError> {
    Fixture::create(
        bench.runtime,
        bench.directory.join(name),
        CONNECTIONS,
        CALLS,
    )
}

type Sides<'r> = Vec<Box<dyn Side<Sample = Throughput> + 'r>>;

fn uses(bench: &Bench<'_>, report: &mut Report) -> Result<(), BenchError> {
    let first = fixture(bench, "http.db")?;
    let second = first.copy_to(bench.directory.join("in-process.db"))?;
    let third = first.copy_to(bench.directory.join("alone.db"))?;
    let served = Served::start(&first.path, Sharing::Shared)?;
    let alone = Served::start(&third.path, Sharing::Exclusive)?;
    let mut sides: Sides<'_> = vec![
        Box::new(Lines::uses(bench.runtime, "HTTP", &served)?),
        Box::new(Ours::open(bench.runtime, &second.path, None, WORK)?),
        Box::new(Lines::uses(
            bench.runtime,
            "HTTP, store of its own",
            &alone,
        )?),
    ];
    let redis = redis::Redis::start(bench.directory)?;
    if let Some(redis) = &redis {
        sides.push(Box::new(redis.lines(bench.runtime)?));
    }
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    drop(sides);
    let what = format!("use over HTTP, {CONNECTIONS} connections, SQLite");
    report
        .rows
        .push(row(&rounds, what, "in process", 0.5, Durability::PowerLoss));
    report.notes.extend(dropped_note("use", &rounds.dropped));
    let of = |place: usize| shown(&rounds, place, Durability::PowerLoss);
    let beside = format!(
        "the same over a store that no other process may open: {}",
        of(2)
    );
    report.notes.push(beside);
    report.notes.push(match redis {
        Some(_) => format!(
            "Redis, appendfsync always, {CONNECTIONS} connections, SET of {} bytes: {}",
            redis::VALUE_BYTES,
            of(3)
        ),
        None => "Redis is not installed: not measured".to_owned(),
    });
    Ok(())
}

fn gets(bench: &Bench<'_>, report: &mut Report) -> Result<(), BenchError> {
    let first = fixture(bench, "get.db")?;
    let second = first.copy_to(bench.directory.join("get-alone.db"))?;
    let served = Served::start(&first.path, Sharing::Shared)?;
    let alone = Served::start(&second.path, Sharing::Exclusive)?;
    let bytes = sides::FromMemory::start(served.one_session()?)?;
    let mut sides: Sides<'_> = vec![
        Box::new(Lines::gets(
            bench.runtime,
            "HTTP, store of its own",
            &alone,
        )?),
        Box::new(bytes.lines(bench.runtime)?),
        Box::new(Lines::gets(bench.runtime, "HTTP", &served)?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    drop(sides);
    let what = format!("GET of a session, {CONNECTIONS} connections, SQLite, store of its own");
    let versus = "axum, the same bytes from memory";
    report
        .rows
        .push(row(&rounds, what, versus, 0.6, Durability::Reads));
    report.notes.extend(dropped_note("get", &rounds.dropped));
    let shared = shown(&rounds, 2, Durability::Reads);
    let beside = format!("the same over a store that other processes may open: {shared}");
    report.notes.push(beside);
    Ok(())
}

/// Consoles that are open.
const CONSOLES: usize = 10;

fn consoles(bench: &Bench<'_>, report: &mut Report) -> Result<(), BenchError> {
    let first = fixture(bench, "looked-at.db")?;
    let second = first.copy_to(bench.directory.join("left-alone.db"))?;
    let looked_at = Served::start(&first.path, Sharing::Exclusive)?;
    let left_alone = Served::start(&second.path, Sharing::Exclusive)?;
    let open = looked_at.consoles(bench.runtime, CONSOLES)?;
    let mut sides: Sides<'_> = vec![
        Box::new(Lines::uses(bench.runtime, "ten consoles", &looked_at)?),
        Box::new(Lines::uses(bench.runtime, "no console", &left_alone)?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    drop(sides);
    let seen = open.events();
    if seen == 0 {
        let why = "the consoles were shown nothing while it was measured";
        return Err(BenchError::Unfair(why.to_owned()));
    }
    let what = format!("use over HTTP, {CONNECTIONS} connections, {CONSOLES} consoles open");
    let row = row(&rounds, what, "none open", 0.95, Durability::PowerLoss);
    report.rows.push(row);
    report
        .notes
        .extend(dropped_note("console", &rounds.dropped));
    let note = format!("overviews that the {CONSOLES} consoles were shown: {seen}");
    report.notes.push(note);
    Ok(())
}

fn row(
    rounds: &Rounds<Throughput>,
    what: String,
    versus: &'static str,
    bar: f64,
    durability: Durability,
) -> Row {
    let comparison = Comparison {
        what,
        versus,
        unit: "1/s",
        number: &Throughput::per_second,
        figures: &|samples| throughput_figures(samples, durability),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtLeast(bar),
    };
    comparison.row(rounds)
}

fn shown(rounds: &Rounds<Throughput>, place: usize, durability: Durability) -> String {
    let samples: Vec<_> = rounds.samples.iter().map(|round| &round[place]).collect();
    let figures = throughput_figures(&samples, durability);
    let wait = |us: Option<f64>| figure(us.unwrap_or(f64::NAN));
    let (p50, p99) = (wait(figures.p50_us), wait(figures.p99_us));
    format!("{}/s (p50/p99 {p50}/{p99} us)", figure(figures.median))
}

//! Measures a table and prints it.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use tokio::runtime::Builder;
use windlass_benches::error::BenchError;
use windlass_benches::harness::contest::Effort;
use windlass_benches::harness::report::Report;
use windlass_benches::sessions::{self, Bench, Say, worker};
use windlass_benches::{
    backup, cache, checkpoints, drills, footprint, queue, server, stash, stores, streams,
};

/// Where databases are made if there is such a directory: `/tmp` may be
/// memory.
const BUILD_DIRECTORY: &str = "target";

/// The exit code of a table that could not be measured at all.
const EXIT_FAILED: u8 = 3;

/// Measures how fast the engine is. Exit codes: 0 every bar is met, 1 one is
/// missed, 2 wrong usage, 3 the bench failed, 4 the machine is too slow or
/// too disturbed to tell.
#[derive(Debug, Parser)]
#[command(name = "windlass-benches")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures the table of sessions.
    Sessions {
        /// Measures one part only, after the anchors.
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(sessions::part_names()))]
        only: Option<String>,
        #[command(flatten)]
        table: Table,
    },
    /// Measures the table of the stash.
    Stash {
        /// Measures one part only.
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(stash::part_names()))]
        only: Option<String>,
        #[command(flatten)]
        table: Table,
    },
    /// Measures the table of the cache; beside another one where its program
    /// was built.
    Cache {
        /// Measures one part only.
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(cache::part_names()))]
        only: Option<String>,
        #[command(flatten)]
        peer: Peer,
        #[command(flatten)]
        table: Table,
    },
    /// Measures the table of checkpoints.
    Checkpoints {
        /// Measures one part only.
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(checkpoints::part_names()))]
        only: Option<String>,
        #[command(flatten)]
        table: Table,
    },
    /// Measures the table of the queue; beside another one where its program
    /// was built.
    Queue {
        /// Measures one part only.
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(queue::PARTS))]
        only: Option<String>,
        #[command(flatten)]
        peer: Peer,
        #[command(flatten)]
        table: Table,
    },
    /// Measures the table of stores; needs PostgreSQL's server installed.
    Stores {
        #[command(flatten)]
        table: Table,
    },
    /// Measures the table of backups, restores and checks.
    Backup {
        #[command(flatten)]
        table: Table,
    },
    /// Measures how large the stores of recorded runs become.
    Footprint {
        #[command(flatten)]
        table: Table,
    },
    /// Measures the table of the server; beside Redis where it is installed.
    Server {
        /// Measures one part only.
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(server::PARTS))]
        only: Option<String>,
        #[command(flatten)]
        table: Table,
    },
    /// Measures the table of streams.
    Streams {
        /// Measures one part only.
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(streams::part_names()))]
        only: Option<String>,
        #[command(flatten)]
        table: Table,
    },
    /// Kills a primary over and over and lets its standby take over; exit code
    /// 1 if anything that was acknowledged is lost.
    Failover {
        /// How often: 1 to 1000.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        cycles: u16,
        #[command(flatten)]
        table: Table,
    },
    /// Uses sessions beside another process.
    #[command(hide = true)]
    Worker(worker::Orders),
    /// Opens a store and uses one session.
    #[command(hide = true)]
    Open {
        /// The database.
        path: PathBuf,
    },
    /// Follows streams over many connections.
    #[command(hide = true)]
    Follow {
        /// The server.
        address: SocketAddr,
        /// How many connections.
        count: usize,
    },
    /// Holds many numbers in a stash.
    #[command(hide = true)]
    Hold,
}

#[derive(Debug, Args)]
struct Table {
    /// Prints one JSON object a row instead of the table.
    #[arg(long)]
    json: bool,
    /// Shows that everything runs; too short for figures.
    #[arg(long)]
    quick: bool,
    /// Makes databases here; must not be in memory.
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
struct Peer {
    /// The program of benches/peers.
    #[arg(long = "peer", value_name = "PATH")]
    program: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nobody may be reading.
            let _ = writeln!(io::stderr(), "windlass-benches: {}", chain(&error));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn run(command: Command) -> Result<u8, BenchError> {
    match command {
        Command::Sessions { only, table } => {
            measure(&table, |bench| sessions::run(bench, only.as_deref()))
        }
        Command::Stash { only, table } => {
            measure(&table, |bench| stash::run(bench, only.as_deref()))
        }
        Command::Cache { only, peer, table } => {
            let run = |bench: &Bench<'_>| cache::run(bench, only.as_deref());
            measure_beside(&peer, &table, run)
        }
        Command::Checkpoints { only, table } => {
            measure(&table, |bench| checkpoints::run(bench, only.as_deref()))
        }
        Command::Queue { only, peer, table } => {
            let run = |bench: &Bench<'_>| queue::run(bench, only.as_deref());
            measure_beside(&peer, &table, run)
        }
        Command::Backup { table } => measure(&table, backup::run),
        Command::Stores { table } => measure(&table, stores::run),
        Command::Footprint { table } => measure(&table, footprint::run),
        Command::Server { only, table } => {
            measure(&table, |bench| server::run(bench, only.as_deref()))
        }
        Command::Streams { only, table } => {
            measure(&table, |bench| streams::run(bench, only.as_deref()))
        }
        Command::Follow { address, count } => {
            let (input, output) = (io::stdin(), io::stdout());
            let (mut input, mut output) = (input.lock(), output.lock());
            streams::followers::follow(address, count, &mut input, &mut output).map(|()| 0)
        }
        Command::Failover { cycles, table } => failover(cycles.into(), &table),
        Command::Hold => stash::heap::hold(&mut io::stdout().lock()).map(|()| 0),
        Command::Worker(orders) => {
            let (input, output) = (io::stdin(), io::stdout());
            worker::work(&orders, &mut input.lock(), &mut output.lock()).map(|()| 0)
        }
        Command::Open { path } => worker::open(&path, &mut io::stdout().lock()).map(|()| 0),
    }
}

fn measure(
    table: &Table,
    run: impl FnOnce(&Bench<'_>) -> Result<Report, BenchError>,
) -> Result<u8, BenchError> {
    measure_beside(&Peer::default(), table, run)
}

fn measure_beside(
    peer: &Peer,
    table: &Table,
    run: impl FnOnce(&Bench<'_>) -> Result<Report, BenchError>,
) -> Result<u8, BenchError> {
    let report = with_bench(peer, table, run)?;
    print(&report, table.json).map_err(BenchError::io("print the table"))?;
    Ok(report.exit_code())
}

fn with_bench<T>(
    peer: &Peer,
    table: &Table,
    run: impl FnOnce(&Bench<'_>) -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let directory = tempfile::Builder::new()
        .prefix("windlass-bench-")
        .tempdir_in(parent(table.directory.as_deref()))
        .map_err(BenchError::io("make a directory for databases"))?;
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(BenchError::io("start a runtime"))?;
    let bench = Bench {
        runtime: &runtime,
        directory: directory.path(),
        effort: if table.quick {
            Effort::quick()
        } else {
            Effort::full()
        },
        quick: table.quick,
        peer: peer.program.as_deref(),
        say: &Progress,
    };
    run(&bench)
}

fn failover(cycles: usize, table: &Table) -> Result<u8, BenchError> {
    let mut kept = false;
    let bench = |bench: &Bench<'_>| {
        kept = drills::failover::failover(bench, cycles, table.json, &mut io::stdout().lock())?;
        Ok(())
    };
    with_bench(&Peer::default(), table, bench)?;
    Ok(u8::from(!kept))
}

fn parent(asked: Option<&Path>) -> PathBuf {
    match asked {
        Some(directory) => directory.to_owned(),
        None if fs::exists(BUILD_DIRECTORY).unwrap_or(false) => BUILD_DIRECTORY.into(),
        None => std::env::temp_dir(),
    }
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let text = if json { report.json() } else { report.text() };
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Tells on stderr what is being measured.
#[derive(Debug)]
struct Progress;

impl Say for Progress {
    fn say(&self, line: &str) {
        // Nobody may be reading.
        let _ = writeln!(io::stderr(), "measuring: {line}");
    }
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

//! The chores of the project behind one command.
//!
//! `cargo xtask ci` is what a change has to pass; it is the list of steps in
//! `ci.rs`, run and timed by `steps.rs`. `layers` and `tidy` are the two steps
//! that are written here instead of being another program's: one compares the
//! dependency graph with a table, the other reads the sources for the habits
//! of the house. Nothing here is published or imported by anything.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool speaks to whoever runs it"
)]

mod bench;
mod ci;
mod commands;
mod conformance;
mod console;
mod drill;
mod durable;
mod error;
mod faults;
mod finding;
mod layers;
mod loops;
mod nightly;
mod outside;
mod quick;
mod release;
mod selective;
mod steps;
mod suite;
mod tidy;
mod workspace;

use std::error::Error as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::TaskError;

/// The chores of the Windlass project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs everything a change has to pass, and times it
    Ci {
        /// Leaves out what takes long: about a minute, for the inner loop
        #[arg(long)]
        quick: bool,
    },
    /// Repeats the long tests many more times than `ci` does
    Nightly,
    /// Puts known faults back, one by one, and sees that a test fails
    Faults {
        /// Only those whose name contains this
        only: Option<String>,
    },
    /// Tries every promise of the storage trait on every store
    Conformance {
        /// Prints one JSON object a line: store, promise, result, reason
        #[arg(long)]
        json: bool,
    },
    /// Loses a machine on purpose, and sees that nothing is lost with it
    Drill {
        /// Which drill
        drill: drill::Drill,
        /// Passed through to the drill, such as `--cycles 2` or `--json`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<String>,
    },
    /// Runs a suite that needs programs of others, which are fetched first
    Suite {
        /// Which suite
        suite: outside::Suite,
        #[command(flatten)]
        choice: outside::Choice,
    },
    /// Compares the dependency graph with the table of layers
    Layers,
    /// Counts what a fresh crate gets that takes one part alone
    Selective,
    /// Reads the sources for the habits of the house
    Tidy,
    /// Packages what would be published, and checks it; publishes nothing
    Release {
        /// Without it, says only how a release is made
        #[arg(long)]
        dry_run: bool,
    },
    /// Builds the benches in release and runs one of their tables
    Bench {
        /// The table, such as `sessions`
        table: String,
        /// Passed through to the table, such as `--json`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Ci { quick: true } => quick::run(),
        Task::Ci { quick: false } => ci::run(),
        Task::Nightly => nightly::run(),
        Task::Faults { only } => faults::run(only.as_deref()),
        Task::Conformance { json } => conformance::run(json),
        Task::Drill { drill, flags } => drill::run(drill, &flags),
        Task::Suite { suite, choice } => Ok(outside::run(suite, choice)),
        Task::Layers => layers::run(),
        Task::Selective => selective::run(),
        Task::Tidy => tidy::run(),
        Task::Release { dry_run } => release::run(dry_run),
        Task::Bench { table, flags } => bench::run(&table, &flags),
    };
    outcome.unwrap_or_else(|error| {
        report(&error);
        ExitCode::FAILURE
    })
}

fn report(error: &TaskError) {
    eprintln!("xtask: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        eprintln!("  because: {next}");
        cause = next.source();
    }
}

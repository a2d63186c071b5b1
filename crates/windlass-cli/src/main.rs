//! The `windlass` command: Windlass at a terminal and in scripts.
//!
//! Data goes to standard output, messages to standard error; with `--json`
//! both are JSON, one object a line. What went wrong is also said by the exit
//! code ([`failure::Exit`]). This crate is the only one that prints, reads
//! the environment and knows a configuration file; what sessions may do it
//! does not decide.
//!
//! Read first: [`args::Cli`] (what can be said), [`context::Context`] (what
//! every command is given), [`failure::Failure`] (how each ends that fails).

mod access;
mod args;
mod audit;
mod backup;
mod cache;
mod check;
mod checkpoint;
mod completions;
mod config;
mod consent;
mod context;
mod engine;
mod failure;
mod figures;
mod gc;
mod input;
mod key;
mod live;
mod maintenance;
mod man;
mod migrate;
mod output;
mod queue;
mod replay;
mod serve;
mod session;
mod signals;
mod stash;
mod store;
mod stream;
mod table;
mod tenant;
mod transfer;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind as Usage;
use clap::{CommandFactory, FromArgMatches};

use crate::args::{Cli, Command};
use crate::config::Environment;
use crate::context::Context;
use crate::failure::{CommandError, Failure};
use crate::output::Output;

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let words: Vec<OsString> = std::env::args_os().collect();
    let output = Output::guess(&words, &environment);
    match run(words, environment, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit().into()
        }
    }
}

fn run(words: Vec<OsString>, environment: Environment, output: &Output) -> Result<(), Failure> {
    let Some(cli) = parse(words, output)? else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?;
    let done = match cli.command {
        // It is told to stop by signals and has its own way of doing so.
        Command::Serve(args) => runtime.block_on(async {
            let context = Context::serving(&cli.global, &args, &environment)?;
            serve::run(&args, &context).await
        }),
        Command::Replay(args) if args.serves() => runtime.block_on(async {
            let context = Context::new(&cli.global, &environment)?;
            replay::run(args, &context).await
        }),
        _ => runtime.block_on(unless_interrupted(dispatch(cli, environment))),
    };
    // A blocking read of standard input cannot be ended; it is left behind.
    runtime.shutdown_background();
    done
}

/// Runs a command until it ends or the user interrupts it.
async fn unless_interrupted(
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let _limit = signals::outlive_file_size_limit().map_err(CommandError::Runtime)?;
    tokio::select! {
        biased;
        interrupt = tokio::signal::ctrl_c() => match interrupt {
            Ok(()) => Err(Failure::Interrupted),
            Err(cause) => Err(CommandError::Runtime(cause).into()),
        },
        done = command => done,
    }
}

/// The parsed command line; `None` if it only asked for help or the version,
/// which is then printed.
fn parse(words: Vec<OsString>, output: &Output) -> Result<Option<Cli>, Failure> {
    let matches = Cli::command()
        .color(output.color().for_clap())
        .try_get_matches_from(words);
    match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if matches!(error.kind(), Usage::DisplayHelp | Usage::DisplayVersion) => {
            output.text(&output.rendered(&error.render()))?;
            Ok(None)
        }
        Err(error) => Err(Failure::usage(error)),
    }
}

async fn dispatch(cli: Cli, environment: Environment) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    let context = || Context::new(&global, &environment);
    let unsettled = || Output::unsettled(&global, &environment);
    match command {
        Command::Session(command) => session::run(command, &context()?).await,
        Command::Stash(command) => stash::run(command, &context()?).await,
        Command::Checkpoint(command) => checkpoint::run(command, &context()?).await,
        Command::Queue(command) => queue::run(command, &context()?).await,
        Command::Stream(command) => stream::run(command, &context()?).await,
        Command::Gc(args) => gc::run(&args, global.tenant.as_deref(), &context()?).await,
        Command::Key(command) => key::run(command, &context()?).await,
        Command::Tenant(command) => tenant::run(command, &context()?).await,
        Command::Audit(command) => audit::run(command, &context()?).await,
        Command::Maintenance(command) => maintenance::run(command, &context()?).await,
        Command::Cache(command) => cache::run(command, &context()?).await,
        Command::Store(command) => store::run(&command, &context()?).await,
        Command::Replay(args) => replay::run(args, &context()?).await,
        Command::Migrate(args) => migrate::run(&args, &context()?).await,
        Command::Export(args) => transfer::export(&args, &context()?).await,
        Command::Import(args) => transfer::import(&args, &context()?).await,
        Command::Check(args) => check::run(&args, global.tenant.as_deref(), &context()?).await,
        Command::Backup(args) => backup::run(&args, &context()?).await,
        Command::Restore(args) => backup::restore(&args, &context()?).await,
        Command::Completions(args) => completions::run(&args, &unsettled()),
        Command::Man(args) => man::run(&args, &unsettled()),
        Command::Serve(args) => {
            let context = Context::serving(&global, &args, &environment)?;
            serve::run(&args, &context).await
        }
        Command::Config(command) => config::command::run(&command, &global, &environment),
    }
}

//! `windlass maintenance`: how upkeep stands, and having it done now.

mod run;
mod show;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::Failure;

/// What can be asked of upkeep.
#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceCommand {
    /// Show who does upkeep, what each task did last, and what is overdue
    Status(StatusArgs),
    /// Have a task of upkeep done now, or all of them, in small steps
    Run(run::RunArgs),
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// The last rounds as well
    #[arg(long)]
    rounds: bool,
}

/// Runs one of them.
pub(crate) async fn run(command: MaintenanceCommand, context: &Context) -> Result<(), Failure> {
    match command {
        MaintenanceCommand::Status(args) => status(&args, context).await,
        MaintenanceCommand::Run(args) => run::run(&args, context).await,
    }
}

async fn status(args: &StatusArgs, context: &Context) -> Result<(), Failure> {
    let status = context
        .with_upkeep(async |upkeep| upkeep.status().await)
        .await?;
    let output = context.output();
    output.answer(&status, || show::status(&status, args.rounds))
}

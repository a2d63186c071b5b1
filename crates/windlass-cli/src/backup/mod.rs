//! `windlass backup` and `windlass restore`: copies of everything stored, for
//! the day on which the store is lost.

mod make;
mod read;
mod restore;
mod show;

use clap::{Args, Subcommand};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass::backup::{Stage, Step};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) use restore::{RestoreArgs, restore};

/// Copies everything in the store into a directory that holds backups, as it
/// is at one moment.
///
/// Each backup is a directory of its own in there, named by the time, with a
/// manifest that says what is in it. Others may go on working with the store
/// meanwhile. What is interrupted is no backup.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    make: make::MakeArgs,
    #[command(subcommand)]
    command: Option<BackupCommand>,
}

/// What can be asked about backups.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Show what the store remembers of its last backup
    Status,
    /// Read all of a backup, and fail if anything in it was changed
    Verify(read::VerifyArgs),
    /// List the backups in a directory
    List(read::ListArgs),
}

/// Makes a backup, or runs one of the commands.
pub(crate) async fn run(args: &BackupArgs, context: &Context) -> Result<(), Failure> {
    match &args.command {
        None => make::make(&args.make, context).await,
        Some(BackupCommand::Status) => read::status(context).await,
        Some(BackupCommand::Verify(args)) => read::verify(args, context.output()),
        Some(BackupCommand::List(args)) => read::list(args, context.output()),
    }
}

/// A bar that says what is being done, how far it is and how fast.
fn bar(output: &Output) -> ProgressBar {
    let target = if output.json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let template = "{spinner} {msg}, {bytes_per_sec}";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    ProgressBar::with_draw_target(None, target).with_style(style)
}

fn progress(bar: &ProgressBar, step: Step) {
    let doing = match step.stage {
        Stage::Copying => "copying",
        Stage::Verifying => "verifying",
        Stage::Restoring => "restoring",
        _ => "working",
    };
    let of = step.file_bytes.map_or_else(String::new, |all| {
        format!(
            " ({} of {})",
            HumanBytes(step.moved.file_bytes),
            HumanBytes(all)
        )
    });
    bar.set_position(step.moved.bytes);
    bar.set_message(format!(
        "{doing}: {} entries, {}{of}",
        step.moved.entries,
        HumanBytes(step.moved.bytes),
    ));
}

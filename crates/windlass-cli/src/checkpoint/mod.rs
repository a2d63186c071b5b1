//! `windlass checkpoint`: the states of sessions, and how they came to be.

mod arguments;
mod change;
mod compare;
mod draw;
mod read;
mod show;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;

/// What can be done with states.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// List commits, newest first, with their tags and with the sessions that
    /// fork off
    Log(read::LogArgs),
    /// Show a state as it is, or was, without its contents
    Show(read::ShowArgs),
    /// Show what differs between two states: messages, parts, and what of them
    Diff(read::DiffArgs),
    /// Print the messages from a leaf upwards, the oldest first
    Path(read::PathArgs),
    /// Print the content of a part
    Get(read::GetArgs),
    /// Commit a part, messages, or both
    Put(change::PutArgs),
    /// Begin the state of another session where this one is, or was
    Fork(change::ForkArgs),
    /// Put a tag on a revision, which is then kept for ever
    Tag(change::TagArgs),
    /// Remove a tag
    Untag(change::UntagArgs),
    /// Make the state of an earlier revision the present one again
    Rollback(change::RollBackArgs),
}

/// Runs one of them.
pub(crate) async fn run(command: CheckpointCommand, context: &Context) -> Result<(), Failure> {
    match command {
        CheckpointCommand::Log(args) => read::log(&args, context).await,
        CheckpointCommand::Show(args) => read::show(&args, context).await,
        CheckpointCommand::Diff(args) => read::diff(&args, context).await,
        CheckpointCommand::Path(args) => read::path(&args, context).await,
        CheckpointCommand::Get(args) => read::get(&args, context).await,
        CheckpointCommand::Put(args) => change::put(args, context).await,
        CheckpointCommand::Fork(args) => change::fork(&args, context).await,
        CheckpointCommand::Tag(args) => change::tag(&args, context).await,
        CheckpointCommand::Untag(args) => change::untag(&args, context).await,
        CheckpointCommand::Rollback(args) => change::roll_back(&args, context).await,
    }
}

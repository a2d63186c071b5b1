//! `windlass stream`: output that is read on after any cut.

mod append;
mod change;
mod proof;
mod read;
mod receive;
mod show;
mod source;

use clap::Subcommand;

pub(crate) use proof::ProofError;

use crate::context::Context;
use crate::failure::Failure;

/// What can be done with streams.
#[derive(Debug, Subcommand)]
pub(crate) enum StreamCommand {
    /// Make a stream for a session's output
    Create(change::CreateArgs),
    /// List a session's streams
    List(read::ListArgs),
    /// Show a stream, without its rows
    Show(read::ShowArgs),
    /// Print the rows that a stream has now
    Read(read::ReadArgs),
    /// Print the rows of a stream as they come, until it is closed
    Tail(read::TailArgs),
    /// Print what a session has anyway as the rows of a stream
    Source(source::SourceArgs),
    /// Append rows from standard input
    Append(append::AppendArgs),
    /// Close a stream, for good
    Close(change::CloseArgs),
    /// End a read for good, by its cursor
    Cancel(change::CancelArgs),
}

/// Runs one of them.
pub(crate) async fn run(command: StreamCommand, context: &Context) -> Result<(), Failure> {
    match command {
        StreamCommand::Create(args) => change::create(&args, context).await,
        StreamCommand::List(args) => read::list(&args, context).await,
        StreamCommand::Show(args) => read::show(&args, context).await,
        StreamCommand::Read(args) => read::read(&args, context).await,
        StreamCommand::Tail(args) => read::tail(&args, context).await,
        StreamCommand::Source(args) => source::source(&args, context).await,
        StreamCommand::Append(args) => append::append(&args, context).await,
        StreamCommand::Close(args) => change::close(&args, context).await,
        StreamCommand::Cancel(args) => change::cancel(&args, context).await,
    }
}

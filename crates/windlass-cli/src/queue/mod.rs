//! `windlass queue`: the work of sessions, and who does it.

mod change;
mod claims;
mod read;
mod show;

use clap::Subcommand;

use crate::context::Context;
use crate::engine::WorkChange;
use crate::failure::Failure;

/// What can be done with queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Enqueue work for a session
    Push(change::PushArgs),
    /// List a session's work in the order of its line
    List(read::ListArgs),
    /// Show work with its payloads
    Show(read::ShowArgs),
    /// Count a session's work, or that of all sessions
    Counts(read::CountsArgs),
    /// Take the head of a session's line, or of any
    Claim(claims::ClaimArgs),
    /// Hold a claim on
    Renew(claims::RenewArgs),
    /// Say that claimed work is done
    Complete(claims::CompleteArgs),
    /// Say that claimed work failed
    Fail(claims::FailArgs),
    /// Give claimed work back, for others to take
    Abandon(claims::AbandonArgs),
    /// Remove work that nobody holds, before it is done
    Cancel(change::OneWork),
    /// Let dead work stand in line again
    Retry(change::OneWork),
    /// Remove dead work for good
    Drop(change::OneWork),
}

/// Runs one of them.
pub(crate) async fn run(command: QueueCommand, context: &Context) -> Result<(), Failure> {
    match command {
        QueueCommand::Push(args) => change::push(args, context).await,
        QueueCommand::List(args) => read::list(&args, context).await,
        QueueCommand::Show(args) => read::show(&args, context).await,
        QueueCommand::Counts(args) => read::counts(&args, context).await,
        QueueCommand::Claim(args) => claims::claim(&args, context).await,
        QueueCommand::Renew(args) => claims::renew(&args, context).await,
        QueueCommand::Complete(args) => claims::complete(&args, context).await,
        QueueCommand::Fail(args) => claims::fail(&args, context).await,
        QueueCommand::Abandon(args) => claims::abandon(&args, context).await,
        QueueCommand::Cancel(args) => change::one(&args, WorkChange::Cancel, context).await,
        QueueCommand::Retry(args) => change::one(&args, WorkChange::Retry, context).await,
        QueueCommand::Drop(args) => change::one(&args, WorkChange::Drop, context).await,
    }
}

//! `windlass stash`: scratch data that the calls of one session share.

mod arguments;
mod change;
mod read;
mod remove;
mod show;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;

/// What can be done with stashes.
#[derive(Debug, Subcommand)]
pub(crate) enum StashCommand {
    /// Print the value of a key
    Get(read::GetArgs),
    /// Give a key a value
    Put(change::PutArgs),
    /// List the keys that the group can see
    List(read::ListArgs),
    /// Delete the entry of a key
    Delete(change::DeleteArgs),
    /// Give an entry another time to live, from now on
    Touch(change::TouchArgs),
    /// Add to the whole number that a key has; an absent one counts as 0
    Increment(change::IncrementArgs),
    /// Show how much a stash holds
    Usage(read::UsageArgs),
    /// Delete all entries of the group, or all that belong to none
    Clear(remove::ClearArgs),
    /// Take back the space of expired entries, of one session or of all that
    /// are due
    Reap(remove::ReapArgs),
}

/// Runs one of them.
pub(crate) async fn run(command: StashCommand, context: &Context) -> Result<(), Failure> {
    match command {
        StashCommand::Get(args) => read::get(&args, context).await,
        StashCommand::Put(args) => change::put(args, context).await,
        StashCommand::List(args) => read::list(&args, context).await,
        StashCommand::Delete(args) => change::delete(&args, context).await,
        StashCommand::Touch(args) => change::touch(&args, context).await,
        StashCommand::Increment(args) => change::increment(&args, context).await,
        StashCommand::Usage(args) => read::usage(&args, context).await,
        StashCommand::Clear(args) => remove::clear(&args, context).await,
        StashCommand::Reap(args) => remove::reap(&args, context).await,
    }
}

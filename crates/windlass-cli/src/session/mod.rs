//! `windlass session`: authorised, budgeted task sessions.

pub(crate) mod arguments;
mod change;
mod create;
mod delegate;
mod read;
pub(crate) mod show;
mod upkeep;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Create a session
    Create(Box<create::CreateArgs>),
    /// Create a session within another one, with a part of what that may do
    Delegate(Box<delegate::DelegateArgs>),
    /// Authorise and record one or more tool calls: all of them or none
    Use(change::UseArgs),
    /// Give a reserved call its true cost
    Settle(change::SettleArgs),
    /// Give a reserved call back, with its estimate
    Refund(change::RefundArgs),
    /// Raise the budget of an active session
    TopUp(change::TopUpArgs),
    /// List the tenant's sessions
    List(read::ListArgs),
    /// Show a session as it is stored now
    Show(read::ShowArgs),
    /// Show a session and all that hangs below it
    Tree(delegate::TreeArgs),
    /// Show what happened in a session, oldest first
    History(read::HistoryArgs),
    /// Count an agent's active sessions
    Count(read::CountArgs),
    /// Close a session
    Close(change::CloseArgs),
    /// Close all active sessions of an agent
    CloseAgent(upkeep::CloseAgentArgs),
    /// Mark expired sessions of all tenants, and remove those whose retention
    /// has ended
    Sweep(upkeep::SweepArgs),
}

/// Runs one of them.
pub(crate) async fn run(command: SessionCommand, context: &Context) -> Result<(), Failure> {
    match command {
        SessionCommand::Create(args) => create::create(*args, context).await,
        SessionCommand::Delegate(args) => delegate::delegate(*args, context).await,
        SessionCommand::Tree(args) => delegate::tree(args, context).await,
        SessionCommand::Use(args) => change::use_tools(args, context).await,
        SessionCommand::Settle(args) => change::settle(args, context).await,
        SessionCommand::Refund(args) => change::refund(args, context).await,
        SessionCommand::TopUp(args) => change::top_up(args, context).await,
        SessionCommand::List(args) => read::list(args, context).await,
        SessionCommand::Show(args) => read::show(&args, context).await,
        SessionCommand::History(args) => read::history(&args, context).await,
        SessionCommand::Count(args) => read::count(&args, context).await,
        SessionCommand::Close(args) => change::close(&args, context).await,
        SessionCommand::CloseAgent(args) => upkeep::close_agent(&args, context).await,
        SessionCommand::Sweep(args) => upkeep::sweep(&args, context).await,
    }
}

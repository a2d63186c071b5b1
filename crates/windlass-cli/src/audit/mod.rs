//! `windlass audit`: who did what, and whether that record is whole.

mod file;
mod read;
mod show;
mod verify;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::Failure;

/// What can be asked of the audit.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List events
    List(read::ListArgs),
    /// Verify a chain, or an export of one, and say where it breaks first
    Verify(verify::VerifyArgs),
    /// Print events as the lines that are stored and hashed
    Export(read::ExportArgs),
    /// Show where a chain stands; note it elsewhere to verify against it
    Head(read::HeadArgs),
}

/// Runs one of them.
pub(crate) async fn run(command: AuditCommand, context: &Context) -> Result<(), Failure> {
    match command {
        AuditCommand::List(args) => read::list(&args, context).await,
        AuditCommand::Verify(args) => verify::verify(&args, context).await,
        AuditCommand::Export(args) => read::export(&args, context).await,
        AuditCommand::Head(args) => read::head(&args, context).await,
    }
}

/// A chain.
#[derive(Args, Debug)]
struct OneChain {
    /// The tenant whose events are meant, or `system` for those of none
    /// [default: the tenant that calls]
    #[arg(long, value_name = "NAME")]
    chain: Option<String>,
}

//! `windlass key`: API keys of a service that many share.

mod create;
mod end;
mod read;
mod secret;
mod show;

use clap::{Args, Subcommand};
use windlass::access::KeyId;

use crate::context::Context;
use crate::failure::Failure;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key, and show its secret this once
    Create(create::CreateArgs),
    /// List the keys of the tenant, of operators, or of everybody
    List(read::ListArgs),
    /// Show a key; its secret cannot be shown again
    Show(read::ShowArgs),
    /// End a key at once
    Revoke(end::RevokeArgs),
    /// Give a key a new secret, and show it this once
    Rotate(create::RotateArgs),
}

/// Runs one of them.
pub(crate) async fn run(command: KeyCommand, context: &Context) -> Result<(), Failure> {
    match command {
        KeyCommand::Create(args) => create::create(args, context).await,
        KeyCommand::List(args) => read::list(&args, context).await,
        KeyCommand::Show(args) => read::show(&args, context).await,
        KeyCommand::Revoke(args) => end::revoke(&args, context).await,
        KeyCommand::Rotate(args) => create::rotate(args, context).await,
    }
}

/// One key.
#[derive(Args, Debug)]
struct OneKey {
    /// The key's id, 16 hexadecimal digits
    #[arg(value_name = "KEY")]
    key: String,
}

impl OneKey {
    fn id(&self) -> Result<KeyId, Failure> {
        Ok(self.key.parse()?)
    }
}

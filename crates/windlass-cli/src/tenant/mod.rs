//! `windlass tenant`: the tenants of a store, their quotas, and their end.

mod erase;
mod quota;
mod read;
mod show;

use clap::{Args, Subcommand};
use windlass::core::TenantId;

use crate::context::Context;
use crate::failure::Failure;
use crate::session::arguments::id;

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// List the tenants that have data, keys or a quota
    List(read::ListArgs),
    /// Show a tenant
    Show(read::ShowArgs),
    /// Say how much a tenant may use
    Quota(quota::QuotaArgs),
    /// Erase a tenant: its data, its keys, and what upkeep was to do for it
    Erase(erase::EraseArgs),
    /// Count what is left of a tenant, and fail if it is anything
    Verify(erase::VerifyArgs),
}

/// Runs one of them.
pub(crate) async fn run(command: TenantCommand, context: &Context) -> Result<(), Failure> {
    match command {
        TenantCommand::List(args) => read::list(&args, context).await,
        TenantCommand::Show(args) => read::show(&args, context).await,
        TenantCommand::Quota(args) => quota::quota(&args, context).await,
        TenantCommand::Erase(args) => erase::erase(&args, context).await,
        TenantCommand::Verify(args) => erase::verify(&args, context).await,
    }
}

/// One tenant.
#[derive(Args, Debug)]
struct OneTenant {
    /// The tenant
    #[arg(value_name = "TENANT")]
    name: String,
}

impl OneTenant {
    fn id(&self) -> Result<TenantId, Failure> {
        id(&self.name)
    }
}

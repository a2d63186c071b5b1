//! The command that says how much a tenant may use.

use std::str::FromStr;

use clap::Args;
use windlass::access::Quota;

use super::{OneTenant, show};
use crate::context::Context;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct QuotaArgs {
    #[command(flatten)]
    tenant: OneTenant,
    #[command(flatten)]
    change: Change,
}

/// What is said anew; the rest stays.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Change {
    /// Most sessions stored, ended ones included until they are removed;
    /// `none` for no limit
    #[arg(long, value_name = "N")]
    sessions: Option<Limit>,
    /// Most bytes of values in its stashes; `none` for no limit
    #[arg(long, value_name = "BYTES")]
    stash_bytes: Option<Limit>,
}

/// A limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<u64>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let number = text.parse().map(|number| Self(Some(number)));
        number.map_err(|_| "not a whole number, and not `none`".to_owned())
    }
}

/// Changes a quota, and shows the tenant.
pub(crate) async fn quota(args: &QuotaArgs, context: &Context) -> Result<(), Failure> {
    let id = args.tenant.id()?;
    let Change {
        sessions,
        stash_bytes,
    } = &args.change;
    let tenant = context
        .with_keeper(async |keeper| {
            let old = keeper.quota(&id).await?;
            let quota = Quota {
                sessions: sessions.map_or(old.sessions, |limit| limit.0),
                stash_bytes: stash_bytes.map_or(old.stash_bytes, |limit| limit.0),
            };
            keeper.set_quota(&id, quota).await
        })
        .await?;
    let output = context.output();
    output.answer(&tenant, || show::tenant(&tenant, None))
}

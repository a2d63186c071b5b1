//! The command that ends a key.

use clap::Args;

use super::{OneKey, show};
use crate::consent::Consent;
use crate::context::Context;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    key: OneKey,
    #[command(flatten)]
    consent: Consent,
}

/// Ends a key, and shows it; one that was revoked stays as it is.
pub(crate) async fn revoke(args: &RevokeArgs, context: &Context) -> Result<(), Failure> {
    let id = args.key.id()?;
    args.consent.check("this locks out whoever uses the key")?;
    let key = context
        .with_keeper(async |keeper| match args.consent.is_rehearsal() {
            true => keeper.key(&id).await,
            false => keeper.revoke_key(&id).await,
        })
        .await?;
    context.output().answer(&key, || show::key(&key))
}

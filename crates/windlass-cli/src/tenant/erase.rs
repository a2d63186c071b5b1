//! The commands that erase a tenant, and look whether it is.

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget};
use windlass::access::Progress;
use windlass::core::{Coded, ErrorKind};

use super::{OneTenant, show};
use crate::consent::Consent;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Args, Debug)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    tenant: OneTenant,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    tenant: OneTenant,
}

/// Something of a tenant is there.
#[derive(Debug, thiserror::Error)]
#[error("{rows} rows of the tenant are in the store")]
struct RowsLeft {
    rows: u64,
}

impl Coded for RowsLeft {
    fn code(&self) -> &'static str {
        "tenant_rows_left"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Conflict
    }
}

/// Erases a tenant, and answers the proof; started again after an interrupt,
/// it goes on where it was.
pub(crate) async fn erase(args: &EraseArgs, context: &Context) -> Result<(), Failure> {
    let id = args.tenant.id()?;
    args.consent
        .check("this erases everything of the tenant, for ever")?;
    let output = context.output();
    if args.consent.is_rehearsal() {
        let found = context
            .with_keeper(async |keeper| keeper.verify(&id).await)
            .await?;
        return output.answer(&found, || show::verification(&found));
    }
    let bar = bar(output);
    let certificate = context
        .with_keeper(async |keeper| {
            let mut observe = |progress: &Progress| advance(&bar, progress);
            keeper.erase(&id, &mut observe).await
        })
        .await;
    bar.finish_and_clear();
    let certificate = certificate?;
    output.answer(&certificate, || show::certificate(&certificate))
}

fn bar(output: &Output) -> ProgressBar {
    let target = if output.json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    ProgressBar::with_draw_target(None, target)
}

fn advance(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.rows);
    let (rows, bytes) = (progress.rows, HumanBytes(progress.bytes));
    bar.set_message(format!("{rows} rows erased, {bytes}"));
}

/// Counts what is there of a tenant.
pub(crate) async fn verify(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    let id = args.tenant.id()?;
    let found = context
        .with_keeper(async |keeper| keeper.verify(&id).await)
        .await?;
    context
        .output()
        .answer(&found, || show::verification(&found))?;
    match found.remaining() {
        0 => Ok(()),
        rows => Err(Failure::Check(Box::new(RowsLeft { rows }))),
    }
}

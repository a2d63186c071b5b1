//! The commands of whoever does the work.

use clap::Args;
use serde_json::json;
use windlass_client::queue::{ClaimWork, Failure as WorkFailure, Return, SettleClaim};

use super::show;
use crate::context::Context;
use crate::failure::Failure;
use crate::session::arguments::{OneSession, Retry, id};
use crate::table::moment;

#[derive(Args, Debug)]
pub(crate) struct ClaimArgs {
    /// The session; any that has work if left out
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    /// Who will hold the work
    #[arg(long, value_name = "ID")]
    owner: String,
    /// For how long, in milliseconds, unless it is renewed
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    ttl_ms: u64,
    /// Most batches to take: 1 to 100
    #[arg(long, value_name = "N", default_value_t = 1)]
    max: u64,
    #[command(flatten)]
    retry: Retry,
}

/// A claim that somebody holds.
#[derive(Args, Debug)]
struct OneClaim {
    #[command(flatten)]
    session: OneSession,
    /// The token of the claim
    #[arg(value_name = "TOKEN")]
    token: u64,
}

#[derive(Args, Debug)]
pub(crate) struct RenewArgs {
    #[command(flatten)]
    claim: OneClaim,
    /// For how long from now on, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    ttl_ms: u64,
    #[command(flatten)]
    retry: Retry,
}

/// Work of a claim.
#[derive(Args, Debug)]
struct SomeWork {
    #[command(flatten)]
    claim: OneClaim,
    /// The names of the work
    #[arg(value_name = "ID", required = true)]
    work: Vec<String>,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct CompleteArgs {
    #[command(flatten)]
    work: SomeWork,
}

#[derive(Args, Debug)]
pub(crate) struct FailArgs {
    #[command(flatten)]
    work: SomeWork,
    /// Why, for whoever looks
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long it rests, in milliseconds, instead of what its backoff says
    #[arg(long, value_name = "MS")]
    delay_ms: Option<u64>,
    /// Put it with the dead although attempts are left
    #[arg(long)]
    fatal: bool,
}

#[derive(Args, Debug)]
pub(crate) struct AbandonArgs {
    #[command(flatten)]
    work: SomeWork,
    /// How long it rests, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    delay_ms: u64,
}

/// Claims work, and shows it.
pub(crate) async fn claim(args: &ClaimArgs, context: &Context) -> Result<(), Failure> {
    let session = args.session.as_deref().map(id).transpose()?;
    let operation = args.retry.operation()?;
    let asked = ClaimWork {
        max: Some(args.max),
        ..ClaimWork::new(&args.owner, args.ttl_ms)
    };
    let found = context
        .with_lines(async |lines| {
            let (session, operation) = (session.as_ref(), operation.as_ref());
            lines.claim(session, &asked, operation).await
        })
        .await?;
    context.output().answer(&found, || show::claim(&found))
}

/// Holds a claim on, and says until when.
pub(crate) async fn renew(args: &RenewArgs, context: &Context) -> Result<(), Failure> {
    let session = args.claim.session.id()?;
    let operation = args.retry.operation()?;
    let until = context
        .with_lines(async |lines| {
            let (token, operation) = (args.claim.token, operation.as_ref());
            lines.renew(&session, token, args.ttl_ms, operation).await
        })
        .await?;
    context.output().answer(&json!({ "until": until }), || {
        format!("until {}", moment(until))
    })
}

/// Says that work is done.
pub(crate) async fn complete(args: &CompleteArgs, context: &Context) -> Result<(), Failure> {
    let settle = SettleClaim {
        complete: args.work.work.clone(),
        ..SettleClaim::default()
    };
    settled(&args.work, &settle, context).await
}

/// Says that work failed.
pub(crate) async fn fail(args: &FailArgs, context: &Context) -> Result<(), Failure> {
    let fail = args.work.work.iter().map(|id| WorkFailure {
        id: id.clone(),
        reason: args.reason.clone(),
        delay_ms: args.delay_ms,
        fatal: args.fatal,
    });
    let settle = SettleClaim {
        fail: fail.collect(),
        ..SettleClaim::default()
    };
    settled(&args.work, &settle, context).await
}

/// Gives work back.
pub(crate) async fn abandon(args: &AbandonArgs, context: &Context) -> Result<(), Failure> {
    let abandon = args.work.work.iter().map(|id| Return {
        id: id.clone(),
        delay_ms: args.delay_ms,
    });
    let settle = SettleClaim {
        abandon: abandon.collect(),
        ..SettleClaim::default()
    };
    settled(&args.work, &settle, context).await
}

async fn settled(work: &SomeWork, settle: &SettleClaim, context: &Context) -> Result<(), Failure> {
    let session = work.claim.session.id()?;
    let operation = work.retry.operation()?;
    let done = context
        .with_lines(async |lines| {
            let (token, operation) = (work.claim.token, operation.as_ref());
            lines.settle(&session, token, settle, operation).await
        })
        .await?;
    context.output().answer(&done, || show::settled(&done))
}

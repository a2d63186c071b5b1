//! The commands that change one session.

use clap::Args;
use windlass::session::{Charge, Outcome, Sensitivity, Settle, TopUp, Use, UseItem};
use windlass_client::session::Left;

use super::arguments::{ActingAgent, OneSession, Retry, names, sensitivity};
use super::show;
use crate::context::Context;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct UseArgs {
    #[command(flatten)]
    session: OneSession,
    /// The tools to be called, in order
    #[arg(required = true, value_name = "TOOL")]
    tools: Vec<String>,
    #[command(flatten)]
    agent: ActingAgent,
    /// A credential that each call needs; repeatable
    #[arg(long = "credential", value_name = "NAME")]
    credentials: Vec<String>,
    /// How sensitive the data of each call is
    #[arg(long, value_name = "LEVEL", value_parser = sensitivity())]
    sensitivity: Option<Sensitivity>,
    #[command(flatten)]
    charge: ChargeArgs,
    /// The charge is an estimate, which `settle` or `refund` will replace
    #[arg(long)]
    reserve: bool,
    #[command(flatten)]
    retry: Retry,
}

/// What a call costs beside itself.
#[derive(Args, Debug)]
struct ChargeArgs {
    /// Tokens that each call uses
    #[arg(long, value_name = "N", default_value_t = 0)]
    tokens: u64,
    /// Micro-units of a currency that each call spends
    #[arg(long, value_name = "N", default_value_t = 0)]
    cost_micros: u64,
}

impl ChargeArgs {
    const fn charge(&self) -> Charge {
        Charge {
            tokens: self.tokens,
            cost_micros: self.cost_micros,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct SettleArgs {
    #[command(flatten)]
    reserved: Reserved,
    #[command(flatten)]
    charge: ChargeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RefundArgs {
    #[command(flatten)]
    reserved: Reserved,
}

/// A call that was reserved.
#[derive(Args, Debug)]
struct Reserved {
    #[command(flatten)]
    session: OneSession,
    /// The number of the reserved call
    #[arg(value_name = "CALL")]
    call: u64,
    #[command(flatten)]
    agent: ActingAgent,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct TopUpArgs {
    #[command(flatten)]
    session: OneSession,
    /// Calls to add
    #[arg(long, value_name = "N", default_value_t = 0)]
    calls: u64,
    /// Tokens to add
    #[arg(long, value_name = "N", default_value_t = 0)]
    tokens: u64,
    /// Micro-units of a currency to add
    #[arg(long, value_name = "N", default_value_t = 0)]
    cost_micros: u64,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct CloseArgs {
    #[command(flatten)]
    session: OneSession,
    #[command(flatten)]
    retry: Retry,
}

impl UseArgs {
    fn request(&self) -> Result<Use, Failure> {
        let credentials = names("credentials", &self.credentials)?;
        let items = names("tools", &self.tools)?
            .into_iter()
            .map(|tool| UseItem {
                tool,
                credentials: credentials.clone(),
                sensitivity: self.sensitivity,
                charge: self.charge.charge(),
                reserve: self.reserve,
            });
        let mut request = Use::batch(self.agent.agent()?, items.collect());
        request.operation = self.retry.operation()?;
        Ok(request)
    }
}

/// Authorises and records calls, and shows the receipt.
pub(crate) async fn use_tools(args: UseArgs, context: &Context) -> Result<(), Failure> {
    let (id, request) = (args.session.id()?, args.request()?);
    let receipt = context
        .with_engine(async |engine| engine.use_tools(&id, request).await)
        .await?;
    context
        .output()
        .answer(&receipt, || show::receipt(&receipt))
}

/// Replaces a reserved call's estimate, and shows what is left.
pub(crate) async fn settle(args: SettleArgs, context: &Context) -> Result<(), Failure> {
    let left = end(&args.reserved, Outcome::Cost(args.charge.charge()), context).await?;
    context.output().answer(&left, || show::left(&left))
}

/// Gives a reserved call back, and shows what is left.
pub(crate) async fn refund(args: RefundArgs, context: &Context) -> Result<(), Failure> {
    let left = end(&args.reserved, Outcome::Refund, context).await?;
    context.output().answer(&left, || show::left(&left))
}

async fn end(reserved: &Reserved, outcome: Outcome, context: &Context) -> Result<Left, Failure> {
    let id = reserved.session.id()?;
    let (agent, operation) = (reserved.agent.agent()?, reserved.retry.operation()?);
    let request = Settle {
        agent,
        call: reserved.call,
        outcome,
        operation,
    };
    context
        .with_engine(async |engine| engine.settle(&id, request).await)
        .await
}

/// Raises the budget, and shows the session.
pub(crate) async fn top_up(args: TopUpArgs, context: &Context) -> Result<(), Failure> {
    let id = args.session.id()?;
    let operation = args.retry.operation()?;
    let TopUpArgs {
        calls,
        tokens,
        cost_micros,
        ..
    } = args;
    let request = TopUp {
        calls,
        tokens,
        cost_micros,
        operation,
    };
    let session = context
        .with_engine(async |engine| engine.top_up(&id, request).await)
        .await?;
    context
        .output()
        .answer(&session, || show::session(&session))
}

/// Closes a session, and shows it as it ended.
pub(crate) async fn close(args: &CloseArgs, context: &Context) -> Result<(), Failure> {
    let (id, operation) = (args.session.id()?, args.retry.operation()?);
    let session = context
        .with_engine(async |engine| engine.close(&id, operation).await)
        .await?;
    context
        .output()
        .answer(&session, || show::session(&session))
}

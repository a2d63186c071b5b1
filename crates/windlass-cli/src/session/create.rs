//! `windlass session create`, from flags or from JSON.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use windlass::core::AgentId;
use windlass::session::{Allow, Budget, Create, RateKind, RateLimit, Sensitivity, SessionError};

use super::arguments::{Retry, id, only, rate_kind, sensitivity};
use super::show;
use crate::context::Context;
use crate::engine::Cap;
use crate::failure::Failure;
use crate::input;

/// The fields of a specification, for messages about one that is missing or
/// given twice.
const FIELDS: &[&str] = &[
    "id",
    "agent",
    "intent",
    "tools",
    "credentials",
    "ceiling",
    "time_limit_ms",
    "budget",
    "rate",
    "chain",
    "calls",
    "tokens",
    "cost_micros",
    "limit",
    "window_ms",
    "kind",
];

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// Read the session from a JSON file, or from standard input for `-`,
    /// instead of from the flags below
    #[arg(long, value_name = "FILE", conflicts_with = "Described")]
    spec: Option<PathBuf>,
    #[command(flatten)]
    described: Described,
    /// Most active sessions the agent may have with this one, instead of the
    /// configured number
    #[arg(long, value_name = "N", help_heading = "Limits of the agent")]
    cap: Option<u64>,
    /// Create it however many active sessions the agent has
    #[arg(long, conflicts_with = "cap", help_heading = "Limits of the agent")]
    uncapped: bool,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(super) struct Described {
    /// On whose behalf it runs
    #[arg(long, value_name = "ID", required_unless_present = "spec")]
    agent: Option<String>,
    /// What it is for: 1 to 512 bytes
    #[arg(long, value_name = "TEXT", required_unless_present = "spec")]
    intent: Option<String>,
    /// Its id; one is made if none is given
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// A tool it may call, or the beginning of names followed by `*`;
    /// repeatable; none allows nothing
    #[arg(long = "tool", value_name = "PATTERN", conflicts_with = "all_tools")]
    tools: Vec<String>,
    /// Let it call every tool
    #[arg(long)]
    all_tools: bool,
    /// A credential it may use, or the beginning of names followed by `*`;
    /// repeatable; none allows nothing
    #[arg(
        long = "credential",
        value_name = "PATTERN",
        conflicts_with = "all_credentials"
    )]
    credentials: Vec<String>,
    /// Let it use every credential
    #[arg(long)]
    all_credentials: bool,
    /// The most sensitive data it may handle [default: public]
    #[arg(long, value_name = "LEVEL", value_parser = sensitivity())]
    ceiling: Option<Sensitivity>,
    /// How long it lasts: 1000 to 86400000 [default: 3600000]
    #[arg(long, value_name = "MS")]
    time_limit_ms: Option<u64>,
    /// Tool calls it may make: 1 to 1000000 [default: 1000]
    #[arg(long, value_name = "N")]
    calls: Option<u64>,
    /// Tokens it may use [default: unlimited]
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Micro-units of a currency it may spend [default: unlimited]
    #[arg(long, value_name = "N")]
    cost_micros: Option<u64>,
    /// Calls that any stretch of the rate window admits [default: unlimited]
    #[arg(long, value_name = "N")]
    rate_limit: Option<u64>,
    /// Length of the rate window: 10000 to 3600000 [default: 60000]
    #[arg(long, value_name = "MS", requires = "rate_limit")]
    rate_window_ms: Option<u64>,
    /// How the rate window is laid over time [default: sliding]
    #[arg(long, value_name = "KIND", requires = "rate_limit", value_parser = rate_kind())]
    rate_kind: Option<RateKind>,
    /// An agent through which the task came, first one first; repeatable
    #[arg(long = "chain", value_name = "ID")]
    chain: Vec<String>,
}

/// A session to be created, as JSON spells it and as the flags amount to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    id: Option<String>,
    agent: String,
    intent: String,
    #[serde(default)]
    tools: AllowSpec,
    #[serde(default)]
    credentials: AllowSpec,
    ceiling: Option<Sensitivity>,
    time_limit_ms: Option<u64>,
    #[serde(default)]
    budget: BudgetSpec,
    rate: Option<RateSpec>,
    #[serde(default)]
    chain: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AllowSpec {
    All,
    Only(Vec<String>),
}

impl Default for AllowSpec {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetSpec {
    calls: Option<u64>,
    tokens: Option<u64>,
    cost_micros: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateSpec {
    limit: u64,
    window_ms: Option<u64>,
    kind: Option<RateKind>,
}

impl From<Described> for Spec {
    fn from(flags: Described) -> Self {
        let allow = |all: bool, only: Vec<String>| {
            if all {
                AllowSpec::All
            } else {
                AllowSpec::Only(only)
            }
        };
        let (window_ms, kind) = (flags.rate_window_ms, flags.rate_kind);
        Self {
            id: flags.id,
            agent: flags.agent.unwrap_or_default(),
            intent: flags.intent.unwrap_or_default(),
            tools: allow(flags.all_tools, flags.tools),
            credentials: allow(flags.all_credentials, flags.credentials),
            ceiling: flags.ceiling,
            time_limit_ms: flags.time_limit_ms,
            budget: BudgetSpec {
                calls: flags.calls,
                tokens: flags.tokens,
                cost_micros: flags.cost_micros,
            },
            rate: flags.rate_limit.map(|limit| RateSpec {
                limit,
                window_ms,
                kind,
            }),
            chain: flags.chain,
        }
    }
}

impl Spec {
    fn request(self) -> Result<Create, Failure> {
        let mut request = Create::new(id(&self.agent)?, self.intent);
        request.id = self.id.as_deref().map(id).transpose()?;
        request.tools = self.tools.allow("tools")?;
        request.credentials = self.credentials.allow("credentials")?;
        request.ceiling = self.ceiling.unwrap_or(request.ceiling);
        request.time_limit_ms = self.time_limit_ms.unwrap_or(request.time_limit_ms);
        request.budget = self.budget.budget();
        request.rate = self.rate.as_ref().map(RateSpec::rate);
        request.chain = self
            .chain
            .iter()
            .map(|agent| id(agent))
            .collect::<Result<Vec<AgentId>, _>>()?;
        Ok(request)
    }
}

impl AllowSpec {
    fn allow(&self, field: &'static str) -> Result<Allow, SessionError> {
        match self {
            Self::All => Ok(Allow::All),
            Self::Only(patterns) => only(field, patterns),
        }
    }
}

impl BudgetSpec {
    fn budget(&self) -> Budget {
        let calls = self.calls.unwrap_or(Budget::default().calls);
        Budget {
            calls,
            tokens: self.tokens,
            cost_micros: self.cost_micros,
        }
    }
}

impl RateSpec {
    fn rate(&self) -> RateLimit {
        let window_ms = self
            .window_ms
            .unwrap_or(windlass::session::limits::RATE_WINDOW_MS_DEFAULT);
        RateLimit {
            limit: self.limit,
            window_ms,
            kind: self.kind.unwrap_or_default(),
        }
    }
}

/// The session that a file describes, or flags do.
pub(super) async fn specified(
    spec: Option<PathBuf>,
    described: Described,
) -> Result<Create, Failure> {
    let spec = match spec {
        Some(source) => input::json(source, FIELDS).await?,
        None => Spec::from(described),
    };
    spec.request()
}

/// Creates a session and shows it.
pub(crate) async fn create(args: CreateArgs, context: &Context) -> Result<(), Failure> {
    let CreateArgs {
        spec,
        described,
        cap,
        uncapped,
        retry,
    } = args;
    let mut request = specified(spec, described).await?;
    request.operation = retry.operation()?;
    let cap = if uncapped {
        Cap::None
    } else {
        Cap::AtMost(cap)
    };
    let session = context
        .with_engine(async |engine| engine.create(request, cap).await)
        .await?;
    context
        .output()
        .answer(&session, || show::session(&session))
}

//! What is asked of sessions. Every change takes an `Idempotency-Key` header,
//! which makes it safe to repeat.

use serde::{Deserialize, Serialize};

use super::{Allow, RateKind, Sensitivity};
use crate::is_false;

#[cfg(feature = "schema")]
use crate::schema::{Identifier, Name};

/// What a session may spend. Calls are always limited; the other meters only
/// if they are given a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Tool calls: 1 to 1,000,000; 1,000 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schema(minimum = 1, maximum = 1_000_000, default = 1_000)
    )]
    pub calls: Option<u64>,
    /// Tokens, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000_000_000_000_u64))]
    pub tokens: Option<u64>,
    /// Micro-units of a currency, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000_000_000_000_u64))]
    pub cost_micros: Option<u64>,
}

/// How fast a session may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Calls the window admits: 0 (which refuses all) to 1,000,000.
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000))]
    pub limit: u64,
    /// Length of the window in milliseconds: 10 s to 1 h; a minute if left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schema(minimum = 10_000, maximum = 3_600_000, default = 60_000)
    )]
    pub window_ms: Option<u64>,
    /// How the window is laid over time; sliding if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RateKind>,
}

/// What one use costs beside the call itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Tokens.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000_000_000_000_u64))]
    pub tokens: u64,
    /// Micro-units of a currency.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000_000_000_000_u64))]
    pub cost_micros: u64,
}

/// A session to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateSession {
    /// The caller's id for it; one is made if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>))]
    pub id: Option<String>,
    /// On whose behalf it runs.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub agent: String,
    /// What it is for: 1 to 512 bytes.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 512))]
    pub intent: String,
    /// The tools it may call; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Allow>,
    /// The credentials it may use; none if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Allow>,
    /// The most sensitive data it may handle; public if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Sensitivity>,
    /// How long it lasts in milliseconds: 1 s to 24 h; an hour if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schema(minimum = 1_000, maximum = 86_400_000, default = 3_600_000)
    )]
    pub time_limit_ms: Option<u64>,
    /// What it may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// How fast it may call; not limited if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The agents through which the task came, first one first: at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Identifier>, max_items = 32))]
    pub chain: Vec<String>,
    /// Most active sessions the agent may have with this one; at most what
    /// the server is configured to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u64>,
}

impl CreateSession {
    /// A session for `agent` that may call no tool yet, with the default
    /// budget (1,000 calls), time limit (1 h) and ceiling (public).
    #[must_use]
    pub fn new(agent: impl Into<String>, intent: impl Into<String>) -> Self {
        Self {
            id: None,
            agent: agent.into(),
            intent: intent.into(),
            tools: None,
            credentials: None,
            ceiling: None,
            time_limit_ms: None,
            budget: None,
            rate: None,
            chain: Vec::new(),
            cap: None,
        }
    }
}

/// One tool call to be authorised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UseItem {
    /// The tool.
    #[cfg_attr(feature = "schema", schema(value_type = Name))]
    pub tool: String,
    /// The credentials the call needs: at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Name>, max_items = 16))]
    pub credentials: Vec<String>,
    /// How sensitive its data is; unchecked if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    /// What it costs beside the call: final, or an estimate if `reserve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Cost>,
    /// Whether the charge is an estimate that a settlement will replace.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reserve: bool,
}

impl UseItem {
    /// A call of `tool` without credentials, sensitivity or further cost.
    #[must_use]
    pub fn new(tool: impl Into<String>) -> Self {
        Self {
            tool: tool.into(),
            credentials: Vec::new(),
            sensitivity: None,
            charge: None,
            reserve: false,
        }
    }
}

/// Tool calls to be authorised together: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UseTools {
    /// On whose behalf; refused if the session is another's.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub agent: String,
    /// The calls, in order: 1 to 256, with names of at most 256 KiB together.
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 256))]
    pub items: Vec<UseItem>,
}

impl UseTools {
    /// One call of `tool`.
    #[must_use]
    pub fn one(agent: impl Into<String>, tool: impl Into<String>) -> Self {
        Self::batch(agent, vec![UseItem::new(tool)])
    }

    /// Several calls.
    #[must_use]
    pub fn batch(agent: impl Into<String>, items: Vec<UseItem>) -> Self {
        Self {
            agent: agent.into(),
            items,
        }
    }
}

/// The true figure for a reserved use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// On whose behalf; refused if the session is another's.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub agent: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// How a reserved use ended: `{"cost": {…}}` or `"refund"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = SettleOutcome))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happened, and this is what it cost. Recorded even where it exceeds
    /// the estimate and the budget: an overdraft refuses further use.
    Cost(Cost),
    /// It did not happen: the call and its estimate are given back.
    Refund,
}

/// More budget for an active session; at least one figure above 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    /// Calls to add.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000))]
    pub calls: u64,
    /// Tokens to add; the meter must have a limit.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000_000_000_000_u64))]
    pub tokens: u64,
    /// Micro-units to add; the meter must have a limit.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(maximum = 1_000_000_000_000_000_u64))]
    pub cost_micros: u64,
}

/// Who pays for what a delegated session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Funding {
    /// Its budget is set aside from its parent's when it is created; what is
    /// left of it at its end is its parent's again.
    #[default]
    Reserved,
    /// It spends its parent's budget, call by call; its own is a further
    /// limit.
    Shared,
}

/// A session to be created by another one, which becomes its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Delegate {
    /// The agent of the parent, on whose behalf this is done.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub by: String,
    /// The session: its tools, credentials, ceiling, time and budget must be
    /// within the parent's.
    pub child: CreateSession,
    /// Who pays; reserved if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding: Option<Funding>,
    /// Lasts as long as its parent, whatever its time limit says.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ends_with_parent: bool,
}

impl Delegate {
    /// Delegates to `child` with a reserved budget, for as long as its own
    /// time limit says.
    #[must_use]
    pub fn new(by: impl Into<String>, child: CreateSession) -> Self {
        Self {
            by: by.into(),
            child,
            funding: None,
            ends_with_parent: false,
        }
    }
}

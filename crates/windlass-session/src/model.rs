//! What callers ask for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use windlass_core::{AgentId, OperationId, SessionId};

use crate::error::{Problem, SessionError};
use crate::limits::{
    AMOUNT_MAX, BATCH_NAMES_BYTES_MAX, BATCH_USES_MAX, CALLS_DEFAULT, CALLS_MAX, CHAIN_MAX,
    CREDENTIALS_MAX, INTENT_BYTES_MAX, RATE_WINDOW_MS_DEFAULT, RATE_WINDOW_MS_MAX,
    RATE_WINDOW_MS_MIN, TIME_LIMIT_MS_DEFAULT, TIME_LIMIT_MS_MAX, TIME_LIMIT_MS_MIN,
};
use crate::names::{Allow, Name};

/// How sensitive data is, from anybody's to nearly nobody's.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// Anybody may see it.
    #[default]
    Public,
    /// For the organisation.
    Internal,
    /// For those who need it.
    Confidential,
    /// For named persons.
    Restricted,
}

impl Sensitivity {
    /// All levels, lowest first.
    pub const ALL: [Self; 4] = [
        Self::Public,
        Self::Internal,
        Self::Confidential,
        Self::Restricted,
    ];

    /// The level as it is spelled in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for Sensitivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Sensitivity {
    type Err = UnknownSensitivity;

    fn from_str(text: &str) -> Result<Self, UnknownSensitivity> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(UnknownSensitivity)
    }
}

/// A text is none of the four levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sensitivity is one of `public`, `internal`, `confidential`, `restricted`")]
pub struct UnknownSensitivity;

/// What a session may spend. Calls are always limited; the other meters only
/// if they are given a limit, but what is charged to them is counted anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Tool calls: 1 to 1,000,000.
    pub calls: u64,
    /// Tokens, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Micro-units of a currency, if limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
}

impl Budget {
    /// The limit of each meter, in the order of the meters.
    pub(crate) const fn limits(&self) -> [Option<u64>; 3] {
        [Some(self.calls), self.tokens, self.cost_micros]
    }
}

impl Default for Budget {
    /// 1,000 calls, no other limit.
    fn default() -> Self {
        Self {
            calls: CALLS_DEFAULT,
            tokens: None,
            cost_micros: None,
        }
    }
}

/// What one use costs beside the call itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Tokens.
    #[serde(default)]
    pub tokens: u64,
    /// Micro-units of a currency.
    #[serde(default)]
    pub cost_micros: u64,
}

impl Charge {
    pub(crate) const fn is_zero(&self) -> bool {
        self.tokens == 0 && self.cost_micros == 0
    }

    fn check(self) -> Result<(), SessionError> {
        check_range("tokens", self.tokens, 0, AMOUNT_MAX)?;
        check_range("cost_micros", self.cost_micros, 0, AMOUNT_MAX)
    }
}

/// How a rate window is laid over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateKind {
    /// It slides: it is counted in 64 parts of which the oldest counts whole,
    /// so no stretch of the window's length ever sees more than the limit,
    /// and a call is refused up to 1/63 of the window, and at most 62 ms of
    /// rounding, longer than strictly needed.
    #[default]
    Sliding,
    /// Windows follow one another from the epoch on, each with a fresh count.
    /// Around the boundary of two, up to twice the limit passes within a
    /// window's length.
    Fixed,
}

impl RateKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Sliding, Self::Fixed];

    /// The kind as it is spelled in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sliding => "sliding",
            Self::Fixed => "fixed",
        }
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature serde calls"
    )]
    const fn is_sliding(&self) -> bool {
        matches!(self, Self::Sliding)
    }
}

/// How many calls a stretch of time admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Calls the window admits; 0 refuses all.
    pub limit: u64,
    /// Length of the window: 10 s to 1 h.
    #[serde(default = "rate_window_ms_default")]
    pub window_ms: u64,
    /// How the window is laid over time.
    #[serde(default, skip_serializing_if = "RateKind::is_sliding")]
    pub kind: RateKind,
}

impl RateLimit {
    /// At most `limit` calls in any stretch of `window_ms`.
    #[must_use]
    pub const fn sliding(limit: u64, window_ms: u64) -> Self {
        let kind = RateKind::Sliding;
        Self {
            limit,
            window_ms,
            kind,
        }
    }

    /// At most `limit` calls in each window of `window_ms` from the epoch on.
    #[must_use]
    pub const fn fixed(limit: u64, window_ms: u64) -> Self {
        let kind = RateKind::Fixed;
        Self {
            limit,
            window_ms,
            kind,
        }
    }
}

const fn rate_window_ms_default() -> u64 {
    RATE_WINDOW_MS_DEFAULT
}

/// A session to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The caller's id for it; one of ours if none is given.
    pub id: Option<SessionId>,
    /// On whose behalf it runs.
    pub agent: AgentId,
    /// What it is for: 1 to 512 bytes.
    pub intent: String,
    /// The tools it may call.
    pub tools: Allow,
    /// The credentials it may use.
    pub credentials: Allow,
    /// The most sensitive data it may handle.
    pub ceiling: Sensitivity,
    /// How long it lasts: 1 s to 24 h.
    pub time_limit_ms: u64,
    /// What it may spend.
    pub budget: Budget,
    /// How fast it may call; unlimited if `None`.
    pub rate: Option<RateLimit>,
    /// The agents through which the task came, first one first; kept as
    /// given.
    pub chain: Vec<AgentId>,
    /// Makes the creation safe to retry.
    pub operation: Option<OperationId>,
}

impl Create {
    /// A session for `agent` that may call no tool yet, with the default
    /// budget (1,000 calls), time limit (1 h) and ceiling (public).
    #[must_use]
    pub fn new(agent: AgentId, intent: impl Into<String>) -> Self {
        Self {
            id: None,
            agent,
            intent: intent.into(),
            tools: Allow::nothing(),
            credentials: Allow::nothing(),
            ceiling: Sensitivity::Public,
            time_limit_ms: TIME_LIMIT_MS_DEFAULT,
            budget: Budget::default(),
            rate: None,
            chain: Vec::new(),
            operation: None,
        }
    }

    /// About how many bytes its lists take in its record.
    pub(crate) fn lists_bytes(&self) -> usize {
        self.tools.bytes() + self.credentials.bytes()
    }

    pub(crate) fn check(&self) -> Result<(), SessionError> {
        check_text("intent", &self.intent, INTENT_BYTES_MAX)?;
        self.tools
            .check()
            .map_err(|problem| SessionError::invalid("tools", problem))?;
        self.credentials
            .check()
            .map_err(|problem| SessionError::invalid("credentials", problem))?;
        check_range(
            "time_limit_ms",
            self.time_limit_ms,
            TIME_LIMIT_MS_MIN,
            TIME_LIMIT_MS_MAX,
        )?;
        check_range("budget.calls", self.budget.calls, 1, CALLS_MAX)?;
        check_range(
            "budget.tokens",
            self.budget.tokens.unwrap_or(0),
            0,
            AMOUNT_MAX,
        )?;
        check_range(
            "budget.cost_micros",
            self.budget.cost_micros.unwrap_or(0),
            0,
            AMOUNT_MAX,
        )?;
        if let Some(rate) = self.rate {
            check_range(
                "rate.window_ms",
                rate.window_ms,
                RATE_WINDOW_MS_MIN,
                RATE_WINDOW_MS_MAX,
            )?;
            check_range("rate.limit", rate.limit, 0, CALLS_MAX)?;
        }
        check_count("chain", self.chain.len(), CHAIN_MAX)
    }
}

/// Who pays for what a delegated session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Funding {
    /// Its budget is set aside from its parent's when it is created; what is
    /// left of it at its end is its parent's again.
    #[default]
    Reserved,
    /// It spends its parent's budget, call by call; its own is a further
    /// limit. Each of its changes also writes its parent's record, so many of
    /// them at once take turns.
    Shared,
}

/// A session to be created by another one, which becomes its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    /// The agent of the parent, on whose behalf this is done.
    pub by: Agent,
    /// The session: its tools, credentials, ceiling, time and budget must be
    /// within the parent's. A meter that the parent limits, or one whose
    /// budget the parent spends, must be limited, unless it is shared. Its
    /// chain becomes the parent's, the parent's agent
    /// and the agents given here.
    pub child: Create,
    /// Who pays.
    pub funding: Funding,
    /// Lasts as long as its parent, whatever its time limit says.
    pub ends_with_parent: bool,
}

impl Delegate {
    /// Delegates to `child` with a reserved budget, for as long as its own
    /// time limit says.
    #[must_use]
    pub const fn new(by: Agent, child: Create) -> Self {
        Self {
            by,
            child,
            funding: Funding::Reserved,
            ends_with_parent: false,
        }
    }
}

/// On whose behalf the caller says it acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// This agent; refused if the session is another's.
    Is(AgentId),
    /// Whichever: for embedders who know their agents otherwise.
    Unchecked,
}

/// One tool call to be authorised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseItem {
    /// The tool.
    pub tool: Name,
    /// The credentials the call needs: at most 16.
    pub credentials: Vec<Name>,
    /// How sensitive its data is; unchecked if `None`.
    pub sensitivity: Option<Sensitivity>,
    /// What it costs beside the call: final, or an estimate if `reserve`.
    pub charge: Charge,
    /// Whether the charge is an estimate that a settlement will replace.
    pub reserve: bool,
}

impl UseItem {
    /// A call of `tool` without credentials, sensitivity or further cost.
    #[must_use]
    pub const fn new(tool: Name) -> Self {
        let charge = Charge {
            tokens: 0,
            cost_micros: 0,
        };
        Self {
            tool,
            credentials: Vec::new(),
            sensitivity: None,
            charge,
            reserve: false,
        }
    }

    /// Bytes of all its names.
    pub(crate) fn names_bytes(&self) -> usize {
        let credentials: usize = self
            .credentials
            .iter()
            .map(|name| name.as_str().len())
            .sum();
        self.tool.as_str().len() + credentials
    }
}

/// Tool calls to be authorised together: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// On whose behalf.
    pub agent: Agent,
    /// The calls, in order: 1 to 256.
    pub items: Vec<UseItem>,
    /// Makes the use safe to retry.
    pub operation: Option<OperationId>,
}

impl Use {
    /// One call of `tool`.
    #[must_use]
    pub fn one(agent: Agent, tool: Name) -> Self {
        Self::batch(agent, vec![UseItem::new(tool)])
    }

    /// Several calls.
    #[must_use]
    pub const fn batch(agent: Agent, items: Vec<UseItem>) -> Self {
        Self {
            agent,
            items,
            operation: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), SessionError> {
        if self.items.is_empty() {
            return Err(SessionError::invalid("uses", Problem::Empty));
        }
        check_count("uses", self.items.len(), BATCH_USES_MAX)?;
        for item in &self.items {
            check_count("credentials", item.credentials.len(), CREDENTIALS_MAX)?;
            item.charge.check()?;
        }
        check_length(
            "uses",
            self.items.iter().map(UseItem::names_bytes).sum(),
            BATCH_NAMES_BYTES_MAX,
        )
    }
}

/// The true figure for a reserved use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// On whose behalf.
    pub agent: Agent,
    /// The call number from the receipt of the reserved use.
    pub call: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Makes the settlement safe to retry.
    pub operation: Option<OperationId>,
}

/// How a reserved use ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened, and this is what it cost. Recorded even where it exceeds
    /// the estimate and the budget: an overdraft refuses further use.
    Cost(Charge),
    /// It did not happen: the call and its estimate are given back.
    Refund,
}

impl Settle {
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        match self.outcome {
            Outcome::Cost(charge) => charge.check(),
            Outcome::Refund => Ok(()),
        }
    }
}

/// More budget for an active session. One that was delegated with a reserved
/// budget gets it from its parent's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopUp {
    /// Calls to add.
    pub calls: u64,
    /// Tokens to add; the meter must have a limit.
    pub tokens: u64,
    /// Micro-units to add; the meter must have a limit.
    pub cost_micros: u64,
    /// Makes the top-up safe to retry.
    pub operation: Option<OperationId>,
}

impl TopUp {
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        if self.calls == 0 && self.tokens == 0 && self.cost_micros == 0 {
            return Err(SessionError::invalid("top_up", Problem::Empty));
        }
        check_range("calls", self.calls, 0, CALLS_MAX)?;
        check_range("tokens", self.tokens, 0, AMOUNT_MAX)?;
        check_range("cost_micros", self.cost_micros, 0, AMOUNT_MAX)
    }
}

pub(crate) fn check_range(
    field: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), SessionError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(SessionError::invalid(
        field,
        Problem::Range { value, min, max },
    ))
}

pub(crate) fn check_count(
    field: &'static str,
    count: usize,
    max: usize,
) -> Result<(), SessionError> {
    if count <= max {
        return Ok(());
    }
    Err(SessionError::invalid(
        field,
        Problem::TooMany { count, max },
    ))
}

fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), SessionError> {
    if text.is_empty() {
        return Err(SessionError::invalid(field, Problem::Empty));
    }
    check_length(field, text.len(), max)
}

fn check_length(field: &'static str, length: usize, max: usize) -> Result<(), SessionError> {
    if length <= max {
        return Ok(());
    }
    Err(SessionError::invalid(
        field,
        Problem::TooLong { length, max },
    ))
}

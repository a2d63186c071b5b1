//! What is answered about sessions.

use serde::{Deserialize, Serialize};

use crate::{is_false, is_zero};

#[cfg(feature = "schema")]
use crate::schema::{Identifier, Patterns, UnixMs};

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It can be used, budget permitting.
    Active,
    /// It was closed.
    Closed,
    /// Its time is over.
    Expired,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Closed, Self::Expired];

    /// The status as it is spelled in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Expired => "expired",
        }
    }
}

/// How sensitive data is, from anybody's to nearly nobody's.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
    /// The level as it is spelled in JSON.
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

/// Which tools, or which credentials, a session may use: `"all"`, or
/// `{"only": […]}` with at most 1,024 names and patterns. An empty list allows
/// nothing, and there is no way to spell "all" by leaving something out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// Every name.
    All,
    /// The names that one of these patterns matches.
    #[cfg_attr(feature = "schema", schema(value_type = Patterns))]
    Only(Vec<String>),
}

/// How a rate window is laid over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RateKind {
    /// It slides: no stretch of the window's length sees more than the limit.
    #[default]
    Sliding,
    /// Windows follow one another from the epoch on, each with a fresh count.
    Fixed,
}

impl RateKind {
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RateLimit {
    /// Calls the window admits; 0 refuses all.
    pub limit: u64,
    /// Length of the window, in milliseconds.
    pub window_ms: u64,
    /// How the window is laid over time; left out if it slides.
    #[serde(default, skip_serializing_if = "RateKind::is_sliding")]
    pub kind: RateKind,
}

/// The state of one meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Reading {
    /// What may be used in all; `null` if unlimited.
    #[cfg_attr(feature = "schema", schema(required))]
    pub limit: Option<u64>,
    /// What is used. May exceed the limit after a settlement.
    pub used: u64,
    /// What is set aside for delegated sessions; left out if nothing is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lent: u64,
}

impl Reading {
    /// What is neither used nor lent; `None` if unlimited, 0 if overdrawn.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        let gone = self.used.saturating_add(self.lent);
        self.limit.map(|limit| limit.saturating_sub(gone))
    }
}

/// All meters of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Readings {
    /// Tool calls; always limited.
    pub calls: Reading,
    /// Tokens.
    pub tokens: Reading,
    /// Micro-units of a currency.
    pub cost_micros: Reading,
}

/// A session as it is stored now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Session {
    /// Its id.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub id: String,
    /// Grows with every change of it; its `ETag`.
    #[serde(default)]
    pub revision: u64,
    /// Whose it is.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: String,
    /// Who created it.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub principal: String,
    /// On whose behalf it runs.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub agent: String,
    /// The session that delegated to it.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>, required))]
    pub parent: Option<String>,
    /// The sessions above it, its parent first, the root last; at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Identifier>, max_items = 5))]
    pub above: Vec<String>,
    /// Whether it spends its parent's budget instead of one set aside for it;
    /// left out if not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared: bool,
    /// The agents through which the task came, first one first.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Identifier>, max_items = 32))]
    pub chain: Vec<String>,
    /// What it is for.
    pub intent: String,
    /// The tools it may call.
    pub tools: Allow,
    /// The credentials it may use.
    pub credentials: Allow,
    /// The most sensitive data it may handle.
    pub ceiling: Sensitivity,
    /// How fast it may call; `null` if that is not limited.
    #[cfg_attr(feature = "schema", schema(required))]
    pub rate: Option<RateLimit>,
    /// When it was created.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub created_at: u64,
    /// When its time is over.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub expires_at: u64,
    /// Where it is in its life, at the time of reading.
    pub status: Status,
    /// When it was closed or expired.
    #[cfg_attr(feature = "schema", schema(value_type = Option<UnixMs>, required))]
    pub ended_at: Option<u64>,
    /// The session above it whose closing ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub ended_through: Option<String>,
    /// Its meters.
    pub budget: Readings,
    /// The number of its last call; refunded calls keep theirs.
    pub calls_made: u64,
    /// Reservations neither settled, refunded nor expired: at most 64.
    pub reservations_open: u64,
    /// When it last changed.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub changed_at: u64,
    /// Stored values that were above a limit and count as the limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clamped: Vec<String>,
}

/// What a use left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Left {
    /// Calls.
    pub calls: u64,
    /// Tokens; `null` if unlimited.
    #[cfg_attr(feature = "schema", schema(required))]
    pub tokens: Option<u64>,
    /// Micro-units of a currency; `null` if unlimited.
    #[cfg_attr(feature = "schema", schema(required))]
    pub cost_micros: Option<u64>,
    /// Milliseconds until the session expires.
    pub time_ms: u64,
}

/// Proof that a use is authorised and durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// The number of the first call, counted from 1 over the session's life.
    pub first_call: u64,
    /// The number of the last call; equal to the first for a single use.
    pub last_call: u64,
    /// What is left after it.
    pub left: Left,
    /// Whether any meter, or the time, has 20 % or less left.
    pub low: bool,
}

/// A session that a list had to leave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = UnreadableSession))]
pub struct Unreadable {
    /// Which session.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub id: String,
    /// What is wrong with it, for operators.
    pub why: String,
}

/// One page of a list of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SessionPage {
    /// The sessions, each as it was when it was read.
    pub sessions: Vec<Session>,
    /// Where to go on; `null` at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next_cursor: Option<String>,
    /// Sessions whose records cannot be read; they are left out.
    #[serde(default)]
    pub unreadable: Vec<Unreadable>,
}

/// One session of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TreeNode {
    /// How many levels below the session that was asked for: 0 to 5.
    #[cfg_attr(feature = "schema", schema(maximum = 5))]
    pub depth: u64,
    /// The session, as it was when it was read.
    pub session: Session,
}

/// One page of a tree: each session before what is below it, children in the
/// order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TreePage {
    /// The sessions.
    pub nodes: Vec<TreeNode>,
    /// Where to go on; `null` at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next_cursor: Option<String>,
    /// Sessions whose records cannot be read; they are left out, what is below
    /// them is not.
    #[serde(default)]
    pub unreadable: Vec<Unreadable>,
}

/// How many active sessions an agent has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ActiveCount {
    /// The agent.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub agent: String,
    /// How many of its sessions are active.
    pub active: u64,
}

/// How many sessions a request closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Closed {
    /// Sessions closed.
    pub closed: u64,
}

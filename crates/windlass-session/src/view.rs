//! What callers get back.

use serde::{Deserialize, Serialize};
use windlass_core::{AgentId, Millis, PrincipalId, SessionId, TenantId};

use crate::model::{Charge, RateLimit, Sensitivity};
use crate::names::Allow;

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The status as it is spelled in JSON and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Expired => "expired",
        }
    }
}

/// The state of one meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What may be used in all; unlimited if `None`.
    pub limit: Option<u64>,
    /// What is used. May exceed the limit after a settlement.
    pub used: u64,
    /// What is set aside for delegated sessions, and not known to be used.
    /// Includes the rests of ended ones until they are taken back, which
    /// happens before anything is refused for want of them.
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
pub struct Readings {
    /// Tool calls; always limited.
    pub calls: Reading,
    /// Tokens.
    pub tokens: Reading,
    /// Micro-units of a currency.
    pub cost_micros: Reading,
}

/// A session as it is stored now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// How often its record was written: 1 when it is created, more after
    /// every change of the record, the same for the same record in every
    /// process.
    ///
    /// What is not in the record changes without it: as time passes, `status`,
    /// `ended_at` and `reservations_open`; when a session above ends, those
    /// and `ended_through`; with other limits after an upgrade, `clamped` and
    /// what it names. An id that is used anew after its session was removed
    /// begins at 1 again; `created_at` tells the two apart. A repeated answer
    /// shows the revision of the first one, or 0 if that was recorded before
    /// there were revisions.
    pub revision: u64,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who created it.
    pub principal: PrincipalId,
    /// On whose behalf it runs.
    pub agent: AgentId,
    /// The session that delegated to it.
    pub parent: Option<SessionId>,
    /// The sessions above it, its parent first, the root last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<SessionId>,
    /// Whether it spends its parent's budget instead of one set aside for it.
    #[serde(skip_serializing_if = "is_false")]
    pub shared: bool,
    /// The agents through which the task came.
    pub chain: Vec<AgentId>,
    /// What it is for.
    pub intent: String,
    /// The tools it may call.
    pub tools: Allow,
    /// The credentials it may use.
    pub credentials: Allow,
    /// The most sensitive data it may handle.
    pub ceiling: Sensitivity,
    /// How fast it may call.
    pub rate: Option<RateLimit>,
    /// When it was created.
    pub created_at: Millis,
    /// When its time is over.
    pub expires_at: Millis,
    /// Where it is in its life, at the time of reading.
    pub status: Status,
    /// When it was closed or expired.
    pub ended_at: Option<Millis>,
    /// The session above it whose closing ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_through: Option<SessionId>,
    /// Its meters.
    pub budget: Readings,
    /// The number of its last call; refunded calls keep theirs.
    pub calls_made: u64,
    /// Reservations neither settled, refunded nor expired.
    pub reservations_open: usize,
    /// When it last changed.
    pub changed_at: Millis,
    /// Stored values that were above a limit and count as the limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clamped: Vec<&'static str>,
}

/// What a use left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Calls.
    pub calls: u64,
    /// Tokens; `None` if unlimited.
    pub tokens: Option<u64>,
    /// Micro-units of a currency; `None` if unlimited.
    pub cost_micros: Option<u64>,
    /// Milliseconds until the session expires.
    pub time_ms: u64,
}

/// Proof that a use is authorised and durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// One recorded change of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, counted from 1 without gaps.
    #[serde(default)]
    pub number: u64,
    /// When it happened.
    pub at: Millis,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// The operation it was done under, as `principal/operation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

/// The kinds of recorded changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A tool call was authorised.
    Use {
        /// Its number.
        call: u64,
        /// The tool.
        tool: String,
        /// The credentials it named.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        credentials: Vec<String>,
        /// The sensitivity it named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sensitivity: Option<Sensitivity>,
        /// What it was charged beside the call.
        #[serde(default, skip_serializing_if = "Charge::is_zero")]
        charge: Charge,
        /// Whether the charge is an estimate.
        #[serde(default, skip_serializing_if = "is_false")]
        reserved: bool,
    },
    /// A reserved use got its true figure.
    Settle {
        /// The reserved call.
        call: u64,
        /// What it really cost.
        charge: Charge,
    },
    /// A reserved use was given back.
    Refund {
        /// The reserved call.
        call: u64,
    },
    /// A reservation was never settled: its estimate stays charged.
    Lapse {
        /// The reserved call.
        call: u64,
    },
    /// The budget was raised.
    TopUp {
        /// Calls added.
        calls: u64,
        /// Tokens added.
        #[serde(default)]
        tokens: u64,
        /// Micro-units added.
        #[serde(default)]
        cost_micros: u64,
    },
    /// The session was closed, or one above it.
    Close,
    /// A session was created within this one.
    Delegate {
        /// Which.
        session: SessionId,
        /// Calls it may make.
        calls: u64,
        /// Tokens it may use, if limited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<u64>,
        /// Micro-units it may spend, if limited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_micros: Option<u64>,
        /// Whether it spends this session's budget instead of one set aside.
        #[serde(default, skip_serializing_if = "is_false")]
        shared: bool,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

//! What happened in a session.

use serde::{Deserialize, Serialize};

use super::Sensitivity;
use crate::is_false;

#[cfg(feature = "schema")]
use crate::schema::{Identifier, UnixMs};

/// What one use cost beside the call itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Charge {
    /// Tokens.
    #[serde(default)]
    pub tokens: u64,
    /// Micro-units of a currency.
    #[serde(default)]
    pub cost_micros: u64,
}

impl Charge {
    const fn is_zero(&self) -> bool {
        self.tokens == 0 && self.cost_micros == 0
    }
}

/// One recorded change of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its number, counted from 1 without gaps.
    #[serde(default)]
    pub number: u64,
    /// When it happened.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// The operation it was done under, as `principal/operation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

/// The kinds of recorded changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
        #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
        session: String,
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

/// Part of a session's history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HistoryPage {
    /// The events, oldest first, without gaps.
    pub events: Vec<Event>,
    /// Whether later events exist.
    pub more: bool,
}

/// The last message of a live stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = EventsEnd))]
pub struct End {
    /// Why nothing more comes.
    pub reason: EndReason,
}

/// Why a live stream of events ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = EventsEndReason))]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The session was closed: there will be no more events.
    Closed,
    /// The session expired: there will be no more events.
    Expired,
    /// The server is about to stop: connect again, to another or later.
    Draining,
    /// The credential is no longer good.
    Revoked,
    /// The session was removed with its history.
    Removed,
}

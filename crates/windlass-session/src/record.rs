//! Stored records: small JSON objects, each with a format version.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
pub(crate) use windlass_core::Format;
use windlass_core::{AgentId, Millis, PrincipalId, SessionId};

use crate::error::SessionError;
use crate::lent::Amounts;
use crate::limits::{
    AMOUNT_MAX, CALLS_MAX, CHAIN_MAX, DEPTH_MAX, INTENT_BYTES_MAX, PATTERNS_MAX,
    RATE_WINDOW_MS_MAX, RATE_WINDOW_MS_MIN, RESERVATIONS_MAX, TIME_LIMIT_MS_MAX,
};
use crate::model::{Charge, RateLimit, Sensitivity};
use crate::names::Allow;
use crate::rate::Ring;
use crate::view::{Left, Reading, Readings, Receipt, What};
use crate::writers::Writers;

/// What is fixed when a session is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) v: Format,
    pub(crate) principal: PrincipalId,
    pub(crate) agent: AgentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<SessionId>,
    /// The sessions above it, its parent first, the root last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) above: Vec<SessionId>,
    /// How many of those, from its parent on, pay for it: call by call if its
    /// budget is shared, what it was given if not.
    #[serde(default, skip_serializing_if = "is_none_of")]
    pub(crate) payers: usize,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) shared: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) chain: Vec<AgentId>,
    pub(crate) intent: String,
    pub(crate) tools: Allow,
    pub(crate) credentials: Allow,
    pub(crate) ceiling: Sensitivity,
    pub(crate) created_at: Millis,
    pub(crate) time_limit_ms: u64,
    /// By how much the stored time limit was above its maximum.
    #[serde(skip)]
    pub(crate) excess_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<RateLimit>,
    /// The operation that created it, as `principal/operation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<String>,
}

impl Spec {
    /// The sessions above it that pay for it, its parent first.
    pub(crate) fn payers(&self) -> &[SessionId] {
        self.above.get(..self.payers).unwrap_or(&self.above)
    }

    /// A tree of which a part is unknown could be used without leave.
    fn check_tree(&self) -> Result<(), SessionError> {
        if self.above.first() == self.parent.as_ref() && self.above.len() <= DEPTH_MAX {
            return Ok(());
        }
        let why = "the sessions above it do not fit";
        Err(SessionError::corrupt("session spec", why))
    }

    pub(crate) const fn expires_at(&self) -> Millis {
        self.created_at.plus_ms(self.time_limit_ms)
    }

    /// The time under which the indexes list it: its expiry as stored.
    pub(crate) const fn indexed_at(&self) -> Millis {
        self.expires_at().plus_ms(self.excess_ms)
    }

    /// Limits hold again on reading: what is above one counts as the limit.
    fn clamp(&mut self, clamped: &mut Vec<&'static str>) {
        if self.intent.len() > INTENT_BYTES_MAX {
            let end = self.intent.floor_char_boundary(INTENT_BYTES_MAX);
            self.intent.truncate(end);
            clamped.push("intent");
        }
        if self.chain.len() > CHAIN_MAX {
            self.chain.truncate(CHAIN_MAX);
            clamped.push("chain");
        }
        clamp_patterns(&mut self.tools, "tools", clamped);
        clamp_patterns(&mut self.credentials, "credentials", clamped);
        self.excess_ms = self.time_limit_ms.saturating_sub(TIME_LIMIT_MS_MAX);
        clamp(
            &mut self.time_limit_ms,
            0..=TIME_LIMIT_MS_MAX,
            "time_limit_ms",
            clamped,
        );
        if let Some(rate) = &mut self.rate {
            let window = RATE_WINDOW_MS_MIN..=RATE_WINDOW_MS_MAX;
            clamp(&mut rate.limit, 0..=CALLS_MAX, "rate.limit", clamped);
            clamp(&mut rate.window_ms, window, "rate.window_ms", clamped);
        }
    }
}

fn clamp(
    value: &mut u64,
    range: RangeInclusive<u64>,
    name: &'static str,
    clamped: &mut Vec<&'static str>,
) {
    if !range.contains(value) {
        *value = (*value).clamp(*range.start(), *range.end());
        clamped.push(name);
    }
}

fn clamp_patterns(allow: &mut Allow, name: &'static str, clamped: &mut Vec<&'static str>) {
    if let Allow::Only(patterns) = allow
        && patterns.len() > PATTERNS_MAX
    {
        patterns.truncate(PATTERNS_MAX);
        clamped.push(name);
    }
}

/// A meter as stored: limit and use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MeterRecord(pub(crate) Option<u64>, pub(crate) u64);

impl MeterRecord {
    const fn is_idle(&self) -> bool {
        self.0.is_none() && self.1 == 0
    }

    const fn reading(self, lent: u64) -> Reading {
        Reading {
            limit: self.0,
            used: self.1,
            lent,
        }
    }

    fn clamp(&mut self, name: &'static str, max: u64, clamped: &mut Vec<&'static str>) {
        if let Some(limit) = &mut self.0 {
            clamp(limit, 0..=max, name, clamped);
        }
    }
}

/// A reservation that waits for its settlement: the call, what it reserved
/// (tokens, micro-units), and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open(
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) u64,
    pub(crate) Millis,
);

/// How and when a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    Closed(Millis),
    Expired(Millis),
    /// Its rows are being deleted; to everybody it is gone.
    Removing(Millis),
}

impl Ended {
    pub(crate) const fn at(self) -> Millis {
        match self {
            Self::Closed(at) | Self::Expired(at) | Self::Removing(at) => at,
        }
    }
}

/// What every change of a session rewrites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) v: Format,
    /// How often it was written.
    pub(crate) rev: u64,
    /// When it last changed.
    pub(crate) at: Millis,
    pub(crate) calls: MeterRecord,
    #[serde(default, skip_serializing_if = "MeterRecord::is_idle")]
    pub(crate) tokens: MeterRecord,
    #[serde(default, skip_serializing_if = "MeterRecord::is_idle")]
    pub(crate) cost: MeterRecord,
    /// The number of the last call.
    pub(crate) made: u64,
    /// The number of the last event; the event rows are dense up to it.
    pub(crate) events: u64,
    /// Where the index of due work lists it.
    pub(crate) due: Millis,
    /// Whether operation records exist that belong to it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) ops: bool,
    /// The first event whose operation record may still exist; 0 stands for
    /// the creation.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) kept: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) open: Vec<Open>,
    #[serde(default, skip_serializing_if = "Ring::is_empty")]
    pub(crate) rate: Ring,
    /// What is set aside for sessions it delegated to.
    #[serde(default, skip_serializing_if = "Amounts::is_zero")]
    pub(crate) lent: Amounts,
    /// What its parent was told that it spent; from then on it spends nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) told: Option<Amounts>,
    /// How many sessions it has delegated to.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) delegated: u64,
    /// Whether upkeep has ended all that was below it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) wound_up: bool,
    pub(crate) by: Writers,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_none_of(count: &usize) -> bool {
    *count == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Head {
    /// Whether upkeep is deleting the session's rows.
    pub(crate) const fn is_removing(&self) -> bool {
        matches!(self.ended, Some(Ended::Removing(_)))
    }

    fn clamp(&mut self, clamped: &mut Vec<&'static str>) {
        self.calls.clamp("calls", CALLS_MAX, clamped);
        self.tokens.clamp("tokens", AMOUNT_MAX, clamped);
        self.cost.clamp("cost_micros", AMOUNT_MAX, clamped);
        if self.open.len() > RESERVATIONS_MAX {
            self.open.truncate(RESERVATIONS_MAX);
            clamped.push("reservations");
        }
    }
}

/// Reads head and spec with all limits holding; answers the names of what
/// was above one.
pub(crate) fn decode_pair(
    head: &[u8],
    spec: &[u8],
) -> Result<(Head, Spec, Vec<&'static str>), SessionError> {
    let (head, of_head) = decode_head(head)?;
    let mut spec: Spec = decode("session spec", spec)?;
    let mut clamped = Vec::new();
    spec.check_tree()?;
    spec.clamp(&mut clamped);
    clamped.extend(of_head);
    Ok((head, spec, clamped))
}

/// Reads a head as [`decode_pair`] does.
pub(crate) fn decode_head(head: &[u8]) -> Result<(Head, Vec<&'static str>), SessionError> {
    let mut head: Head = decode("session head", head)?;
    if head.calls.0.is_none() {
        let why = "it has no limit of calls";
        return Err(SessionError::corrupt("session head", why));
    }
    let mut clamped = Vec::new();
    head.clamp(&mut clamped);
    Ok((head, clamped))
}

/// The value of a delegated session's row in the index of active ones: it is
/// active only while all of these are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActiveRow<'a> {
    pub(crate) v: Format,
    pub(crate) above: Cow<'a, [SessionId]>,
}

/// What an agent's sessions add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentHead {
    pub(crate) v: Format,
    pub(crate) rev: u64,
    /// Rows of the index of sessions not yet marked ended.
    pub(crate) active: u64,
    /// Rows of the index of all sessions.
    pub(crate) sessions: u64,
    pub(crate) by: Writers,
}

impl AgentHead {
    pub(crate) fn empty() -> Self {
        Self {
            v: Format,
            rev: 0,
            active: 0,
            sessions: 0,
            by: Writers::default(),
        }
    }
}

/// One event as its row holds it; its number follows from its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRecord {
    pub(crate) at: Millis,
    #[serde(flatten)]
    pub(crate) what: What,
    #[serde(default, rename = "op", skip_serializing_if = "Option::is_none")]
    pub(crate) operation: Option<String>,
}

/// The events of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventRow<'a> {
    pub(crate) v: Format,
    pub(crate) events: Cow<'a, [EventRecord]>,
}

/// The first answer to an operation id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperationRecord {
    pub(crate) v: Format,
    /// The first 128 bits of the SHA-256 of the request, in hexadecimal.
    pub(crate) hash: Arc<str>,
    pub(crate) at: Millis,
    pub(crate) session: SessionId,
    pub(crate) answer: Answer,
}

/// What a change answers, as small as it can be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Receipt(Receipt),
    Left(Left),
    /// The figures from which, with the spec, the session is shown.
    Session(Figures),
    /// How the session ended by this very change; `None` if it had ended
    /// before or has not. Upkeep is answered so, and nothing stores it.
    #[serde(skip)]
    Ended(Option<Ended>),
}

/// What of a session's state an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// The revision that shows them; 0 in answers that were recorded before
    /// revisions were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) rev: u64,
    pub(crate) at: Millis,
    pub(crate) calls: MeterRecord,
    pub(crate) tokens: MeterRecord,
    pub(crate) cost: MeterRecord,
    #[serde(default, skip_serializing_if = "Amounts::is_zero")]
    pub(crate) lent: Amounts,
    pub(crate) made: u64,
    pub(crate) open: usize,
    pub(crate) ended: Option<Ended>,
}

impl Figures {
    pub(crate) const fn readings(&self) -> Readings {
        Readings {
            calls: self.calls.reading(self.lent.0[0]),
            tokens: self.tokens.reading(self.lent.0[1]),
            cost_micros: self.cost.reading(self.lent.0[2]),
        }
    }
}

impl Head {
    /// What is shown of it at `now`.
    pub(crate) fn figures(&self, now: Millis) -> Figures {
        let open = |open: &&Open| !open.3.has_passed(now);
        Figures {
            rev: self.rev,
            at: self.at,
            calls: self.calls,
            tokens: self.tokens,
            cost: self.cost,
            lent: self.lent,
            made: self.made,
            open: self.open.iter().filter(open).count(),
            ended: self.ended,
        }
    }
}

impl Charge {
    pub(crate) const fn of(open: Open) -> Self {
        Self {
            tokens: open.1,
            cost_micros: open.2,
        }
    }
}

/// Room for most records, so that they do not have to grow while they are
/// written.
const RECORD_BYTES_USUAL: usize = 512;

pub(crate) fn encode<T: Serialize>(record: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(RECORD_BYTES_USUAL);
    serde_json::to_writer(&mut bytes, record)
        .expect("records have text keys and finite numbers only");
    bytes.into()
}

/// Reads a record, refusing formats this code does not know.
pub(crate) fn decode<T: DeserializeOwned>(
    name: &'static str,
    bytes: &[u8],
) -> Result<T, SessionError> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(rename = "v")]
        _format: Format,
    }
    serde_json::from_slice(bytes).map_err(|cause| {
        // A record of another format is better named than its first new field.
        let other = serde_json::from_slice::<Versioned>(bytes).err();
        SessionError::corrupt(name, other.unwrap_or(cause))
    })
}

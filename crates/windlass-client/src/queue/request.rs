//! What is asked of a queue.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Boundary, Delivery, Slot, WorkState};
#[cfg(feature = "schema")]
use crate::schema::{Bytes, Identifier, Json, UnixMs, WorkId};
use crate::state::{Base64, present};

/// One piece of work: exactly one of `json` and `bytes`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPayload {
    /// What it is: 1 to 128 bytes.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 128))]
    pub kind: String,
    /// A JSON value, kept as it is written.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = Json))]
    pub json: Option<Box<RawValue>>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Bytes))]
    pub bytes: Option<Base64>,
}

/// How long failed work rests: `first_ms` after the first attempt, then twice
/// as long each time, up to `max_ms`; of that at least half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// After the first failure: 0 to 24 hours.
    pub first_ms: u64,
    /// At most: `first_ms` to 24 hours.
    pub max_ms: u64,
}

/// A batch of work.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewWork {
    /// What is to be done: 1 to 64 payloads, of 1 MiB together.
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 64))]
    pub payloads: Vec<NewPayload>,
    /// When it may be handed out; after the turn if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Whether alone; not if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Adjacent work is handed out together only if this is equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 128))]
    pub merge_key: Option<String>,
    /// Higher ones go first; 4 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 9))]
    pub priority: Option<u8>,
    /// When it joins the line; at once if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub available_at: Option<u64>,
    /// Names the work: who enqueues the same again under this key gets the
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 200))]
    pub source_key: Option<String>,
    /// How often it may be claimed before it is put with the dead; 5 if left
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 1000))]
    pub attempts_max: Option<u32>,
    /// How long it rests after a failure; a second, doubling up to ten
    /// minutes, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

impl NewWork {
    /// Work of one JSON payload, everything else as where nothing is said.
    #[must_use]
    pub fn json(kind: &str, value: Box<RawValue>) -> Self {
        Self::of(NewPayload {
            kind: kind.to_owned(),
            json: Some(value),
            bytes: None,
        })
    }

    /// Work of one payload of bytes.
    #[must_use]
    pub fn bytes(kind: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(NewPayload {
            kind: kind.to_owned(),
            json: None,
            bytes: Some(Base64(bytes.into())),
        })
    }

    fn of(payload: NewPayload) -> Self {
        Self {
            payloads: vec![payload],
            ..Self::default()
        }
    }
}

/// A lease that the caller holds: the change takes effect only while this is
/// so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HeldLease {
    /// Who holds it.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub owner: String,
    /// Its generation.
    pub generation: u64,
}

/// Enqueues work of one session: all of it, or none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Enqueue {
    /// The work, in its order: 1 to 100.
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 100))]
    pub work: Vec<NewWork>,
    /// A lease of the session that has to be held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<HeldLease>,
}

/// Work of a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionWork {
    /// The session.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub session: String,
    /// The work.
    pub work: NewWork,
}

/// Enqueues work of several sessions: all of it, or none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EnqueueAll {
    /// The work, in its order: 1 to 100.
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 100))]
    pub work: Vec<SessionWork>,
}

/// Takes the head of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimWork {
    /// Who will hold the work.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub owner: String,
    /// For how long, unless it is renewed: up to 24 hours.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 86_400_000))]
    pub ttl_ms: u64,
    /// At which boundary; an idle one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Boundary>,
    /// Most batches to take; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 100, default = 1))]
    pub max: Option<u64>,
    /// How long to wait for work if there is none; not at all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 30_000, default = 0))]
    pub wait_ms: Option<u64>,
    /// A lease of the session that has to be held; not for a claim of any
    /// session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<HeldLease>,
}

impl ClaimWork {
    /// One batch at an idle boundary, if there is one.
    #[must_use]
    pub fn new(owner: impl Into<String>, ttl_ms: u64) -> Self {
        Self {
            owner: owner.into(),
            ttl_ms,
            ..Self::default()
        }
    }
}

/// Holds a claim on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RenewClaim {
    /// For how long from now on: up to 24 hours.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 86_400_000))]
    pub ttl_ms: u64,
    /// A lease of the session that has to be held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<HeldLease>,
}

/// Work that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = WorkFailure))]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Which.
    #[cfg_attr(feature = "schema", schema(value_type = WorkId))]
    pub id: String,
    /// Why, for whoever looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(max_length = 512))]
    pub reason: Option<String>,
    /// How long it rests, instead of what its backoff says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 86_400_000))]
    pub delay_ms: Option<u64>,
    /// Whether it is put with the dead although attempts are left.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub fatal: bool,
}

/// Work that is given back without having failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = WorkReturn))]
#[serde(deny_unknown_fields)]
pub struct Return {
    /// Which.
    #[cfg_attr(feature = "schema", schema(value_type = WorkId))]
    pub id: String,
    /// How long it rests.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    #[cfg_attr(feature = "schema", schema(maximum = 86_400_000))]
    pub delay_ms: u64,
}

/// A claim to be made in the same commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NextClaim {
    /// Who will hold the work.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub owner: String,
    /// For how long, unless it is renewed: up to 24 hours.
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 86_400_000))]
    pub ttl_ms: u64,
    /// At which boundary; an idle one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<Boundary>,
    /// Most batches to take; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 100, default = 1))]
    pub max: Option<u64>,
}

/// What became of claimed work, all or none: 1 to 100. What is not named stays
/// held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SettleClaim {
    /// Done; it goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(value_type = Vec<WorkId>))]
    pub complete: Vec<String>,
    /// Failed; it rests, or is put with the dead after its last attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fail: Vec<Failure>,
    /// Given back; the attempt counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abandon: Vec<Return>,
    /// What of the same session is claimed at once: both happen or neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextClaim>,
    /// A lease of the session that has to be held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<HeldLease>,
}

/// Takes a session's lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AcquireLease {
    /// Who will hold it.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub owner: String,
    /// For how long, unless it is renewed: up to 24 hours; 30 s if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schema(minimum = 1, maximum = 86_400_000, default = 30_000)
    )]
    pub ttl_ms: Option<u64>,
}

/// Which work of a session is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct WorkQuery {
    /// In which state; pending if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<WorkState>,
    /// Whether payloads are wanted; not if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payloads: Option<bool>,
    /// At most so many: 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
    pub limit: Option<u64>,
    /// The `next_cursor` of an earlier page of the same list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(min_length = 1, max_length = 4096))]
    pub cursor: Option<String>,
}

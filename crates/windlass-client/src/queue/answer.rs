//! What a queue answers.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Delivery, Slot, WorkState};
#[cfg(feature = "schema")]
use crate::schema::{Bytes, Identifier, Json, UnixMs, WorkId};
use crate::session::Unreadable;
use crate::state::{Base64, present};

macro_rules! answer {
    ($(#[$doc:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub struct $name { $($fields)* }
    };
}

/// One piece of work: it has `json` or `bytes`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = WorkPayload))]
pub struct Payload {
    /// What it is.
    pub kind: String,
    /// A JSON value, as it was written.
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

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        let text = |one: &Self| one.json.as_ref().map(|json| json.get().to_owned());
        (&self.kind, text(self), &self.bytes) == (&other.kind, text(other), &other.bytes)
    }
}

impl Eq for Payload {}

answer!(
    /// Work that was enqueued.
    Enqueued {
        /// Its name.
        #[cfg_attr(feature = "schema", schema(value_type = WorkId))]
        pub id: String,
        /// Whether its source key was known already: then this is the first
        /// work that was enqueued under it, and nothing was added.
        pub known: bool,
    }
);

answer!(
    /// All work of one call, in its order.
    EnqueuedAll {
        /// The work.
        pub work: Vec<Enqueued>,
    }
);

answer!(
    /// Work as it was handed out.
    Claimed {
        /// Its name.
        #[cfg_attr(feature = "schema", schema(value_type = WorkId))]
        pub id: String,
        /// What is to be done.
        pub payloads: Vec<Payload>,
        /// When it was to be handed out.
        pub delivery: Delivery,
        /// Whether alone.
        pub slot: Slot,
        /// What it was merged by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub merge_key: Option<String>,
        /// Its priority.
        pub priority: u8,
        /// Its source key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source_key: Option<String>,
        /// Which attempt this is, from 1.
        pub attempt: u32,
        /// How many there may be.
        pub attempts_max: u32,
        /// When it was enqueued.
        #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
        pub enqueued_at: u64,
        /// Why the last attempt failed, if it did and said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
    }
);

answer!(
    /// A hold on some work of one session, for a time.
    Claim {
        /// Whose work.
        #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
        pub session: String,
        /// Raised with each claim of the session: the holder of a lower one
        /// has lost its hold.
        pub token: u64,
        /// Who holds it.
        #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
        pub owner: String,
        /// When the hold ends, unless it is renewed.
        #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
        pub until: u64,
        /// How long it was made for.
        pub ttl_ms: u64,
        /// What is held, in its order.
        pub work: Vec<Claimed>,
    }
);

answer!(
    /// What there was to claim.
    ClaimAnswer {
        /// The claim; `null` if there was nothing.
        #[cfg_attr(feature = "schema", schema(required))]
        pub claim: Option<Claim>,
    }
);

answer!(
    /// A claim that is held on.
    Renewed {
        /// When it ends, unless it is renewed.
        #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
        pub until: u64,
    }
);

answer!(
    /// Work that is tried again.
    Rest {
        /// Which.
        #[cfg_attr(feature = "schema", schema(value_type = WorkId))]
        pub id: String,
        /// From when on.
        #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
        pub at: u64,
    }
);

answer!(
    /// What settling did.
    Settled {
        /// How much of the claim is still held.
        pub held: u64,
        /// What is tried again.
        #[serde(default)]
        pub resting: Vec<Rest>,
        /// What was put with the dead.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schema(value_type = Vec<WorkId>))]
        pub dead: Vec<String>,
        /// What was claimed in the same commit, if it was asked for and there
        /// was something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub claim: Option<Claim>,
    }
);

answer!(
    /// Work as a listing shows it.
    WorkItem {
        /// Its name.
        #[cfg_attr(feature = "schema", schema(value_type = WorkId))]
        pub id: String,
        /// In which state it is.
        pub state: WorkState,
        /// What is to be done, where it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub payloads: Option<Vec<Payload>>,
        /// How many payloads it has.
        pub payload_count: u64,
        /// Their bytes.
        pub payload_bytes: u64,
        /// When it is to be handed out.
        pub delivery: Delivery,
        /// Whether alone.
        pub slot: Slot,
        /// What it is merged by.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub merge_key: Option<String>,
        /// Its priority.
        pub priority: u8,
        /// Its source key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source_key: Option<String>,
        /// Attempts so far, the one under way included.
        pub attempts: u32,
        /// How many there may be.
        pub attempts_max: u32,
        /// When it was enqueued.
        #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
        pub enqueued_at: u64,
        /// Not to be claimed before.
        #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
        pub available_at: u64,
        /// Why its last attempt failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<String>,
        /// Who holds it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub owner: Option<String>,
        /// Until when it is held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub held_until: Option<u64>,
        /// When it was put with the dead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub died_at: Option<u64>,
    }
);

answer!(
    /// A page of a session's work, in the order of its line.
    WorkPage {
        /// The work.
        pub work: Vec<WorkItem>,
        /// Where the next page begins; `null` at the end.
        #[cfg_attr(feature = "schema", schema(required))]
        pub next_cursor: Option<String>,
        /// What is wrong with rows that cannot be read; they are left out.
        pub unreadable: Vec<String>,
    }
);

answer!(
    /// How much work a session has.
    #[derive(Copy)]
    Counts {
        /// In line, or to be in line later, and not claimed.
        pub pending: u64,
        /// Held by somebody.
        pub claimed: u64,
        /// Not tried any more.
        pub dead: u64,
        /// Since when the oldest of what stands in line stands there; `null`
        /// if nothing does.
        #[cfg_attr(feature = "schema", schema(required))]
        pub oldest: Option<u64>,
    }
);

answer!(
    /// A session that has a queue.
    OverviewEntry {
        /// The session.
        #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
        pub session: String,
        /// How much work it has.
        #[serde(flatten)]
        pub counts: Counts,
    }
);

answer!(
    /// A page of the sessions that have queues, by name.
    Overview {
        /// The sessions.
        pub sessions: Vec<OverviewEntry>,
        /// Where the next page begins; `null` at the end.
        #[cfg_attr(feature = "schema", schema(required))]
        pub next_cursor: Option<String>,
        /// Sessions whose records cannot be read.
        pub unreadable: Vec<Unreadable>,
    }
);

answer!(
    /// Work that was changed.
    WorkNamed {
        /// Its name.
        #[cfg_attr(feature = "schema", schema(value_type = WorkId))]
        pub id: String,
    }
);

answer!(
    /// A queue that was removed.
    #[derive(Copy)]
    RemovedQueue {
        /// How many rows of the store it had.
        pub rows: u64,
    }
);

answer!(
    /// A session's lease.
    Lease {
        /// Who holds it.
        #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
        pub owner: String,
        /// Raised whenever it changes hands.
        pub generation: u64,
        /// When it runs out, unless it is renewed.
        #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
        pub until: u64,
    }
);

answer!(
    /// Who holds a session's lease.
    LeaseAnswer {
        /// The lease; `null` if nobody holds it.
        #[cfg_attr(feature = "schema", schema(required))]
        pub lease: Option<Lease>,
    }
);

answer!(
    /// What a round of upkeep did for queues.
    QueueReport {
        /// Steps taken.
        pub scanned: u64,
        /// Operation records dropped.
        pub operations_removed: u64,
        /// Source keys of finished work forgotten.
        pub sources_removed: u64,
        /// Queues removed that had been empty for a day.
        pub queues_removed: u64,
        /// Records of leases removed that nobody had held for a day.
        pub leases_removed: u64,
        /// Whether work that is due is left, or may be.
        pub truncated: bool,
        /// Queues whose records cannot be read; they are left alone.
        pub unreadable: Vec<Unreadable>,
    }
);

//! Stored records: small JSON objects, each with a format version.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
pub(crate) use windlass_core::Format;
use windlass_core::{Millis, OperationId, OwnerId, PrincipalId, SessionId, Writers};

use crate::error::QueueError;
use crate::held::{Held, HeldRow};
use crate::id::{Place, WorkId};
use crate::limits::{ATTEMPTS_DEFAULT, GONE_ROWS_MAX, GONE_RUNS_MAX, KEPT_MS, PRIORITY_MAX};
use crate::model::{Backoff, Claimed, Content, Delivery, Enqueued, Payload, Settled, Slot, Work};

/// Ranks of a line: one a priority.
pub(crate) const RANKS: usize = PRIORITY_MAX as usize + 1;

/// What every change of a queue rewrites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) v: Format,
    /// How often it was written.
    pub(crate) rev: u64,
    /// When it last changed.
    pub(crate) at: Millis,
    /// The last number given to work.
    pub(crate) number: u64,
    /// The last fencing token.
    pub(crate) token: u64,
    /// How much work of each rank the rows hold, claimed work included.
    pub(crate) lines: [u64; RANKS],
    /// How much work is dead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) dead: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claim: Option<Held>,
    /// Work that is gone, though its row, in which other work is left, was not
    /// rewritten for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gone: Vec<HeldRow>,
    /// Where the tenant's index of sessions with work lists it.
    #[serde(default, skip_serializing_if = "Ready::is_empty")]
    pub(crate) ready: Ready,
    /// Where the index of due work lists it.
    pub(crate) due: Millis,
    /// Notes that upkeep has not yet seen to.
    #[serde(default, skip_serializing_if = "Notes::is_empty")]
    pub(crate) notes: Notes,
    /// Whether its rows are being deleted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) removing: bool,
    pub(crate) by: Writers,
}

impl Head {
    /// The head of a queue that begins at `now`. Tokens go on from the time,
    /// so that a queue that was removed and comes back repeats none.
    pub(crate) fn begin(now: Millis) -> Self {
        Self {
            v: Format,
            rev: 0,
            at: now,
            number: 0,
            token: now.get(),
            lines: [0; RANKS],
            dead: 0,
            claim: None,
            gone: Vec::new(),
            ready: Ready::default(),
            due: now.plus_ms(KEPT_MS),
            notes: Notes::default(),
            removing: false,
            by: Writers::default(),
        }
    }

    /// Notes that work is gone from a row that stays as it is; `false` if there
    /// is no room for it.
    pub(crate) fn let_go(&mut self, row: Place, number: u64) -> bool {
        if let Some(gone) = self.gone.iter_mut().find(|gone| gone.place() == row) {
            gone.insert(number);
            return gone.runs() <= GONE_RUNS_MAX;
        }
        let room = self.gone.len() < GONE_ROWS_MAX;
        if room {
            self.gone.push(HeldRow::new(row, number));
        }
        room
    }

    /// Takes from a row what is gone from it.
    pub(crate) fn prune(&self, row: Place, items: &mut Items) {
        if let Some(gone) = self.gone.iter().find(|gone| gone.place() == row) {
            items.retain(|item| !gone.holds(item.number));
        }
    }

    /// How much work there is, dead work apart.
    pub(crate) fn pending(&self) -> u64 {
        self.lines.iter().sum()
    }
}

/// At which boundaries what a session has ready may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// At any.
    Early,
    /// Between turns.
    Turn,
}

impl From<Delivery> for Class {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::EarliestBoundary => Self::Early,
            Delivery::AfterTurn => Self::Turn,
        }
    }
}

/// Where the index of sessions with work lists one: by when something may be
/// handed out, at any boundary and between turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ready {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) early: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<Millis>,
}

impl Ready {
    /// Listed once, for any boundary.
    pub(crate) const fn early(at: Millis) -> Self {
        let (early, turn) = (Some(at), None);
        Self { early, turn }
    }

    /// Lists it for a class too, unless it is listed earlier.
    pub(crate) fn add(&mut self, class: Class, at: Millis) {
        let entry = match class {
            Class::Early => &mut self.early,
            Class::Turn => &mut self.turn,
        };
        *entry = Some(entry.map_or(at, |before| before.min(at)));
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.early.is_none() && self.turn.is_none()
    }

    /// Its entries.
    pub(crate) fn entries(self) -> impl Iterator<Item = (Class, Millis)> {
        let early = self.early.map(|at| (Class::Early, at));
        let turn = self.turn.map(|at| (Class::Turn, at));
        early.into_iter().chain(turn)
    }
}

/// Numbers of the notes that exist: after `gone`, up to `last`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notes {
    pub(crate) last: u64,
    pub(crate) gone: u64,
}

impl Notes {
    pub(crate) const fn is_empty(&self) -> bool {
        self.last == 0
    }
}

/// Operation ids and source keys of finished work, of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) v: Format,
    pub(crate) at: Millis,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ops: Vec<(PrincipalId, OperationId)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<Arc<str>>,
}

impl Note {
    pub(crate) const fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.sources.is_empty()
    }
}

/// A batch of work as its row holds it; its rank and time are in the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) number: u64,
    pub(crate) salt: u32,
    /// When it was enqueued.
    pub(crate) at: Millis,
    pub(crate) payloads: Arc<[Payload]>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) early: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) exclusive: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merge: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
    #[serde(default = "attempts_default", skip_serializing_if = "is_usual")]
    pub(crate) attempts_max: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) backoff: Backoff,
    /// Attempts that have ended.
    #[serde(default, skip_serializing_if = "is_none_of")]
    pub(crate) attempts: u32,
    /// Not to be claimed before.
    #[serde(default, skip_serializing_if = "is_epoch")]
    pub(crate) rest: Millis,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Arc<str>>,
}

/// The source key of work, and the hash of what came with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) key: Arc<str>,
    pub(crate) hash: Arc<str>,
}

impl Item {
    /// What `work` becomes, but for what it is given when it is enqueued.
    pub(crate) fn template(work: Work, hash: impl Fn(&Work) -> Arc<str>, salt: u32) -> Self {
        let source = work.source_key.clone().map(|key| Source {
            key,
            hash: hash(&work),
        });
        Self {
            number: 0,
            salt: salt & 0x3fff_ffff,
            at: Millis::default(),
            payloads: work.payloads.into(),
            early: work.delivery == Delivery::EarliestBoundary,
            exclusive: work.slot == Slot::Exclusive,
            merge: work.merge_key,
            source,
            attempts_max: work.attempts_max,
            backoff: work.backoff,
            attempts: 0,
            rest: Millis::default(),
            reason: None,
        }
    }

    pub(crate) fn id(&self, row: Place) -> WorkId {
        let number = self.number;
        WorkId::new(Place { number, ..row }, self.salt)
    }

    pub(crate) const fn delivery(&self) -> Delivery {
        if self.early {
            Delivery::EarliestBoundary
        } else {
            Delivery::AfterTurn
        }
    }

    pub(crate) const fn slot(&self) -> Slot {
        if self.exclusive {
            Slot::Exclusive
        } else {
            Slot::Join
        }
    }

    /// Whether it may be handed out together with what stands before it.
    pub(crate) fn joins(&self, first: &Self) -> bool {
        let joinable = !self.exclusive && !first.exclusive;
        joinable && self.early == first.early && self.merge == first.merge
    }

    /// As it is handed out from the row with this key.
    pub(crate) fn claimed(&self, row: Place) -> Claimed {
        Claimed {
            id: self.id(row),
            payloads: Arc::clone(&self.payloads),
            delivery: self.delivery(),
            slot: self.slot(),
            merge_key: self.merge.clone(),
            priority: PRIORITY_MAX.saturating_sub(row.rank),
            source_key: self.source.as_ref().map(|source| Arc::clone(&source.key)),
            attempt: self.attempts.saturating_add(1),
            attempts_max: self.attempts_max,
            enqueued_at: self.at,
            reason: self.reason.clone(),
        }
    }

    /// Bytes of its payloads.
    pub(crate) fn size(&self) -> usize {
        self.payloads.iter().map(Payload::size).sum()
    }
}

/// The work of one row, in the order of its numbers.
pub(crate) type Items = Vec<Arc<Item>>;

/// A row of work.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemRow {
    pub(crate) v: Format,
    pub(crate) items: Items,
}

/// Work that is not tried any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadRow {
    pub(crate) v: Format,
    /// When it was given up.
    pub(crate) at: Millis,
    pub(crate) item: Arc<Item>,
}

/// What a source key stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceRow {
    pub(crate) v: Format,
    pub(crate) id: WorkId,
    pub(crate) hash: Arc<str>,
    /// When its work was finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished: Option<Millis>,
}

/// The first answer to an operation id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperationRow {
    pub(crate) v: Format,
    pub(crate) hash: Arc<str>,
    pub(crate) at: Millis,
    pub(crate) answers: Vec<Answer>,
}

/// What a change answers, as small as it can be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Enqueued(Vec<Enqueued>),
    /// What was taken; `None` if there was nothing.
    Claimed(Option<Taken>),
    /// The new deadline.
    Renewed(Millis),
    Settled(Settled),
    /// The work went, or came back.
    Done,
}

/// A claim that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Taken {
    pub(crate) session: SessionId,
    pub(crate) token: u64,
    pub(crate) owner: OwnerId,
    pub(crate) until: Millis,
    pub(crate) ttl_ms: u64,
    pub(crate) ids: Vec<WorkId>,
    /// What is held; of a claim that is looked up again, it is read anew.
    #[serde(skip)]
    pub(crate) work: Vec<(Place, Arc<Item>)>,
}

/// Who holds a session's lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HolderRow {
    pub(crate) v: Format,
    pub(crate) generation: u64,
    /// None once it was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<OwnerId>,
    /// Drawn for each acquisition, or its operation.
    pub(crate) nonce: Arc<str>,
}

/// How long a session's lease is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UntilRow {
    pub(crate) v: Format,
    pub(crate) until: Millis,
    pub(crate) ttl_ms: u64,
    /// Where the index of due work lists the lease.
    pub(crate) due: Millis,
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("Payload", 2)?;
        record.serialize_field("kind", &self.kind)?;
        match &self.content {
            Content::Json(json) => record.serialize_field("json", json)?,
            Content::Bytes(bytes) => record.serialize_field("base64", &STANDARD.encode(bytes))?,
        }
        record.end()
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Record {
            kind: Arc<str>,
            json: Option<Box<RawValue>>,
            base64: Option<String>,
        }
        let record = Record::deserialize(deserializer)?;
        let content = match (record.json, record.base64) {
            (Some(json), None) => Content::Json(json.into()),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
                Content::Bytes(bytes.into())
            }
            // A JSON null is read as a value that is not there.
            (None, None) => Content::Json(RawValue::NULL.to_owned().into()),
            (Some(_), Some(_)) => return Err(D::Error::custom("a payload has two contents")),
        };
        Ok(Self {
            kind: record.kind,
            content,
        })
    }
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
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_none_of(count: &u32) -> bool {
    *count == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_usual(attempts: &u32) -> bool {
    *attempts == ATTEMPTS_DEFAULT
}

const fn attempts_default() -> u32 {
    ATTEMPTS_DEFAULT
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
fn is_epoch(time: &Millis) -> bool {
    *time == Millis::default()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
) -> Result<T, QueueError> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(rename = "v")]
        _format: Format,
    }
    serde_json::from_slice(bytes).map_err(|cause| {
        // A record of another format is better named than its first new field.
        let other = serde_json::from_slice::<Versioned>(bytes).err();
        QueueError::corrupt(name, other.unwrap_or(cause))
    })
}

//! Operation ids: a change that is asked for again under the same id gives
//! the first answer and takes effect once.
//!
//! The record of an id is written by the commit that makes its change true,
//! which finds the id unused or conflicts. Records lie in the order in which
//! they were written, so that upkeep finds the oldest without looking at the
//! others; the head counts them and their bytes.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use windlass_core::{Format, GroupId, Millis, OperationId, PrincipalId};
use windlass_store::{Scan, Version};

use super::engine::Engine;
use super::keys::StashKeys;
use super::limits::{ANSWER_VALUE_BYTES_MAX, BITE_OPERATIONS, OPERATION_BYTES, OPERATION_MS};
use super::plan::Told;
use super::record::{Head, corrupt, decode, encode};
use crate::error::StashError;
use crate::fingerprint::Fingerprint;
use crate::metadata::{Entry, Metadata};
use crate::request::{Answer, Condition, Number, Operation, Removed};
use crate::value::Value;

/// An operation id of a principal. Ids of different principals, and those for
/// different sessions, have nothing to do with one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Once {
    /// Who asks.
    pub principal: PrincipalId,
    /// Its id for one change.
    pub operation: OperationId,
}

impl Once {
    /// The id of one change of `principal`'s.
    #[must_use]
    pub const fn new(principal: PrincipalId, operation: OperationId) -> Self {
        Self {
            principal,
            operation,
        }
    }
}

/// A change that is to be made once.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) once: Once,
    hash: Arc<str>,
    /// Of a clearing in several commits: what it has done, and the version of
    /// the record that says so.
    pub(super) so_far: Option<(Version, Removed)>,
}

impl Deed {
    pub(super) fn step(once: Once, group: Option<&GroupId>, operations: &[Operation]) -> Self {
        let mut asked = Fingerprint::new("step");
        asked.optional(group.map(GroupId::as_str));
        for operation in operations {
            note(&mut asked, operation);
        }
        Self::new(once, &asked)
    }

    pub(super) fn clear(once: Once, group: Option<&GroupId>) -> Self {
        let mut asked = Fingerprint::new("clear");
        asked.optional(group.map(GroupId::as_str));
        Self::new(once, &asked)
    }

    fn new(once: Once, asked: &Fingerprint) -> Self {
        Self {
            once,
            hash: asked.hash(),
            so_far: None,
        }
    }

    pub(super) fn key(&self, keys: &StashKeys) -> Bytes {
        keys.operation(&self.once.principal, &self.once.operation)
    }

    /// The record of `told`, what it is charged, and where it goes.
    pub(super) fn noted(&self, keys: &StashKeys, at: Millis, told: &Told) -> Noted {
        let record = encode(&Record {
            v: Format,
            hash: Arc::clone(&self.hash),
            at,
            answer: Remembered::of(told),
        });
        let key = self.key(keys);
        let bytes = u64::try_from(key.len() + record.len()).unwrap_or(u64::MAX);
        Noted {
            once: self.once.clone(),
            key,
            bytes: bytes.saturating_add(OPERATION_BYTES),
            record,
            replaces: self.so_far.map(|(version, _)| version),
        }
    }

    /// What the record of this id says, if it is of the same request.
    pub(super) fn first(&self, stored: &[u8]) -> Result<Remembered, StashError> {
        let record: Record = decode("operation record", stored)?;
        if record.hash != self.hash {
            return Err(StashError::OperationConflict);
        }
        Ok(record.answer)
    }
}

fn note(asked: &mut Fingerprint, operation: &Operation) {
    let key = operation.key().as_str();
    match operation {
        Operation::Get(_) => asked.texts(["get", key]),
        Operation::Put(put) => {
            asked.texts(["put", key, put.value.as_json()]);
            asked.optional_number(put.ttl_ms);
            match put.condition {
                Condition::Any => asked.texts(["any"]),
                Condition::Absent => asked.texts(["absent"]),
                Condition::Version(version) => asked.optional_number(Some(version)),
            }
        }
        Operation::Delete(_) => asked.texts(["delete", key]),
        Operation::Touch { ttl_ms, .. } => {
            asked.texts(["touch", key]);
            asked.optional_number(*ttl_ms);
        }
        Operation::Increment(request) => {
            asked.texts(["increment", key, &request.by.to_string()]);
            asked.optional_number(request.ttl_ms);
        }
    }
}

/// A record that a commit is to write.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) once: Once,
    pub(super) key: Bytes,
    pub(super) record: Bytes,
    /// What it counts towards the bound of a stash.
    pub(super) bytes: u64,
    /// The version of the record it takes the place of.
    pub(super) replaces: Option<Version>,
}

/// The first answer to an operation id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    v: Format,
    /// 128 bits of the request, in hexadecimal.
    hash: Arc<str>,
    at: Millis,
    answer: Remembered,
}

/// An answer as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Remembered {
    Step(Vec<RememberedAnswer>),
    /// What a clearing removed; with `truncated`, what it has so far.
    Removed(Removed),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RememberedAnswer {
    Entry(Option<RememberedEntry>),
    Stored(Metadata),
    Deleted(bool),
    Touched(Option<Metadata>),
    Number(i64, Metadata),
}

/// An entry that was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RememberedEntry {
    pub(super) metadata: Metadata,
    pub(super) ttl_left_ms: u64,
    /// Its value; left out where it is long, and read again by its version.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    value: Option<Box<RawValue>>,
}

/// A value that is there, also where it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Remembered {
    fn of(told: &Told) -> Self {
        match told {
            Told::Answers(answers) | Told::Repeated(answers) => {
                let mut room = ANSWER_VALUE_BYTES_MAX;
                let kept = answers
                    .iter()
                    .map(|answer| RememberedAnswer::of(answer, &mut room));
                Self::Step(kept.collect())
            }
            Told::Removed(removed) => Self::Removed(*removed),
        }
    }
}

impl RememberedAnswer {
    fn of(answer: &Answer, room: &mut u64) -> Self {
        match answer {
            Answer::Entry(None) => Self::Entry(None),
            Answer::Entry(Some(entry)) => Self::Entry(Some(RememberedEntry::of(entry, room))),
            Answer::Stored(metadata) => Self::Stored(metadata.clone()),
            Answer::Deleted(deleted) => Self::Deleted(*deleted),
            Answer::Touched(touched) => Self::Touched(touched.clone()),
            Answer::Number(number) => Self::Number(number.value, number.metadata.clone()),
        }
    }

    /// The answer, if it needs no value that is not kept with it.
    pub(super) fn answer(self) -> Result<Answer, RememberedEntry> {
        Ok(match self {
            Self::Entry(None) => Answer::Entry(None),
            Self::Entry(Some(entry)) => match entry.value {
                Some(raw) => Answer::Entry(Some(Entry {
                    value: Value::from_compact(raw.get()),
                    metadata: entry.metadata,
                    ttl_left_ms: entry.ttl_left_ms,
                })),
                None => return Err(entry),
            },
            Self::Stored(metadata) => Answer::Stored(metadata),
            Self::Deleted(deleted) => Answer::Deleted(deleted),
            Self::Touched(touched) => Answer::Touched(touched),
            Self::Number(value, metadata) => Answer::Number(Number { value, metadata }),
        })
    }
}

impl RememberedEntry {
    fn of(entry: &Entry, room: &mut u64) -> Self {
        let left = room.checked_sub(entry.metadata.size);
        *room = left.unwrap_or(*room);
        let raw = || serde_json::from_str(entry.value.as_json()).expect("a value is JSON");
        Self {
            metadata: entry.metadata.clone(),
            ttl_left_ms: entry.ttl_left_ms,
            value: left.map(|_| raw()),
        }
    }
}

/// What a head says of the records of operation ids. The numbers begin at that
/// of the commit that wrote the first, as those of revisions at the time: a
/// head that takes the place of this one repeats none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Records {
    /// The number of the last one.
    pub(super) last: u64,
    /// The number of the last one that was forgotten.
    pub(super) gone: u64,
    /// What those in between are charged.
    pub(super) bytes: u64,
    /// When the oldest of them is to be forgotten.
    pub(super) due: Millis,
}

impl Records {
    pub(super) const fn is_empty(&self) -> bool {
        self.last == self.gone
    }

    /// With some more, written at `now` by commit number `rev`.
    pub(super) fn with(before: Option<Self>, noted: &[Noted], rev: u64, now: Millis) -> Self {
        let mut records = before.unwrap_or(Self {
            last: rev,
            gone: rev,
            bytes: 0,
            due: now,
        });
        if records.is_empty() {
            records.due = now.plus_ms(OPERATION_MS);
        }
        let new = noted.iter().filter(|noted| noted.replaces.is_none());
        for noted in new {
            records.last += 1;
            records.bytes += noted.bytes;
        }
        records
    }

    /// Without the oldest, as upkeep found them.
    pub(super) fn without(mut self, oldest: &Oldest, now: Millis) -> Self {
        self.gone += oldest.count;
        self.bytes = self.bytes.saturating_sub(oldest.bytes);
        // Where it is not known, upkeep looks again.
        self.due = oldest.next.unwrap_or(now);
        self
    }
}

/// The row that says which records one commit wrote, under the number of the
/// first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    pub(super) v: Format,
    pub(super) at: Millis,
    pub(super) bytes: u64,
    /// Principal and operation id of each.
    pub(super) ops: Vec<(PrincipalId, OperationId)>,
}

impl Order {
    pub(super) fn of(noted: &[Noted], at: Millis) -> Option<Self> {
        let new = || noted.iter().filter(|noted| noted.replaces.is_none());
        let name = |noted: &Noted| (noted.once.principal.clone(), noted.once.operation.clone());
        let ops: Vec<_> = new().map(name).collect();
        (!ops.is_empty()).then(|| Self {
            v: Format,
            at,
            bytes: new().map(|noted| noted.bytes).sum(),
            ops,
        })
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.ops.len()).unwrap_or(u64::MAX)
    }
}

/// The oldest records of a stash, whose time is over.
#[derive(Debug, Default)]
pub(super) struct Oldest {
    /// The number of the last one forgotten before them.
    pub(super) gone: u64,
    /// All their rows.
    pub(super) rows: Vec<Bytes>,
    pub(super) count: u64,
    pub(super) bytes: u64,
    /// When the next one is due, as far as it is known.
    pub(super) next: Option<Millis>,
}

impl Engine {
    /// The oldest records of a stash whose time is over, as many as one commit
    /// forgets; `None` if nothing is due. One read.
    pub(super) async fn oldest(&self, keys: &StashKeys) -> Result<Option<Oldest>, StashError> {
        let scans = [Scan::point(keys.head()), Scan::new(keys.orders())];
        let mut pages = self.store.read(&scans).await?.into_iter();
        let (head, orders) = (pages.next().unwrap_or_default(), pages.next());
        let Some(entry) = head.entries.first() else {
            return Ok(None);
        };
        let head: Head = decode("stash head", &entry.value)?;
        let Some(records) = head.ops.filter(|records| !records.is_empty()) else {
            return Ok(None);
        };
        let mut oldest = Oldest {
            gone: records.gone,
            ..Oldest::default()
        };
        let now = self.env.now();
        let rows = orders.unwrap_or_default().entries;
        if rows.is_empty() {
            return Err(corrupt("order of operations", "its rows are missing"));
        }
        for row in rows {
            if row.key != keys.order(oldest.gone + oldest.count + 1) {
                return Err(corrupt("order of operations", "a row of it is missing"));
            }
            let order: Order = decode("order of operations", &row.value)?;
            let due = order.at.plus_ms(OPERATION_MS);
            oldest.next = Some(due);
            if !due.has_passed(now) || oldest.count >= BITE_OPERATIONS {
                break;
            }
            oldest.next = None;
            oldest.count += order.count();
            oldest.bytes += order.bytes;
            let named = order.ops.iter();
            let records = named.map(|(principal, id)| keys.operation(principal, id));
            oldest.rows.extend(records.chain([row.key]));
        }
        // Where the next one was not known, it is now.
        let relists = records.due.has_passed(now);
        Ok((oldest.count > 0 || relists).then_some(oldest))
    }
}

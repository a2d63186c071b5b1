//! One commit while it is put together: what it writes, what it makes of the
//! figures, and what is to be done in memory once it is acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Format, Millis};
use windlass_store::{Batch, Expect, Version, Write};

use super::ahead::Written;
use super::keys;
use super::record::{EndedRow, Head, IndexRow, Kept, OpenRow, Record, SpaceRow, encode};
use crate::entry::Entry;
use crate::limits::{COMMIT_BYTES, COMMIT_WRITES, GONE_PIECES_MAX};
use crate::names::{Key, Namespace};
use crate::policy::NEVER;
use crate::spaces::{Era, Visit};

/// What is known of a key in the store.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Absent,
    Kept(Arc<Kept>),
    /// There is a row that cannot be read.
    Damaged,
}

/// What is done in memory once the commit is acknowledged.
#[derive(Debug)]
pub(super) enum Effect {
    Put {
        entry: Arc<Entry>,
        /// Whether the name was there before.
        replaced: bool,
    },
    /// A blob of so many bytes is stored as so many.
    Packed {
        from: usize,
        to: usize,
    },
    Touched {
        era: Arc<Era>,
        key: Key,
        stamp: u64,
        now: Millis,
        expires: Millis,
    },
    Gone {
        era: Arc<Era>,
        key: Key,
    },
    /// A use is in the record now, or nobody asks for it any more.
    Written(u64),
    Counted(Cause, u64),
}

/// Why an entry went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Evicted,
    Expired,
    Invalidated,
    Damaged,
    Replaced,
}

/// What is to be committed.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) head: Head,
    spaces: HashMap<Namespace, Option<SpaceRow>>,
    writes: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
    pub(super) effects: Vec<Effect>,
    /// Namespaces that keep their slots until it is known what became of it.
    pub(super) visits: Vec<Visit>,
    /// Blobs that were written ahead for it: being written until then.
    pub(super) chains: Vec<Written>,
}

impl Draft {
    pub(super) fn new(head: &Head) -> Self {
        Self {
            head: head.clone(),
            spaces: HashMap::new(),
            writes: BTreeMap::new(),
            bytes: 0,
            effects: Vec::new(),
            visits: Vec::new(),
            chains: Vec::new(),
        }
    }

    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.spaces.is_empty()
    }

    /// Whether it should take no further change.
    pub(super) fn is_full(&self) -> bool {
        self.writes.len() >= COMMIT_WRITES || self.bytes >= COMMIT_BYTES
    }

    pub(super) fn put(&mut self, row: Bytes, value: Bytes) {
        self.bytes += row.len() + value.len();
        self.writes.insert(row, Some(value));
    }

    pub(super) fn delete(&mut self, row: Bytes) {
        self.bytes += row.len();
        self.writes.insert(row, None);
    }

    /// Whether a row is deleted by it.
    pub(super) fn deletes(&self, row: &Bytes) -> bool {
        matches!(self.writes.get(row), Some(None))
    }

    /// What the draft makes of a namespace.
    pub(super) fn space<'a>(
        &'a self,
        stored: &'a HashMap<Namespace, SpaceRow>,
        namespace: &Namespace,
    ) -> Option<SpaceRow> {
        let changed = self.spaces.get(namespace).copied();
        changed.unwrap_or_else(|| stored.get(namespace).copied())
    }

    pub(super) fn set_space(&mut self, namespace: &Namespace, row: Option<SpaceRow>) {
        self.spaces.insert(namespace.clone(), row);
    }

    /// The namespaces as they are once it is committed.
    pub(super) fn take_spaces(&mut self) -> HashMap<Namespace, Option<SpaceRow>> {
        std::mem::take(&mut self.spaces)
    }

    /// Notes that a generation is over, if there is something of it.
    pub(super) fn end(&mut self, namespace: &Namespace, row: SpaceRow) {
        if row.entries > 0 {
            let ended = EndedRow {
                v: Format,
                namespace: namespace.clone(),
            };
            self.put(keys::ended(row.generation), encode(&ended));
        }
    }

    /// Writes an entry with its indexes, and counts it.
    pub(super) fn insert(&mut self, stored: &HashMap<Namespace, SpaceRow>, kept: &Kept) {
        let record = &kept.record;
        let (generation, slot) = (record.generation, record.slot());
        self.put(keys::entry(generation, record.key.as_str()), kept.row());
        self.rank(record);
        let plain = index(record, None);
        if record.due != NEVER {
            self.put(keys::due(record.due.get(), slot), plain.clone());
        }
        for tag in &record.tags {
            self.put(keys::tag(generation, tag, slot), plain.clone());
        }
        for name in &record.depends_on {
            self.put(keys::dependent(generation, name, slot), plain.clone());
        }
        if let Some(chain) = record.chain {
            self.delete(keys::open(chain.id));
        }
        self.head.entries += 1;
        self.head.bytes += record.charge;
        self.count(stored, record, |row, depends| {
            row.entries += 1;
            row.dependents += depends;
        });
    }

    /// Lists an entry for when room is needed.
    fn rank(&mut self, record: &Record) {
        let row = keys::rank(record.priority(), record.slot());
        self.put(row, index(record, Some(record.charge)));
    }

    /// Deletes an entry with its indexes and its blob, and counts it.
    pub(super) fn remove(&mut self, stored: &HashMap<Namespace, SpaceRow>, record: &Record) {
        let (generation, slot) = (record.generation, record.slot());
        self.delete(keys::entry(generation, record.key.as_str()));
        self.unlist(record);
        for tag in &record.tags {
            self.delete(keys::tag(generation, tag, slot));
        }
        for name in &record.depends_on {
            self.delete(keys::dependent(generation, name, slot));
        }
        self.drop_blob(record);
        self.head.entries = self.head.entries.saturating_sub(1);
        self.head.bytes = self.head.bytes.saturating_sub(record.charge);
        self.count(stored, record, |row, depends| {
            row.entries = row.entries.saturating_sub(1);
            row.dependents = row.dependents.saturating_sub(depends);
        });
    }

    /// Deletes the rows by which an entry is found in its time, and when room
    /// is needed.
    fn unlist(&mut self, record: &Record) {
        self.delete(keys::rank(record.priority(), record.slot()));
        if record.due != NEVER {
            self.delete(keys::due(record.due.get(), record.slot()));
        }
    }

    /// Deletes the pieces of a blob, or notes that they are nobody's.
    fn drop_blob(&mut self, record: &Record) {
        let Some(chain) = record.chain else { return };
        let (generation, key) = (record.generation, &record.key);
        if chain.pieces <= GONE_PIECES_MAX {
            for number in 0..chain.pieces {
                self.delete(keys::piece(generation, key, chain.id, number));
            }
            return;
        }
        let open = OpenRow {
            v: Format,
            namespace: record.namespace.clone(),
            generation,
            key: key.clone(),
            at: Millis::new(0),
        };
        self.put(keys::open(chain.id), encode(&open));
    }

    /// Writes the record of an entry anew whose time has changed.
    pub(super) fn renew(&mut self, old: &Record, kept: &Kept) {
        let record = &kept.record;
        self.put(
            keys::entry(record.generation, record.key.as_str()),
            kept.row(),
        );
        if old.due == record.due {
            return;
        }
        if old.due != NEVER {
            self.delete(keys::due(old.due.get(), old.slot()));
        }
        if record.due != NEVER {
            let row = keys::due(record.due.get(), record.slot());
            self.put(row, index(record, None));
        }
    }

    /// Writes an entry where another one was that it is listed in place of.
    pub(super) fn replace(&mut self, old: &Record, kept: &Kept) {
        let record = &kept.record;
        debug_assert!(record.can_stand_where(old) && record.slot() == old.slot());
        self.drop_blob(old);
        self.renew(old, kept);
        if record.charge != old.charge {
            self.rank(record);
        }
        if let Some(chain) = record.chain {
            self.delete(keys::open(chain.id));
        }
        let left = self.head.bytes.saturating_sub(old.charge);
        self.head.bytes = left + record.charge;
    }

    /// Lists an entry under its own stamp that was listed under another's.
    pub(super) fn list_anew(&mut self, old: &Record, kept: &Kept) {
        let record = &kept.record;
        self.unlist(old);
        self.rank(record);
        if record.due != NEVER {
            let row = keys::due(record.due.get(), record.slot());
            self.put(row, index(record, None));
        }
        self.put(
            keys::entry(record.generation, record.key.as_str()),
            kept.row(),
        );
    }

    /// Counts an entry in its namespace, if that is still at its generation.
    fn count(
        &mut self,
        stored: &HashMap<Namespace, SpaceRow>,
        record: &Record,
        change: impl FnOnce(&mut SpaceRow, u64),
    ) {
        let row = self.space(stored, &record.namespace);
        if let Some(mut row) = row.filter(|row| row.generation == record.generation) {
            change(&mut row, u64::from(!record.depends_on.is_empty()));
            self.set_space(&record.namespace, Some(row));
        }
    }

    /// Counts an entry that cannot be read.
    pub(super) fn uncount(
        &mut self,
        stored: &HashMap<Namespace, SpaceRow>,
        (namespace, generation): (&Namespace, u64),
    ) {
        self.head.entries = self.head.entries.saturating_sub(1);
        let row = self.space(stored, namespace);
        if let Some(mut row) = row.filter(|row| row.generation == generation) {
            row.entries = row.entries.saturating_sub(1);
            self.set_space(namespace, Some(row));
        }
    }

    /// The batch that makes it true, if nobody else wrote since `version`.
    pub(super) fn batch(&self, version: Version) -> Batch {
        let mut batch = Batch::new().check(keys::head(), Expect::Version(version));
        for (row, value) in &self.writes {
            batch.writes.push(match value {
                Some(value) => Write::Put {
                    key: row.clone(),
                    value: value.clone(),
                },
                None => Write::Delete { key: row.clone() },
            });
        }
        for (namespace, row) in &self.spaces {
            let key = keys::space(namespace);
            batch = match row {
                Some(row) => batch.put(key, encode(row)),
                None => batch.delete(key),
            };
        }
        batch.put(keys::head(), encode(&self.head))
    }
}

/// A row that leads to an entry.
fn index(record: &Record, charge: Option<u64>) -> Bytes {
    encode(&IndexRow {
        v: Format,
        generation: record.generation,
        key: record.key.clone(),
        charge,
    })
}

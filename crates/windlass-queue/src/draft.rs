//! A queue while changes are applied to it, and the rows that make the changes
//! true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use windlass_core::{Millis, OperationId, PrincipalId, WriterId};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Batch, Expect, Version};

use crate::error::QueueError;
use crate::held::Held;
use crate::id::{Place, WorkId};
use crate::keys::QueueKeys;
use crate::limits::{KEPT_MS, ROW_BYTES_MAX, ROW_ITEMS_MAX};
use crate::record::{DeadRow, Format, Head, Item, Items, Note, Ready, Source, SourceRow, encode};
use crate::rows::{Rows, Short};

/// A queue's records as they were at one point in time.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    /// `None` if there is no such queue yet.
    pub(crate) version: Option<Version>,
    pub(crate) rows: Rows,
    /// Whether the claim was seen unchanged for as long as it lasts.
    pub(crate) stalled: bool,
}

impl Loaded {
    /// What of it is worth to be remembered.
    pub(crate) fn remembered(self) -> Self {
        Self {
            rows: self.rows.remembered(),
            ..self
        }
    }
}

/// Why a change could not be decided.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// Something has to be read first.
    Short(Short),
    /// It is refused.
    Refused(QueueError),
}

impl From<Short> for Stop {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

impl From<QueueError> for Stop {
    fn from(error: QueueError) -> Self {
        Self::Refused(error)
    }
}

/// A queue's state while changes are applied to it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) head: Head,
    pub(crate) rows: Rows,
    pub(crate) now: Millis,
    /// How long past its deadline a claim is left alone.
    pub(crate) skew_ms: u64,
    pub(crate) stalled: bool,
    before: Before,
    touched: BTreeSet<Place>,
    touched_dead: BTreeSet<Place>,
    /// Source keys that stand for something else from now on.
    sources: BTreeMap<Arc<str>, SourceRow>,
    /// Those of which it was not read what they stand for.
    assumed: BTreeSet<Arc<str>>,
    note: Note,
    /// The row that work of a rank and time is added to.
    open: BTreeMap<(u8, Millis), (Place, usize)>,
    changed: bool,
    /// Whether somebody looked for work, as the index may have told him to.
    visited: bool,
    /// How much work was touched.
    pub(crate) weight: usize,
}

/// What of the stored head decides which rows change.
#[derive(Clone, Copy, Debug)]
struct Before {
    version: Option<Version>,
    ready: Ready,
    due: Millis,
}

impl Draft {
    /// A draft of what is `loaded` at `now`, or at its last change if that is
    /// later: time never runs backwards for a queue.
    pub(crate) fn new(loaded: &Loaded, skew_ms: u64, now: Millis) -> Self {
        let now = now.max(loaded.head.at);
        let mut head = loaded.head.clone();
        head.rev += 1;
        head.at = now;
        Self {
            before: Before {
                version: loaded.version,
                ready: loaded.head.ready,
                due: loaded.head.due,
            },
            rows: loaded.rows.clone(),
            now,
            skew_ms,
            stalled: loaded.stalled,
            head,
            touched: BTreeSet::new(),
            touched_dead: BTreeSet::new(),
            sources: BTreeMap::new(),
            assumed: BTreeSet::new(),
            note: Note {
                v: Format,
                at: now,
                ops: Vec::new(),
                sources: Vec::new(),
            },
            open: BTreeMap::new(),
            changed: false,
            visited: false,
            weight: 0,
        }
    }

    /// Whether there is anything to store.
    pub(crate) const fn is_changed(&self) -> bool {
        self.changed
    }

    pub(crate) const fn change(&mut self) {
        self.changed = true;
    }

    pub(crate) const fn visit(&mut self) {
        self.visited = true;
    }

    /// Adds work at the end of its rank and time.
    pub(crate) fn append(&mut self, rank: u8, time: Millis, mut item: Item) -> WorkId {
        self.head.number += 1;
        item.number = self.head.number;
        item.at = self.now;
        let size = item.size();
        let first = Place {
            rank,
            time,
            number: item.number,
        };
        let open = self.open.entry((rank, time)).or_insert((first, 0));
        let begun = self.rows.get(open.0).map_or(0, |row| row.len());
        let full = begun >= ROW_ITEMS_MAX || (begun > 0 && open.1 + size > ROW_BYTES_MAX);
        if full {
            *open = (first, 0);
        }
        open.1 += size;
        let row = open.0;
        let id = item.id(row);
        self.insert(row, Arc::new(item));
        id
    }

    /// Puts work into the row with this key, where its number belongs.
    pub(crate) fn insert(&mut self, row: Place, item: Arc<Item>) {
        let items = self.rows.row_mut(row);
        let at = items.partition_point(|other| other.number < item.number);
        items.insert(at, item);
        self.head.lines[usize::from(row.rank)] += 1;
        self.touch(row);
    }

    /// The work of a number in the row with this key, which must be there.
    pub(crate) fn item(&self, row: Place, number: u64) -> Result<Arc<Item>, Stop> {
        let items = self.rows.row(row)?;
        let found = items.and_then(|items| items.iter().find(|item| item.number == number));
        let lost = || QueueError::corrupt("queue row", "claimed work is missing");
        found.cloned().ok_or_else(|| lost().into())
    }

    /// Takes work out of its row.
    pub(crate) fn take(&mut self, row: Place, number: u64) -> Result<Arc<Item>, Stop> {
        let item = self.item(row, number)?;
        let lines = &mut self.head.lines[usize::from(row.rank)];
        let too_few = || QueueError::corrupt("queue head", "it counts less work than there is");
        *lines = lines.checked_sub(1).ok_or_else(too_few)?;
        let left = self.rows.remove(row, number);
        // A row that stays need not be written again for each that goes.
        if left && !self.touched.contains(&row) && self.head.let_go(row, number) {
            self.weight += 1;
            self.changed = true;
        } else {
            self.touch(row);
        }
        Ok(item)
    }

    /// Replaces work in its row.
    pub(crate) fn replace(&mut self, row: Place, item: Item) {
        for other in self.rows.row_mut(row) {
            if other.number == item.number {
                *other = Arc::new(item);
                break;
            }
        }
        self.touch(row);
    }

    /// Has a row written anew, or deleted.
    fn touch(&mut self, row: Place) {
        self.head.gone.retain(|gone| gone.place() != row);
        self.touched.insert(row);
        self.weight += 1;
        self.changed = true;
    }

    /// Puts work with the dead.
    pub(crate) fn bury(&mut self, place: Place, item: Arc<Item>) {
        let (v, at) = (Format, self.now);
        let row = DeadRow { v, at, item };
        self.rows.put_dead(place, Some(Arc::new(row)));
        self.head.dead += 1;
        self.touched_dead.insert(place);
    }

    /// Takes work from the dead.
    pub(crate) fn unbury(&mut self, place: Place) -> Result<(), Stop> {
        let too_few = || QueueError::corrupt("queue head", "it counts fewer dead than there are");
        self.head.dead = self.head.dead.checked_sub(1).ok_or_else(too_few)?;
        self.rows.put_dead(place, None);
        self.touched_dead.insert(place);
        self.change();
        Ok(())
    }

    /// What a source key stands for, if it was written here or read; `None`
    /// too if nothing is known of it.
    pub(crate) fn source(&self, key: &str) -> Option<&SourceRow> {
        let stored = || self.rows.sources.get(key).and_then(Option::as_ref);
        let row = self.sources.get(key).or_else(stored)?;
        let end = row.finished.map(|at| at.plus_ms(KEPT_MS));
        (!end.is_some_and(|end| end.has_passed(self.now))).then_some(row)
    }

    /// Lets a source key stand for new work. That nothing else is stored under
    /// it is assumed where it was not read; the commit checks that.
    pub(crate) fn begin_source(&mut self, source: &Source, id: WorkId) {
        let (v, hash) = (Format, Arc::clone(&source.hash));
        let known = self.sources.contains_key(&source.key);
        if !known && !self.rows.sources.contains_key(&source.key) {
            self.assumed.insert(Arc::clone(&source.key));
        }
        let finished = None;
        let row = SourceRow {
            v,
            id,
            hash,
            finished,
        };
        self.sources.insert(Arc::clone(&source.key), row);
    }

    /// Notes that work is finished: from now on its source key is kept for a
    /// time only.
    pub(crate) fn finish(&mut self, row: Place, item: &Item) {
        let Some(source) = &item.source else { return };
        let finished = SourceRow {
            v: Format,
            id: item.id(row),
            hash: Arc::clone(&source.hash),
            finished: Some(self.now),
        };
        self.sources.insert(Arc::clone(&source.key), finished);
        self.note.sources.push(Arc::clone(&source.key));
    }

    /// Notes an operation id, which is kept for a time only.
    pub(crate) fn note_operation(&mut self, principal: &PrincipalId, id: &OperationId) {
        self.note.ops.push((principal.clone(), id.clone()));
    }

    /// How many checks the commit needs beside that of the head.
    pub(crate) fn checks(&self) -> usize {
        self.assumed.len() + self.note.ops.len()
    }

    /// Whether `key` is the row of a source key that was assumed to be free.
    pub(crate) fn assumes(&self, keys: &QueueKeys, key: &Bytes) -> bool {
        self.assumed.iter().any(|name| keys.source(name) == *key)
    }

    /// The source keys that were assumed to be free, as many as one read shows.
    pub(crate) fn assumed(&self) -> Option<Short> {
        let some = self.assumed.iter().take(READ_SCANS_MAX - 1);
        let some: Vec<_> = some.cloned().collect();
        (!some.is_empty()).then_some(Short::Sources(some))
    }

    /// Where the index of sessions with work should list the session: nothing
    /// that can be claimed without another change is claimable earlier.
    fn ready(&self) -> Result<Ready, Short> {
        if let Some(held) = &self.head.claim {
            return Ok(self.ready_after(held));
        }
        let mut ready = Ready::default();
        for (place, item) in self.rows.fronts(self.now)? {
            ready.add(item.delivery().into(), place.time.max(item.rest));
        }
        Ok(ready)
    }

    /// Where it is listed while it is held: when others may take it, whatever
    /// it then has. Renewals leave the entry where it is as long as it lies
    /// ahead.
    fn ready_after(&self, held: &Held) -> Ready {
        let at = held.until.plus_ms(self.skew_ms);
        match self.head.ready {
            Ready {
                early: Some(early),
                turn: None,
            } if early > self.now && early <= at => self.head.ready,
            _ => Ready::early(at),
        }
    }

    /// Brings the head's own account of the queue up to date.
    ///
    /// # Errors
    ///
    /// [`Short`] if the front of the line is not known.
    pub(crate) fn settle(&mut self, writer: &WriterId) -> Result<(), Short> {
        if !self.changed && !self.visited {
            return Ok(());
        }
        let ready = self.ready()?;
        self.changed |= ready != self.before.ready;
        self.head.ready = ready;
        if !self.changed {
            return Ok(());
        }
        if !self.note.is_empty() {
            self.head.notes.last += 1;
        }
        self.head.by.note(writer, self.head.rev);
        Ok(())
    }

    /// The rows of a settled draft. The check of the head comes last.
    pub(crate) fn batch(&self, keys: &QueueKeys) -> Batch {
        let mut batch = Batch::new();
        for key in &self.assumed {
            batch = batch.check(keys.source(key), Expect::Absent);
        }
        for (key, row) in &self.sources {
            batch = batch.put(keys.source(key), encode(row));
        }
        for place in &self.touched {
            let key = keys.item(*place);
            batch = match self.rows.get(*place) {
                Some(items) => batch.put(key, encode_items(items)),
                None => batch.delete(key),
            };
        }
        for place in &self.touched_dead {
            let key = keys.dead(*place);
            batch = match self.rows.dead(*place) {
                Ok(Some(row)) => batch.put(key, encode(row)),
                Ok(None) | Err(_) => batch.delete(key),
            };
        }
        if !self.note.is_empty() {
            batch = batch.put(keys.note(self.head.notes.last), encode(&self.note));
        }
        batch.append(self.index_rows(keys));
        let expect = self.before.version.map_or(Expect::Absent, Expect::Version);
        let head = keys.head();
        batch
            .check(head.clone(), expect)
            .put(head, encode(&self.head))
    }

    /// What changes in the indexes beside the queue.
    fn index_rows(&self, keys: &QueueKeys) -> Batch {
        let mut batch = Batch::new();
        if self.head.ready != self.before.ready {
            let (before, after) = (self.before.ready, self.head.ready);
            for (class, at) in before.entries() {
                if !after.entries().any(|entry| entry == (class, at)) {
                    batch = batch.delete(keys.ready(class, at));
                }
            }
            for (class, at) in after.entries() {
                if !before.entries().any(|entry| entry == (class, at)) {
                    batch = batch.put(keys.ready(class, at), Bytes::new());
                }
            }
        }
        match self.before.version {
            None => batch.put(keys.due(self.head.due), Bytes::new()),
            Some(_) if self.head.due != self.before.due => batch
                .delete(keys.due(self.before.due))
                .put(keys.due(self.head.due), Bytes::new()),
            Some(_) => batch,
        }
    }

    /// The state once the batch was applied, as far as it is worth remembering.
    pub(crate) fn applied(self, version: Version) -> Loaded {
        Loaded {
            rows: self.rows.remembered(),
            head: self.head,
            version: Some(version),
            stalled: false,
        }
    }
}

fn encode_items(items: &Items) -> Bytes {
    #[derive(Serialize)]
    struct Row<'a> {
        v: Format,
        items: &'a Items,
    }
    encode(&Row { v: Format, items })
}

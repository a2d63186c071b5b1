//! Deciding a group of requests together, and the one batch that makes the
//! decisions true.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use windlass_core::{GroupId, Millis, WriterId, Writers};
use windlass_store::{Batch, Expect, Version};

use super::keys::StashKeys;
use super::limits::{
    BITE_ENTRIES, COMMIT_BESIDE_BYTES_MAX, COMMIT_CHECKS_MAX, COMMIT_WRITES_MAX, FREED_AT_ONCE_MAX,
    LOOSE_MS,
};
use super::once::{Deed, Noted, Oldest};
use super::parts::{Parts, let_go};
use super::record::{Digest, Format, Head, Kept, Pieces, encode, encode_entry};
use super::state::State;
use crate::config::Config;
use crate::error::StepError;
use crate::key::Key;
use crate::metadata::Metadata;
use crate::request::{Answer, Operation, Removed};
use crate::rules::{Call, Change};
use crate::value::Value;

/// What one caller asks of a stash.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) group: Option<GroupId>,
    pub(super) ask: Ask,
    /// The longer values of what is to be put.
    pub(super) parts: Option<Parts>,
    /// What makes it safe to repeat.
    pub(super) deed: Option<Deed>,
}

impl Request {
    /// What is asked without an operation id and without longer values.
    pub(super) const fn plain(group: Option<GroupId>, ask: Ask) -> Self {
        Self {
            group,
            ask,
            parts: None,
            deed: None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Ask {
    /// Operations in one atomic step.
    Step(Vec<Operation>),
    /// Removes at most so many live entries of the group.
    Clear(u64),
    /// Removes at most so many expired entries, and sees to the index of due
    /// work.
    Reap(u64),
    /// Forgets the oldest operation ids, if they still are.
    Forget(Oldest),
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Answers(Vec<Answer>),
    /// The first answers to an operation that was done before.
    Repeated(Vec<Answer>),
    /// Of a forgetting, how many operation ids.
    Removed(Removed),
}

/// What was decided about one request, named by its place.
pub(super) type Decided = (usize, Result<Told, StepError>);

/// Values that rules may have to look at, by key and version.
pub(super) type Seen = HashMap<(Key, u64), Value>;

/// What decisions depend on beside the stash and the requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) keys: &'a StashKeys,
    pub(super) config: &'a Config,
    pub(super) writer: &'a WriterId,
    pub(super) now: Millis,
}

/// Why a group of requests could not be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undecided {
    /// A value was needed that is not at hand.
    Unseen,
    /// The first one takes back more expired entries than fit into a commit.
    Crowded,
}

/// Decisions about requests of one stash, from one state of it.
#[derive(Debug)]
pub(super) struct Plan {
    /// The version of the head they were made from.
    pub(super) base: Option<Version>,
    pub(super) decided: Vec<Decided>,
    /// What makes them true; `None` if they change nothing.
    pub(super) next: Option<Next>,
}

/// A state that a plan leads to.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) batch: Batch,
    /// `None` if the stash is empty and its head goes.
    pub(super) head: Option<Head>,
    /// The number of the commit.
    pub(super) rev: u64,
    changes: Vec<Change>,
    placed: Vec<(Key, Option<Pieces>)>,
    /// Values that entries now have, by their version.
    pub(super) values: Vec<(u64, Value)>,
    /// Versions that no entry has any more.
    pub(super) gone: Vec<u64>,
}

impl Plan {
    /// Decides requests in order, as many as one commit can carry. Leaves the
    /// state as it was.
    pub(super) fn decide<'a>(
        state: &mut State,
        terms: Terms<'_>,
        seen: &Seen,
        open: impl Iterator<Item = (usize, &'a Request)>,
    ) -> Result<Self, Undecided> {
        let mut draft = Draft::new(state, terms, seen);
        let taken = draft.take_all(open);
        let plan = taken.and_then(|()| draft.finish());
        draft.state.index.undo(&draft.changes);
        plan.map(|mut plan| {
            if let Some(next) = &mut plan.next {
                next.changes = draft.changes;
            }
            plan
        })
    }

    /// Decides nothing, but removes a bite of expired entries.
    pub(super) fn make_room(
        state: &mut State,
        terms: Terms<'_>,
        seen: &Seen,
    ) -> Result<Self, Undecided> {
        let request = Request::plain(None, Ask::Reap(BITE_ENTRIES));
        let mut plan = Self::decide(state, terms, seen, [(0, &request)].into_iter())?;
        plan.decided.clear();
        Ok(plan)
    }
}

impl State {
    /// The state after a plan was applied.
    pub(super) fn apply(&mut self, next: Next, version: Version) {
        self.index.redo(&next.changes);
        for (key, pieces) in next.placed {
            match pieces {
                Some(pieces) => self.pieces.insert(key, pieces),
                None => self.pieces.remove(&key),
            };
        }
        self.head = next.head.map(|head| (head, version));
    }
}

pub(super) struct Draft<'s, 't, 'a> {
    pub(super) state: &'s mut State,
    pub(super) terms: Terms<'t>,
    seen: &'t Seen,
    changes: Vec<Change>,
    decided: Vec<Decided>,
    /// The longer values of granted requests.
    parts: Vec<&'a Parts>,
    /// Records of the operation ids of granted requests.
    pub(super) noted: Vec<Noted>,
    pub(super) forgotten: Option<&'a Oldest>,
    writes: usize,
    beside_bytes: u64,
    reaped: bool,
}

/// What became of one key, all changes together.
struct Net<'c> {
    before: Option<&'c Metadata>,
    after: Option<&'c Metadata>,
    value: Option<&'c Value>,
}

impl<'s, 't, 'a> Draft<'s, 't, 'a> {
    fn new(state: &'s mut State, terms: Terms<'t>, seen: &'t Seen) -> Self {
        let now = state.advance(terms.now);
        if state.head.is_none() {
            // Numbers begin beyond those of any head there was before.
            let last = state.index.last_version().max(now.get());
            state.index = crate::rules::Index::load([], last);
        }
        Self {
            state,
            terms: Terms { now, ..terms },
            seen,
            changes: Vec::new(),
            decided: Vec::new(),
            parts: Vec::new(),
            noted: Vec::new(),
            forgotten: None,
            writes: 0,
            beside_bytes: 0,
            reaped: false,
        }
    }

    fn take_all(
        &mut self,
        open: impl Iterator<Item = (usize, &'a Request)>,
    ) -> Result<(), Undecided> {
        for (place, request) in open {
            if !self.take(place, request)? {
                break;
            }
        }
        Ok(())
    }

    /// Decides one request; `false` if it has to wait for the next commit. One
    /// whose operation id an earlier one carries too is left for when the
    /// first answer is known.
    fn take(&mut self, place: usize, request: &'a Request) -> Result<bool, Undecided> {
        let key = request.deed.as_ref().map(|deed| deed.key(self.terms.keys));
        if key.is_some_and(|key| self.noted.iter().any(|noted| noted.key == key)) {
            return Ok(true);
        }
        let mut own = Vec::new();
        let unseen = Cell::new(false);
        let mut told = self.ask(request, &unseen, &mut own);
        if unseen.get() {
            self.state.index.undo(&own);
            return Err(Undecided::Unseen);
        }
        let noted = match self.note(request, &told) {
            Ok(noted) => noted,
            Err(refusal) => {
                self.state.index.undo(&own);
                own.clear();
                told = Err(refusal);
                None
            }
        };
        let parts = request.parts.as_ref().filter(|_| told.is_ok());
        let writes = Self::writes(request, own.len(), parts, noted.as_ref());
        if !self.fits(writes, parts, noted.as_ref()) {
            self.state.index.undo(&own);
            return if self.decided.is_empty() {
                Err(Undecided::Crowded)
            } else {
                Ok(false)
            };
        }
        self.writes += writes;
        let beside = parts.filter(|parts| !parts.are_ahead());
        self.beside_bytes += beside.map_or(0, Parts::bytes);
        if let Ask::Forget(oldest) = &request.ask
            && self.is_oldest(oldest)
        {
            self.forgotten = Some(oldest);
        }
        self.reaped |= matches!(request.ask, Ask::Reap(_) | Ask::Forget(_));
        self.parts.extend(parts);
        self.noted.extend(noted);
        self.changes.append(&mut own);
        self.decided.push((place, told));
        Ok(true)
    }

    fn ask(
        &mut self,
        request: &'a Request,
        unseen: &Cell<bool>,
        own: &mut Vec<Change>,
    ) -> Result<Told, StepError> {
        let call = Call {
            config: self.terms.config,
            caller: request.group.as_ref(),
            now: self.terms.now,
        };
        let index = &mut self.state.index;
        match &request.ask {
            Ask::Step(operations) => {
                let (changes, seen) = (&self.changes, self.seen);
                let read = |key: &Key, metadata: &Metadata| {
                    let value = value_of(changes, seen, key, metadata.version);
                    unseen.set(unseen.get() || value.is_none());
                    value
                };
                let answers = index.step(&call, operations, &read, own);
                answers.map(Told::Answers)
            }
            Ask::Clear(limit) => {
                let mut removed = index.clear(call.caller, call.now, Some(*limit), own);
                if let Some((_, so_far)) = request.deed.as_ref().and_then(|deed| deed.so_far) {
                    removed.removed += so_far.removed;
                    removed.bytes += so_far.bytes;
                }
                Ok(Told::Removed(removed))
            }
            Ask::Reap(limit) => {
                let removed = index.reap_expired(call.now, Some(*limit), own);
                Ok(Told::Removed(removed))
            }
            Ask::Forget(oldest) => Ok(Told::Removed(Removed {
                removed: if self.is_oldest(oldest) {
                    oldest.count
                } else {
                    0
                },
                ..Removed::default()
            })),
        }
    }

    /// An entry's row, and its old pieces: deleted, or noted for upkeep.
    const WRITES_A_CHANGE: usize = 3;

    fn fits(&self, writes: usize, parts: Option<&Parts>, noted: Option<&Noted>) -> bool {
        let beside = parts.filter(|parts| !parts.are_ahead());
        let bytes = beside.map_or(0, Parts::bytes);
        let ahead = self.parts.iter().filter(|parts| parts.are_ahead()).count();
        let checks = ahead + self.noted.len();
        self.writes + writes <= COMMIT_WRITES_MAX
            && (self.beside_bytes == 0 || self.beside_bytes + bytes <= COMMIT_BESIDE_BYTES_MAX)
            && checks + usize::from(noted.is_some()) < COMMIT_CHECKS_MAX
    }

    fn writes(
        request: &Request,
        changes: usize,
        parts: Option<&Parts>,
        noted: Option<&Noted>,
    ) -> usize {
        let gone = match &request.ask {
            Ask::Forget(oldest) => oldest.rows.len(),
            Ask::Step(_) | Ask::Clear(_) | Ask::Reap(_) => 0,
        };
        let records = gone + usize::from(noted.is_some());
        changes * Self::WRITES_A_CHANGE + parts.map_or(0, Parts::writes) + records
    }

    /// The plan, but for the changes themselves.
    fn finish(&mut self) -> Result<Plan, Undecided> {
        let base = self.state.version();
        let decided = std::mem::take(&mut self.decided);
        let due = self.state.head.as_ref().map(|(head, _)| head.due);
        let overdue = self.reaped && due.is_some_and(|due| due.has_passed(self.terms.now));
        let idle = self.changes.is_empty() && self.noted.is_empty() && self.forgotten.is_none();
        let next = if idle && !overdue {
            None
        } else {
            Some(self.next(overdue)?)
        };
        Ok(Plan {
            base,
            decided,
            next,
        })
    }

    fn next(&self, overdue: bool) -> Result<Next, Undecided> {
        let mut rows = self.rows()?;
        let head = self.head(&rows, overdue);
        let keys = self.terms.keys;
        let old = self.state.head.as_ref();
        let mut batch = self.operations();
        batch = match old {
            Some((_, version)) => batch.check(keys.head(), Expect::Version(*version)),
            None => batch.check(keys.head(), Expect::Absent),
        };
        batch.append(std::mem::take(&mut rows.batch));
        let (old_due, due) = (
            old.map(|(old, _)| old.due),
            head.as_ref().map(|head| head.due),
        );
        if let Some(old) = old_due.filter(|_| old_due != due) {
            batch = batch.delete(keys.due(old));
        }
        if let Some(due) = due.filter(|_| old_due != due) {
            batch = batch.put(keys.due(due), Bytes::new());
        }
        let batch = match &head {
            Some(head) => batch.put(keys.head(), encode(head)),
            None => batch.delete(keys.head()),
        };
        Ok(Next {
            batch,
            rev: self.rev(),
            head,
            changes: Vec::new(),
            placed: rows.placed,
            values: rows.values,
            gone: rows.gone,
        })
    }

    pub(super) fn rev(&self) -> u64 {
        let old = self.state.head.as_ref();
        old.map_or(self.terms.now.get(), |(head, _)| head.rev + 1)
    }

    fn nets(&self) -> BTreeMap<&Key, Net<'_>> {
        let mut nets: BTreeMap<&Key, Net<'_>> = BTreeMap::new();
        for change in &self.changes {
            let net = nets.entry(&change.key).or_insert(Net {
                before: change.before.as_ref(),
                after: None,
                value: None,
            });
            net.after = change.after.as_ref();
            net.value = match (&change.value, net.after) {
                (Some(value), _) => Some(value),
                (None, Some(_)) => net.value,
                (None, None) => None,
            };
        }
        nets
    }

    /// The rows of entries and pieces, and what else follows from the changes.
    fn rows(&self) -> Result<Rows, Undecided> {
        let old = self.state.head.as_ref();
        let mut rows = Rows {
            digest: old.map_or_else(Digest::default, |(head, _)| head.digest),
            ..Rows::default()
        };
        for (key, net) in self.nets() {
            self.row(key, &net, &mut rows)?;
        }
        let mut batch = std::mem::take(&mut rows.batch);
        for parts in &self.parts {
            batch = parts.claim(self.terms.keys, &rows.used, batch);
            rows.freed.extend(parts.unused(&rows.used));
        }
        for pieces in &rows.freed {
            batch = self.free(pieces, batch);
        }
        rows.batch = batch;
        Ok(rows)
    }

    fn row(&self, key: &Key, net: &Net<'_>, rows: &mut Rows) -> Result<(), Undecided> {
        let row = self.terms.keys.entry(key.as_str());
        let old = self.state.pieces.get(key);
        let batch = std::mem::take(&mut rows.batch);
        if let Some(before) = net.before {
            rows.digest.subtract(key, before);
        }
        let replaced = net.value.is_some() || net.after.is_none();
        if let Some(before) = net.before.filter(|_| replaced) {
            rows.gone.push(before.version);
            rows.freed.extend(old.cloned());
        }
        rows.batch = match (net.before, net.after) {
            (_, Some(after)) => {
                let kept = self.kept(key, net.value, after, &rows.used)?;
                let batch = batch.put(row, encode_entry(after, &kept));
                rows.note(key, after, net.value, kept);
                batch
            }
            (Some(_), None) => {
                rows.placed.push((key.clone(), None));
                batch.delete(row)
            }
            (None, None) => batch,
        };
        Ok(())
    }

    /// Where an entry's value is after the changes.
    fn kept(
        &self,
        key: &Key,
        value: Option<&Value>,
        after: &Metadata,
        used: &[Pieces],
    ) -> Result<Kept, Undecided> {
        if let Some(value) = value {
            let placed = self.parts.iter().find_map(|parts| parts.place(value, used));
            return Ok(placed.map_or_else(|| Kept::Within(value.clone()), Kept::Apart));
        }
        if let Some(pieces) = self.state.pieces.get(key) {
            return Ok(Kept::Apart(pieces.clone()));
        }
        let value = self.seen.get(&(key.clone(), after.version));
        value.cloned().map(Kept::Within).ok_or(Undecided::Unseen)
    }

    fn free(&self, pieces: &Pieces, mut batch: Batch) -> Batch {
        let Terms { keys, now, .. } = self.terms;
        if pieces.2 > FREED_AT_ONCE_MAX {
            return let_go(keys, pieces, now, batch);
        }
        for number in pieces.1..pieces.end() {
            batch = batch.delete(keys.piece(&pieces.0, number));
        }
        batch
    }

    /// The next head; `None` if the stash is empty, upkeep has come for it,
    /// and one that takes its place will not repeat its numbers.
    fn head(&self, rows: &Rows, overdue: bool) -> Option<Head> {
        let (old, now) = (self.state.head.as_ref(), self.terms.now);
        let held = self.state.index.held();
        let (rev, version) = (self.rev(), self.state.index.last_version());
        let ops = self.next_records();
        let remembers = ops.is_some_and(|ops| !ops.is_empty() || ops.last > now.get());
        let is_past = rev < now.get() && version <= now.get();
        if overdue && held.keys == 0 && is_past && !remembers {
            return None;
        }
        let mut by = old.map_or_else(Writers::default, |(head, _)| head.by.clone());
        by.note(self.terms.writer, rev);
        let listed = old.map(|(head, _)| head.due).filter(|_| !overdue);
        let known = if overdue {
            self.state.index.next_deadline()
        } else {
            rows.earliest
        };
        let forgets = ops.filter(|ops| !ops.is_empty()).map(|ops| ops.due);
        let due = listed.into_iter().chain(known).chain(forgets).min();
        Some(Head {
            v: Format,
            rev,
            at: now,
            version,
            rows: held.keys,
            value_bytes: held.value_bytes,
            charged_bytes: held.charged_bytes,
            digest: rows.digest,
            due: due.unwrap_or_else(|| now.plus_ms(LOOSE_MS)),
            ops,
            by,
        })
    }
}

/// What changes of entries come to.
#[derive(Default)]
struct Rows {
    batch: Batch,
    digest: Digest,
    placed: Vec<(Key, Option<Pieces>)>,
    values: Vec<(u64, Value)>,
    gone: Vec<u64>,
    used: Vec<Pieces>,
    freed: Vec<Pieces>,
    /// The earliest deadline among the entries that were written.
    earliest: Option<Millis>,
}

impl Rows {
    /// Takes note of an entry that was written, and of its value if that is
    /// another one.
    fn note(&mut self, key: &Key, after: &Metadata, value: Option<&Value>, kept: Kept) {
        let pieces = match kept {
            Kept::Within(_) => None,
            Kept::Apart(pieces) => Some(pieces),
        };
        if let Some(value) = value {
            self.values.push((after.version, value.clone()));
            self.used.extend(pieces.clone());
        }
        self.placed.push((key.clone(), pieces));
        self.digest.add(key, after);
        let earliest = self.earliest.unwrap_or(after.expires);
        self.earliest = Some(earliest.min(after.expires));
    }
}

/// The value an entry has at `version`.
fn value_of(changes: &[Change], seen: &Seen, key: &Key, version: u64) -> Option<Value> {
    let gave = |change: &&Change| {
        let after = change.after.as_ref();
        change.key == *key && after.is_some_and(|after| after.version == version)
    };
    let given = changes.iter().rev().filter(gave);
    let given = given.filter_map(|change| change.value.clone()).next();
    given.or_else(|| seen.get(&(key.clone(), version)).cloned())
}

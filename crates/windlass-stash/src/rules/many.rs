//! Rules of many keys: atomic steps, listings, clearing and reaping.

use std::ops::Bound;

use windlass_core::{GroupId, Millis};

use crate::error::{StashError, StepError, check_range};
use crate::key::Key;
use crate::limits::STEP_OPERATIONS_MAX;
use crate::metadata::{Entry, Metadata};
use crate::request::{Answer, KeyPage, KeyQuery, Operation, Removed};
use crate::value::Value;

use super::{Call, Change, Index, Read};

impl Index {
    /// Decides operations in their order, each on what those before it left.
    /// The first refusal is the answer, and nothing is changed. Costs what
    /// they cost one by one; a read also looks through the changes made so
    /// far.
    pub(crate) fn step(
        &mut self,
        call: &Call<'_>,
        operations: &[Operation],
        read: Read<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<Answer>, StepError> {
        check_count(operations.len())?;
        let before = changes.len();
        let mut answers = Vec::with_capacity(operations.len());
        for (position, operation) in operations.iter().enumerate() {
            match self.operate(call, operation, read, (before, changes)) {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    self.undo(&changes[before..]);
                    changes.truncate(before);
                    return Err(StepError { position, error });
                }
            }
        }
        Ok(answers)
    }

    fn operate(
        &mut self,
        call: &Call<'_>,
        operation: &Operation,
        read: Read<'_>,
        (before, changes): (usize, &mut Vec<Change>),
    ) -> Result<Answer, StashError> {
        match operation {
            Operation::Get(key) => {
                let entry = self.entry(call, key, &|key, metadata| {
                    latest(&changes[before..], key).or_else(|| read(key, metadata))
                });
                entry.map(Answer::Entry)
            }
            Operation::Put(put) => self.put(call, put.clone(), changes).map(Answer::Stored),
            Operation::Delete(key) => self.delete(call, key, changes).map(Answer::Deleted),
            Operation::Touch { key, ttl_ms } => {
                let touched = self.touch(call, key, *ttl_ms, changes);
                touched.map(Answer::Touched)
            }
            Operation::Increment(request) => {
                let pending = latest(&changes[before..], &request.key);
                let read = |key: &Key, metadata: &Metadata| {
                    pending.clone().or_else(|| read(key, metadata))
                };
                let number = self.increment(call, request, &read, changes);
                number.map(Answer::Number)
            }
        }
    }

    /// The live entry of a key with its value, if the caller may see it.
    pub(crate) fn entry(
        &self,
        call: &Call<'_>,
        key: &Key,
        read: Read<'_>,
    ) -> Result<Option<Entry>, StashError> {
        let Some(metadata) = self.get(call, key)? else {
            return Ok(None);
        };
        let value = read(key, metadata).ok_or(StashError::Busy)?;
        Ok(Some(Entry {
            value,
            ttl_left_ms: metadata.ttl_left_ms(call.now),
            metadata: metadata.clone(),
        }))
    }

    /// The keys a caller can see, by name. O(log n), and O(1) for each key of
    /// the page and each between them that is expired or foreign.
    pub(crate) fn keys(&self, call: &Call<'_>, query: &KeyQuery) -> Result<KeyPage, StashError> {
        query.check()?;
        let prefix = query.prefix.as_str();
        let first = Key::bound(prefix);
        let start = match &query.after {
            Some(after) if *after >= first => Bound::Excluded(after),
            _ => Bound::Included(&first),
        };
        let mut visible = self
            .names_from(start, call.now)
            .take_while(|(key, _)| key.as_str().starts_with(prefix))
            .filter(|(_, metadata)| metadata.is_open_to(call.caller))
            .map(|(key, metadata)| (key.clone(), metadata.clone()));
        let keys = visible.by_ref().take(query.limit).collect();
        let more = visible.next().is_some();
        Ok(KeyPage { keys, more })
    }

    /// Deletes the live entries of one group, or the public ones, in the
    /// order of their names. O(n) over all entries held.
    pub(crate) fn clear(
        &mut self,
        group: Option<&GroupId>,
        now: Millis,
        limit: Option<u64>,
        changes: &mut Vec<Change>,
    ) -> Removed {
        let mut keys = self
            .names_from(Bound::Unbounded, now)
            .filter(|(_, metadata)| metadata.group.as_ref() == group)
            .map(|(key, _)| key.clone());
        let limit = limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let chosen: Vec<Key> = keys.by_ref().take(limit).collect();
        let truncated = keys.next().is_some();
        drop(keys);
        let mut report = Removed::default();
        for key in chosen {
            report.removed += 1;
            report.bytes += self.take_out(&key, changes);
        }
        report.truncated = truncated;
        report
    }

    /// Takes back expired entries, the first to expire first. O(log n) for
    /// each; those that are live cost nothing.
    pub(crate) fn reap_expired(
        &mut self,
        now: Millis,
        limit: Option<u64>,
        changes: &mut Vec<Change>,
    ) -> Removed {
        let mut report = Removed::default();
        while let Some(key) = self.first_expired(now, None) {
            if limit.is_some_and(|limit| report.removed >= limit) {
                report.truncated = true;
                break;
            }
            report.removed += 1;
            report.bytes += self.take_out(&key, changes);
        }
        report
    }
}

fn check_count(count: usize) -> Result<(), StepError> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let checked = check_range("operations", number(count), 1, number(STEP_OPERATIONS_MAX));
    checked.map_err(|error| StepError { position: 0, error })
}

/// The value a key was given last by some changes.
fn latest(changes: &[Change], key: &Key) -> Option<Value> {
    let mut newest_first = changes.iter().rev();
    let given = newest_first.find(|change| change.key == *key && change.value.is_some())?;
    given.value.clone()
}

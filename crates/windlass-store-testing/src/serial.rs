//! Whether batches that ran at once could have run one after the other.

use bytes::Bytes;
use windlass_store::{Batch, Commit, Entry, KeyRange, Version};

use crate::model::Model;

/// Whether some order of `batches`, each run alone from `start` on, gives
/// each its answer and ends with the entries of `end`. Tries every order that
/// is not ruled out early, so for few batches only.
pub(crate) fn explains(
    start: &Model,
    batches: &[Batch],
    answers: &[Commit],
    end: &[Entry],
) -> bool {
    let history = History {
        batches,
        answers,
        end,
    };
    history.search(start, &mut vec![false; batches.len()])
}

struct History<'a> {
    batches: &'a [Batch],
    answers: &'a [Commit],
    end: &'a [Entry],
}

impl History<'_> {
    fn search(&self, now: &Model, done: &mut Vec<bool>) -> bool {
        if done.iter().all(|done| *done) {
            return now.range(&KeyRange::all()) == self.end;
        }
        (0..done.len()).any(|next| {
            if done[next] {
                return false;
            }
            let mut after = now.clone();
            if !self.agrees(next, &mut after) {
                return false;
            }
            done[next] = true;
            let found = self.search(&after, done);
            done[next] = false;
            found
        })
    }

    /// Runs a batch alone; whether its answer is the one that was given.
    fn agrees(&self, number: usize, now: &mut Model) -> bool {
        let failing: Option<Bytes> = now.first_failing(&self.batches[number]);
        match (&self.answers[number], failing) {
            (Commit::Conflict { key }, Some(failing)) => *key == failing,
            (Commit::Applied(version), None) => {
                self.apply(number, now, *version);
                true
            }
            _ => false,
        }
    }

    fn apply(&self, number: usize, now: &mut Model, version: Version) {
        for write in &self.batches[number].writes {
            now.write(write, version);
        }
    }
}

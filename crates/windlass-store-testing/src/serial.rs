//! Whether batches that ran at once could have run one after the other.

use bytes::Bytes;
use windlass_store::{Batch, Commit, Entry, KeyRange, Version};

use crate::model::Model;

/// Whether some order of `batches`, each run alone from `start` on, gives
/// each its answer and ends with the entries of `end`. Tries every order that
/// is not ruled out early, so for few batches only.
#[must_use]
pub fn explains(start: &Model, batches: &[Batch], answers: &[Commit], end: &[Entry]) -> bool {
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

#[cfg(test)]
mod tests {
    use windlass_store::{Expect, Incarnation, Write};

    use super::*;

    fn version(number: u64) -> Version {
        Version::new(Incarnation::from_number(1), number)
    }

    fn start() -> Model {
        let mut model = Model::new();
        for (key, number) in [("x", 1), ("y", 2)] {
            let write = Write::Put {
                key: key.into(),
                value: "0".into(),
            };
            model.write(&write, version(number));
        }
        model
    }

    /// A checks x and writes y; B checks y and writes x.
    fn crossed() -> [Batch; 2] {
        let on =
            |key: &'static str, number| Batch::new().check(key, Expect::Version(version(number)));
        [on("x", 1).put("y", "a"), on("y", 2).put("x", "b")]
    }

    fn end(entries: &[(&'static str, &'static str, u64)]) -> Vec<Entry> {
        let entry = |(key, value, number): &(&'static str, &'static str, u64)| Entry {
            key: Bytes::from_static(key.as_bytes()),
            value: Bytes::from_static(value.as_bytes()),
            version: version(*number),
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn one_winner_of_crossed_checks_is_explained() {
        let answers = [
            Commit::Conflict { key: "x".into() },
            Commit::Applied(version(3)),
        ];
        let end = end(&[("x", "b", 3), ("y", "0", 2)]);
        assert!(explains(&start(), &crossed(), &answers, &end));
    }

    #[test]
    fn two_winners_of_crossed_checks_are_not() {
        let answers = [Commit::Applied(version(3)), Commit::Applied(version(4))];
        let end = end(&[("x", "b", 4), ("y", "a", 3)]);
        assert!(!explains(&start(), &crossed(), &answers, &end));
    }

    #[test]
    fn no_winner_of_crossed_checks_is_not() {
        let lost = |key: &'static str| Commit::Conflict { key: key.into() };
        let end = end(&[("x", "0", 1), ("y", "0", 2)]);
        assert!(!explains(
            &start(),
            &crossed(),
            &[lost("x"), lost("y")],
            &end
        ));
    }

    #[test]
    fn an_end_that_nobody_wrote_is_not_explained() {
        let answers = [
            Commit::Conflict { key: "x".into() },
            Commit::Applied(version(3)),
        ];
        let end = end(&[("x", "b", 3), ("y", "other", 2)]);
        assert!(!explains(&start(), &crossed(), &answers, &end));
    }
}

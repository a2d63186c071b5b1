//! A group of batches that become one transaction of sled.
//!
//! The batches are decided one after the other, each on what the ones before
//! it leave; what applies is gathered here, and nothing is written yet. So a
//! batch that does not apply has left no trace.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::oneshot;
use windlass_store::{Batch, Check, Commit, Expect, StoreError, Write};

use crate::engine::Engine;
use crate::error::Failure;
use crate::ledger::Ledger;
use crate::limits::{INLINE_BYTES_MAX, INLINE_BYTES_MAX_OF_LARGE_BATCH, LARGE_BATCH_BYTES};
use crate::row::{self, Head, LEDGER_KEY, Pieces, Sealed};
use crate::space;

/// A batch that waits for its commit, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) batch: Batch,
    /// KiB it counts for while it waits.
    pub(crate) weight_kib: u32,
    pub(crate) answer: oneshot::Sender<Result<Commit, StoreError>>,
}

/// What a group is going to change.
#[derive(Debug)]
pub(crate) struct Plan {
    before: Ledger,
    after: Ledger,
    changes: BTreeMap<Bytes, Change>,
    replaced_bytes: usize,
}

/// What becomes of one key.
#[derive(Debug)]
struct Change {
    old: Option<Head>,
    new: Option<Sealed>,
}

impl Plan {
    /// A plan that changes nothing yet.
    pub(crate) const fn new(ledger: Ledger) -> Self {
        Self {
            before: ledger,
            after: ledger,
            changes: BTreeMap::new(),
            replaced_bytes: 0,
        }
    }

    /// Decides a batch. An error means that what it needs cannot be read;
    /// nothing of it is in the plan then.
    pub(crate) fn add(&mut self, engine: &Engine, batch: &Batch) -> Result<Commit, Failure> {
        for check in &batch.checks {
            if !self.holds(engine, check)? {
                return Ok(Commit::Conflict {
                    key: check.key.clone(),
                });
            }
        }
        for write in &batch.writes {
            self.load(engine, write.key())?;
        }
        self.after.sequence += 1;
        let inline_bytes_max = if batch.size() > LARGE_BATCH_BYTES {
            INLINE_BYTES_MAX_OF_LARGE_BATCH
        } else {
            INLINE_BYTES_MAX
        };
        for (place, write) in batch.writes.iter().enumerate() {
            self.write(place, write, inline_bytes_max);
        }
        Ok(Commit::Applied(windlass_store::Version::new(
            self.after.incarnation,
            self.after.sequence,
        )))
    }

    fn holds(&self, engine: &Engine, check: &Check) -> Result<bool, Failure> {
        let stamp = match self.changes.get(&check.key) {
            Some(change) => change.current().map(|head| head.stamp),
            None => space::find(engine, &check.key)?.map(|head| head.stamp),
        };
        Ok(match check.expect {
            Expect::Absent => stamp.is_none(),
            Expect::Present => stamp.is_some(),
            Expect::Version(version) => {
                version.incarnation() == self.after.incarnation && stamp == Some(version.sequence())
            }
        })
    }

    /// Puts a key into the plan as it is.
    fn load(&mut self, engine: &Engine, key: &Bytes) -> Result<(), Failure> {
        if self.changes.contains_key(key) {
            return Ok(());
        }
        let old = space::find(engine, key)?;
        self.replaced_bytes += old.as_ref().map_or(0, Head::kept_bytes);
        let new = old.clone().map(|head| Sealed {
            head,
            pieces: Vec::new(),
        });
        let key = Bytes::copy_from_slice(key);
        self.changes.insert(key, Change { old, new });
        Ok(())
    }

    fn write(&mut self, place: usize, write: &Write, inline_bytes_max: usize) {
        let stamp = self.after.sequence;
        let place = u16::try_from(place).expect("validated batches have at most 1,024 writes");
        let change = self.changes.get_mut(write.key());
        let change = change.expect("every written key was loaded");
        if let Some(old) = &change.new {
            self.after.remove(&old.head);
        }
        change.new = match write {
            Write::Put { key, value } => {
                Some(Sealed::new(key, value, stamp, place, inline_bytes_max))
            }
            Write::Delete { .. } => None,
        };
        if let Some(new) = &change.new {
            self.after.add(&new.head);
        }
    }

    /// Bytes of heads that are going to be replaced.
    pub(crate) const fn replaced_bytes(&self) -> usize {
        self.replaced_bytes
    }

    /// The ledger once all is written.
    pub(crate) const fn ledger(&self) -> Ledger {
        self.after
    }

    /// Whether no batch applied.
    pub(crate) fn is_empty(&self) -> bool {
        self.after.sequence == self.before.sequence
    }

    /// The heads that are going to be replaced.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &Head> {
        let changed = self.changes.values().filter(|change| change.is_one());
        changed.filter_map(|change| change.old.as_ref())
    }

    /// What has to be written before the transaction: parts of large values,
    /// under keys that nobody reads yet.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = ([u8; 13], &Bytes)> {
        let new = self
            .changes
            .values()
            .filter_map(|change| change.new.as_ref());
        new.flat_map(|sealed| {
            let keys = sealed.head.pieces().into_iter().flat_map(Pieces::keys);
            keys.zip(&sealed.pieces)
        })
    }

    /// The transaction.
    pub(crate) fn transaction(&self) -> sled::Batch {
        let mut batch = sled::Batch::default();
        for (key, change) in self.changes.iter().filter(|(_, change)| change.is_one()) {
            match &change.new {
                Some(sealed) => batch.insert(row::head_key(key), sealed.head.to_bytes()),
                None => batch.remove(row::head_key(key)),
            }
        }
        batch.insert(&LEDGER_KEY, &self.after.to_bytes()[..]);
        batch
    }
}

impl Change {
    fn current(&self) -> Option<&Head> {
        self.new.as_ref().map(|sealed| &sealed.head)
    }

    fn is_one(&self) -> bool {
        self.old.as_ref() != self.current()
    }
}

#[cfg(test)]
mod tests {
    use windlass_store::{Incarnation, StoreErrorKind};

    use super::*;
    use crate::files::Files;
    use crate::options::Options;

    struct Base {
        engine: Engine,
        ledger: Ledger,
        _directory: tempfile::TempDir,
    }

    impl Base {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory can be made");
            let files = Files::within(directory.path().to_owned());
            let engine = Engine::open(&files, &Options::default()).expect("sled opens");
            Self {
                engine,
                ledger: Ledger::empty(Incarnation::from_number(7)),
                _directory: directory,
            }
        }

        /// Decides batches as one group and applies them; the answers.
        fn commit(&mut self, batches: &[Batch]) -> Vec<Result<Commit, StoreErrorKind>> {
            let mut plan = Plan::new(self.ledger);
            let decide = |batch| {
                let decided = plan.add(&self.engine, batch);
                decided.map_err(|failure| failure.error("commit").kind())
            };
            let answers = batches.iter().map(decide).collect();
            for (key, piece) in plan.pieces() {
                let mut batch = sled::Batch::default();
                batch.insert(&key, &piece[..]);
                self.engine.apply(batch).expect("sled applies it");
            }
            self.engine
                .apply(plan.transaction())
                .expect("sled applies it");
            self.ledger = plan.ledger();
            answers
        }

        fn value(&self, key: &'static str) -> Option<Bytes> {
            let head = space::find(&self.engine, &key.into()).expect("it can be read")?;
            Some(head.open(|key| self.engine.get(key)).expect("it is whole"))
        }
    }

    fn applied(sequence: u64) -> Result<Commit, StoreErrorKind> {
        let version = windlass_store::Version::new(Incarnation::from_number(7), sequence);
        Ok(Commit::Applied(version))
    }

    #[test]
    fn a_batch_sees_those_before_it_in_its_group() {
        let mut base = Base::new();
        let create = |value: &'static str| {
            Batch::new()
                .check("a", Expect::Absent)
                .put("a", value)
                .put("b", value)
        };
        let swap = Batch::new()
            .check("b", Expect::Present)
            .delete("a")
            .put("c", "3");
        let answers = base.commit(&[create("1"), create("2"), swap, create("4")]);
        let conflict = Ok(Commit::Conflict { key: "a".into() });
        assert_eq!(answers, [applied(1), conflict, applied(2), applied(3)]);
        assert_eq!(base.value("a"), Some("4".into()));
        assert_eq!(base.ledger.entries, 3);
    }

    #[test]
    fn a_key_that_is_put_and_deleted_by_one_group_was_never_there() {
        let mut base = Base::new();
        let empty = base.ledger;
        base.commit(&[
            Batch::new().put("a", vec![1; 100_000]),
            Batch::new().delete("a"),
        ]);
        assert_eq!(base.value("a"), None);
        assert_eq!(
            (base.ledger.entries, base.ledger.digest),
            (empty.entries, empty.digest)
        );
        let pieces = base.engine.rows((vec![row::PIECE], vec![0xff])).count();
        assert_eq!(pieces, 0, "pieces of a value that nobody saw");
    }

    #[test]
    fn only_the_batch_that_needs_a_damaged_row_fails() {
        let mut base = Base::new();
        base.commit(&[Batch::new().put("a", "1").put("b", "1")]);
        let mut damage = sled::Batch::default();
        damage.insert(row::head_key(b"a"), &b"damaged"[..]);
        base.engine.apply(damage).expect("sled applies it");
        let answers = base.commit(&[
            Batch::new().put("b", "2"),
            Batch::new().put("b", "3").delete("a"),
            Batch::new().check("a", Expect::Present),
            Batch::new().put("c", "4"),
        ]);
        let corrupt = || Err(StoreErrorKind::Corrupt);
        assert_eq!(answers, [applied(2), corrupt(), corrupt(), applied(3)]);
        assert_eq!(base.value("b"), Some("2".into()));
    }
}

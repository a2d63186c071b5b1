//! Random histories: what a store answers to a sequence of calls, compared
//! call by call with the model.
//!
//! The model takes over each version from the answer to the commit that made
//! it, after a look that the key never had it. From there on versions are
//! compared as they are; that is equality up to renaming.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{
    Batch, Commit, Expect, Incarnation, KeyRange, Scan, Store, StoreErrorKind, Version, Write,
};

use crate::gather::drain;
use crate::legal::ensure_legal;
use crate::model::Model;
use crate::suite::judge;
use crate::verdict::{Stop, Trial, brief, ensure, ensure_equal};
use crate::{Broken, Fixture, FixtureError, Outcome, Random};

/// Histories that P16 runs besides [`REGRESSION_SEEDS`], from seeds that are
/// new each time.
pub const HISTORY_CASES: usize = 24;

/// Calls of one history of P16.
pub const HISTORY_STEPS: usize = 80;

/// Seeds that always run: between them they show every planted fault that
/// random histories can show. Whoever finds another failing seed adds it.
pub const REGRESSION_SEEDS: &[u64] = &[0, 1, 103, 225];

/// Runs the histories of `seeds`, each of `steps` calls on a fresh store, and
/// compares every answer with the model's. The same seed gives the same calls
/// as long as the store gives the same pages.
///
/// # Errors
///
/// [`Broken`] names the seed and the step at which store and model part.
pub async fn random_histories(
    fixture: &mut dyn Fixture,
    seeds: impl IntoIterator<Item = u64, IntoIter: Send>,
    steps: usize,
) -> Result<Outcome, Broken> {
    let seeds = seeds.into_iter();
    judge(16, run_all(fixture, seeds, steps)).await
}

/// See [`random_histories`].
pub(crate) async fn run_all(
    fixture: &mut dyn Fixture,
    seeds: impl Iterator<Item = u64> + Send,
    steps: usize,
) -> Trial {
    let durable = is_durable(fixture).await?;
    for seed in seeds {
        let mut history = History::begin(fixture, seed, durable).await?;
        for step in 0..steps {
            let outcome = history.step(fixture).await;
            outcome.map_err(|stop| located(stop, seed, step, &history.last_call))?;
        }
    }
    Ok(())
}

/// Whether the fixture's stores can be opened again.
async fn is_durable(fixture: &mut dyn Fixture) -> Trial<bool> {
    drop(fixture.fresh().await?);
    match fixture.reopen().await {
        Ok(_) => Ok(true),
        Err(FixtureError::NotApplicable { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn located(stop: Stop, seed: u64, step: usize, call: &str) -> Stop {
    match stop {
        Stop::Broken(detail) => Stop::Broken(format!(
            "history of seed {seed:#x}, step {step}, {call}: {detail}"
        )),
        other => other,
    }
}

/// Keys that are prefixes of each other, neighbours, and at both ends.
const KEYS: [&[u8]; 16] = [
    b"",
    b"\0",
    b"a",
    b"a\0",
    b"a/",
    b"a/1",
    b"a/10",
    b"a/2",
    b"a0",
    b"a\xff",
    b"b",
    b"b/1",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff",
];

struct History {
    random: Random,
    /// `None` only while it is opened again.
    store: Option<Arc<dyn Store>>,
    durable: bool,
    model: Model,
    /// Every version of every key, the oldest first.
    given: Vec<(Bytes, Version)>,
    distinct: HashSet<(Bytes, Version)>,
    /// Whether puts are now and then large enough to fill a read.
    large: bool,
    last_call: String,
}

impl History {
    async fn begin(fixture: &mut dyn Fixture, seed: u64, durable: bool) -> Trial<Self> {
        let mut random = Random::new(seed);
        let (large, crowded) = (random.one_in(16), random.one_in(16));
        let mut history = Self {
            random,
            store: Some(fixture.fresh().await?),
            durable,
            model: Model::new(),
            given: Vec::new(),
            distinct: HashSet::new(),
            large,
            last_call: String::new(),
        };
        if crowded {
            history.crowd().await?;
        }
        Ok(history)
    }

    /// Puts more keys than one read gives.
    async fn crowd(&mut self) -> Trial {
        for start in [0, 600] {
            let key = |number: usize| format!("a/crowd/{number:04}");
            let put = |batch: Batch, number| batch.put(key(number), "");
            self.commit((start..start + 600).fold(Batch::new(), put))
                .await?;
        }
        Ok(())
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(
            self.store
                .as_ref()
                .expect("a history has a store between its steps"),
        )
    }

    async fn step(&mut self, fixture: &mut dyn Fixture) -> Trial {
        match self.random.below(100) {
            0..=49 => {
                let batch = self.batch();
                self.commit(batch).await
            }
            50..=54 => self.invalid().await,
            55..=84 => self.read().await,
            85..=94 => self.export().await,
            95..=97 => self.reopen(fixture).await,
            _ => {
                let key = self.key();
                self.last_call = format!("subscribe {key:?}");
                drop(self.store().subscribe(&key));
                Ok(())
            }
        }
    }

    async fn commit(&mut self, batch: Batch) -> Trial {
        self.last_call = format!("commit {}", brief(&batch));
        let answer = self.store().commit(batch.clone()).await?;
        match (self.model.first_failing(&batch), answer) {
            (None, Commit::Applied(version)) => self.applied(&batch, version),
            (Some(key), answer) => {
                ensure_equal(&answer, &Commit::Conflict { key }, || "the answer".into())
            }
            (None, answer) => Err(Stop::Broken(format!(
                "answered {answer:?}, although all checks hold"
            ))),
        }
    }

    fn applied(&mut self, batch: &Batch, version: Version) -> Trial {
        for write in &batch.writes {
            self.model.write(write, version);
            if let Write::Put { key, .. } = write {
                let new = self.distinct.insert((key.clone(), version));
                ensure(new, || format!("{key:?} had {version:?} before"))?;
                self.given.push((key.clone(), version));
            }
        }
        Ok(())
    }

    async fn invalid(&mut self) -> Trial {
        let (key, other) = (self.key(), Bytes::from_static(b"c"));
        let batch = match self.random.below(4) {
            0 => Batch::new(),
            1 => Batch::new().put(key.clone(), "1").delete(key),
            2 => Batch::new().put(key, "1").check(other, Expect::Absent),
            _ => Batch::new().put(key.clone(), "1").put(key, "2"),
        };
        self.last_call = format!("commit {batch:?}");
        let answer = self.store().commit(batch).await;
        let refused = answer
            .as_ref()
            .is_err_and(|error| error.kind() == StoreErrorKind::Invalid);
        ensure(refused, || {
            format!("answered {answer:?}, expected `Invalid`")
        })
    }

    async fn read(&mut self) -> Trial {
        let count = if self.random.one_in(6) {
            16
        } else {
            1 + self.random.below(4)
        };
        let scans: Vec<Scan> = (0..count).map(|_| self.scan()).collect();
        self.last_call = format!("read {}", brief(&scans));
        let pages = self.store().read(&scans).await?;
        ensure_legal(&self.model, &scans, &pages)
    }

    async fn export(&mut self) -> Trial {
        let range = self.range();
        self.last_call = format!("export {range:?}");
        let found = drain(self.store().export(range.clone()).await?).await?;
        ensure_equal(&found, &self.model.range(&range), || "its entries".into())
    }

    /// Closes or just drops the store and opens it again, where that is
    /// possible.
    async fn reopen(&mut self, fixture: &mut dyn Fixture) -> Trial {
        if !self.durable {
            return Ok(());
        }
        let closes = self.random.one_in(2);
        self.last_call = format!("re-open, closed before: {closes}");
        if closes {
            self.store().close().await?;
        }
        self.store = None;
        self.store = Some(fixture.reopen().await?);
        Ok(())
    }
}

/// What the calls of a history are made of.
impl History {
    fn key(&mut self) -> Bytes {
        Bytes::from_static(KEYS[self.random.below(KEYS.len())])
    }

    fn value(&mut self) -> Bytes {
        let length = match self.random.below(8) {
            0 => 0,
            1 if self.large => 1_700_000 + self.random.below(300_000),
            _ => self.random.below(40),
        };
        let byte = b"abcdefgh"[self.random.below(8)];
        vec![byte; length].into()
    }

    fn range(&mut self) -> KeyRange {
        match self.random.below(5) {
            0 => KeyRange::all(),
            1 => KeyRange::prefix(self.key()),
            2 => KeyRange::point(self.key()),
            3 => KeyRange {
                start: self.key(),
                end: None,
            },
            _ => KeyRange::new(self.key(), self.key()),
        }
    }

    fn scan(&mut self) -> Scan {
        let range = self.range();
        let limit = *self.random.pick(&[1, 2, 3, 5, 500, 1_000]);
        let scan = Scan::new(range).limit(limit);
        let scan = if self.random.one_in(2) {
            scan.descending()
        } else {
            scan
        };
        if self.random.one_in(3) {
            scan.keys()
        } else {
            scan
        }
    }

    fn batch(&mut self) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..self.random.below(5) {
            let key = self.key();
            if batch.writes.iter().any(|write| *write.key() == key) {
                continue;
            }
            batch = if self.random.one_in(3) {
                batch.delete(key)
            } else {
                batch.put(key, self.value())
            };
        }
        for _ in 0..self.random.below(4) {
            batch = self.checked(batch);
        }
        if batch == Batch::new() {
            batch.delete(self.key())
        } else {
            batch
        }
    }

    /// The batch with one more check, if that leaves it valid.
    fn checked(&mut self, batch: Batch) -> Batch {
        let key = self.key();
        if batch.checks.iter().any(|check| check.key == key) {
            return batch;
        }
        let expect = self.expectation(&key);
        let written = batch.writes.iter().find(|write| *write.key() == key);
        match (expect, written) {
            (Expect::Absent, Some(Write::Delete { .. })) => batch,
            (Expect::Absent, None) => batch.put(key.clone(), self.value()).check(key, expect),
            _ => batch.check(key, expect),
        }
    }

    /// Something to expect of a key: more often than not what is true of it.
    fn expectation(&mut self, key: &Bytes) -> Expect {
        let entry = self.model.entry(key);
        match (self.random.below(6), entry) {
            (0..=2, Some(entry)) => Expect::Version(entry.version),
            (0..=2, None) => Expect::Absent,
            (3, _) => Expect::Present,
            (4, _) => Expect::Absent,
            (_, entry) => Expect::Version(self.stale_version(entry.map(|entry| entry.version))),
        }
    }

    fn stale_version(&mut self, current: Option<Version>) -> Version {
        let foreign = Version::new(Incarnation::from_number(0), 1);
        match (self.given.is_empty(), self.random.below(3), current) {
            (_, 0, Some(version)) => Version::new(
                Incarnation::from_number(!version.incarnation().number()),
                version.sequence(),
            ),
            (true, ..) => foreign,
            _ => self.random.pick(&self.given).1,
        }
    }
}

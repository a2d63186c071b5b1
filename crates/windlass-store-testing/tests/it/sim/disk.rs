//! The simulated disk, what is in memory above it, and the fixture of both.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::RwLock;
use tokio::task::yield_now;
use windlass_store::{
    Batch, Check, Entry, Expect, Incarnation, KeyRange, Store, StoreError, StoreErrorKind, Version,
    Write, seal,
};
use windlass_store_testing::{Fixture, FixtureError, Model, Tamper};

use super::fault::Fault;
use super::store::SimStore;

/// Longest that a commit waits for another in its window.
const YIELDS_MAX: usize = 2_000;

/// Makes simulated stores.
#[derive(Debug)]
pub(crate) struct SimulatedDisk {
    fault: Option<Fault>,
    world: Option<Arc<World>>,
}

impl SimulatedDisk {
    /// A disk whose stores keep every promise.
    pub(crate) const fn sound() -> Self {
        Self {
            fault: None,
            world: None,
        }
    }

    /// A disk whose stores have a fault.
    pub(crate) const fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            world: None,
        }
    }

    fn world(&self) -> Result<&Arc<World>, FixtureError> {
        self.world
            .as_ref()
            .ok_or_else(|| FixtureError::setup("no store was made yet"))
    }
}

#[async_trait]
impl Fixture for SimulatedDisk {
    async fn fresh(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        let incarnation = match self.fault {
            Some(Fault::FixedIncarnation) => Incarnation::from_number(1),
            _ => Incarnation::draw()?,
        };
        let world = Arc::new(World::new(incarnation, self.fault));
        self.world = Some(Arc::clone(&world));
        Ok(Arc::new(SimStore::new(world)))
    }

    async fn reopen(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        let world = self.world()?;
        world.space().start(self.fault)?;
        Ok(Arc::new(SimStore::new(Arc::clone(world))))
    }

    async fn contender(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        let world = Arc::clone(self.world()?);
        let stale = self.fault == Some(Fault::StaleContender);
        let view = stale.then(|| world.space().live.clone());
        Ok(Arc::new(SimStore::with_view(world, view)))
    }

    async fn tamper(&mut self, tamper: Tamper) -> Result<(), FixtureError> {
        self.world()?.space().disk.tamper(&tamper);
        Ok(())
    }
}

/// Everything the processes of one store share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) fault: Option<Fault>,
    pub(crate) incarnation: Incarnation,
    /// Keeps readers out of a torn commit, for [`Fault::HalfWhenDropped`].
    pub(crate) gate: RwLock<()>,
    /// A clone for each commit that [`World::wait_for_company`] holds.
    waiting: Arc<()>,
    space: Mutex<Space>,
}

impl World {
    pub(crate) fn new(incarnation: Incarnation, fault: Option<Fault>) -> Self {
        Self {
            fault,
            incarnation,
            gate: RwLock::new(()),
            waiting: Arc::new(()),
            space: Mutex::default(),
        }
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Holds a commit until another one is held here too, so that a window is
    /// hit whatever the machine is busy with; not for ever, since a commit may
    /// be the only one.
    pub(crate) async fn wait_for_company(&self) {
        let waiting = Arc::clone(&self.waiting);
        for _ in 0..YIELDS_MAX {
            if Arc::strong_count(&waiting) > 2 {
                return;
            }
            yield_now().await;
        }
    }

    pub(crate) fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the processes see, and what would be left if they died.
#[derive(Debug, Default)]
pub(crate) struct Space {
    /// What reads see: sealed values.
    pub(crate) live: Model,
    pub(crate) disk: Disk,
    sequence: u64,
    /// Keys that ever had a value, for [`Fault::PresentForNever`].
    known: BTreeSet<Bytes>,
}

/// What outlives the processes.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    damage: Option<FileDamage>,
    /// Whether the last process closed the store.
    pub(crate) clean: bool,
    rows: Model,
    /// How many rows there should be.
    count: usize,
    /// The rows before the last commit, for [`Fault::LosesLast`].
    before: Model,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileDamage {
    Emptied,
    Foreign,
}

impl Space {
    /// The key of the first check that does not hold, in `view` if there is
    /// one.
    pub(crate) fn first_failing(
        &self,
        world: &World,
        view: Option<&Model>,
        batch: &Batch,
    ) -> Option<Bytes> {
        let model = view.unwrap_or(&self.live);
        let holds = |check: &Check| match check.expect {
            Expect::Present if world.has(Fault::PresentForNever) => {
                model.holds(check) || !self.known.contains(&check.key)
            }
            Expect::Version(version) if world.has(Fault::ForeignIncarnation) => {
                let version = Version::new(world.incarnation, version.sequence());
                model.holds(&Check {
                    key: check.key.clone(),
                    expect: Expect::Version(version),
                })
            }
            _ => model.holds(check),
        };
        batch
            .checks
            .iter()
            .find(|check| !holds(check))
            .map(|check| check.key.clone())
    }

    /// The version of the next commit.
    pub(crate) fn number(&mut self, world: &World) -> Version {
        self.sequence += 1;
        Version::new(world.incarnation, self.sequence)
    }

    /// Shows writes to readers.
    pub(crate) fn show(&mut self, writes: &[Write], version: Version) {
        for write in writes {
            self.known.insert(write.key().clone());
            self.live.write(write, version);
        }
    }

    /// Puts writes on disk.
    pub(crate) fn keep(&mut self, writes: &[Write], version: Version, fault: Option<Fault>) {
        if fault == Some(Fault::LosesLast) {
            self.disk.before = self.disk.rows.clone();
        }
        self.disk.clean = false;
        for write in writes {
            let existed = usize::from(self.disk.rows.entry(write.key()).is_some());
            let exists = usize::from(matches!(write, Write::Put { .. }));
            self.disk.count = self.disk.count + exists - existed;
            self.disk.rows.write(write, version);
        }
    }

    /// Begins again with what is on disk, if that is a store.
    fn start(&mut self, fault: Option<Fault>) -> Result<(), StoreError> {
        self.disk.check(fault)?;
        if fault == Some(Fault::LosesLast) && !self.disk.clean {
            self.disk.rows = self.disk.before.clone();
        }
        self.live = self.disk.rows.clone();
        if fault == Some(Fault::CountsFromRows) {
            let stamps = self.live.range(&KeyRange::all()).into_iter();
            self.sequence = stamps.map(|row| row.version.sequence()).max().unwrap_or(0);
        }
        Ok(())
    }
}

impl Disk {
    fn check(&mut self, fault: Option<Fault>) -> Result<(), StoreError> {
        match self.damage {
            Some(FileDamage::Emptied) if fault != Some(Fault::EmptiedIsFresh) => {
                Err(corrupt("the file is empty"))
            }
            Some(FileDamage::Foreign) if fault != Some(Fault::ForeignAdopted) => {
                Err(corrupt("the file is none of ours"))
            }
            _ if fault == Some(Fault::TruncationUnnoticed) => Ok(()),
            _ if self.count != self.rows.range(&KeyRange::all()).len() && self.damage.is_none() => {
                Err(corrupt("rows are missing"))
            }
            _ => Ok(()),
        }
    }

    fn tamper(&mut self, tamper: &Tamper) {
        match tamper {
            Tamper::ValueBit { key, bit } => {
                let row = self.row(key);
                self.put(row.key, flip(&row.value, *bit), row.version);
            }
            Tamper::KeyBit { key, bit } => {
                let row = self.row(key);
                self.rows
                    .write(&Write::Delete { key: key.clone() }, row.version);
                self.put(flip(key, *bit), row.value, row.version);
            }
            Tamper::Truncate => {
                let rows = self.rows.range(&KeyRange::all());
                for row in rows.into_iter().skip(self.count / 2) {
                    self.rows
                        .write(&Write::Delete { key: row.key }, row.version);
                }
            }
            Tamper::Empty => self.replace(FileDamage::Emptied),
            Tamper::Foreign => self.replace(FileDamage::Foreign),
        }
    }

    fn row(&self, key: &Bytes) -> Entry {
        self.rows
            .entry(key)
            .expect("the suite damages a row that is there")
    }

    fn put(&mut self, key: Bytes, value: Bytes, version: Version) {
        self.rows.write(&Write::Put { key, value }, version);
    }

    fn replace(&mut self, damage: FileDamage) {
        self.rows = Model::new();
        self.damage = Some(damage);
    }
}

fn flip(bytes: &Bytes, bit: usize) -> Bytes {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped.into()
}

/// Seals the values of a batch's puts.
pub(crate) fn sealed(world: &World, writes: &[Write], version: Version) -> Vec<Write> {
    let seal = |write: &Write| match write {
        Write::Put { key, value } if world.has(Fault::ValuesAsText) => {
            let text = String::from_utf8_lossy(value);
            let value = seal::seal(key, version.sequence(), text.as_bytes()).into();
            Write::Put {
                key: key.clone(),
                value,
            }
        }
        Write::Put { key, value } => {
            let covered = if world.has(Fault::KeyUnsealed) {
                b""
            } else {
                key.as_ref()
            };
            let value = seal::seal(covered, version.sequence(), value).into();
            Write::Put {
                key: key.clone(),
                value,
            }
        }
        delete @ Write::Delete { .. } => delete.clone(),
    };
    writes.iter().map(seal).collect()
}

/// A row as readers get it.
pub(crate) fn opened(world: &World, row: Entry) -> Result<Entry, StoreError> {
    let covered = if world.has(Fault::KeyUnsealed) {
        b""
    } else {
        row.key.as_ref()
    };
    let opened = seal::open(covered, row.version.sequence(), &row.value);
    let value = match opened {
        Ok(value) => value,
        Err(_) if world.has(Fault::SealIgnored) => {
            row.value.slice(..row.value.len() - seal::SEAL_BYTES)
        }
        Err(cause) => return Err(corrupt("a value is damaged").with_source(cause)),
    };
    Ok(Entry { value, ..row })
}

fn corrupt(context: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "read", context)
}

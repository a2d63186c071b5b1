//! The store over the rows: locks, limits, seals, pages and hints.

use std::fmt;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_store::{
    Batch, ChangeHub, Changes, Commit, Entry, Export, ExportSource, Incarnation, KeyRange, Order,
    Page, ReadBudget, Scan, Store, StoreError, StoreErrorKind, Take, Version, seal,
};

use crate::space::{Row, Space, ViewId};

/// Most exports that one store keeps open at a time; one more is refused
/// with `Unavailable`.
pub const EXPORTS_MAX: usize = 64;

/// A store in memory, the reference for all others.
///
/// # Cost
///
/// A read takes a shared lock for as long as it takes to find its rows and
/// verifies their checksums after letting go of it. A commit takes the lock
/// alone, copies its keys and values once and computes one checksum a value.
///
/// An open export costs no copy of the data. While it is open, a commit that
/// replaces or deletes a row which the export has yet to show keeps the old
/// one: one look at each open export and write, and memory for the rows
/// changed since. Dropping the export frees them. There is no time limit for
/// exports, since nothing but that memory is held.
///
/// # Durability
///
/// None: [`Store::close`] and the end of the process discard everything. So
/// three promises of [`Store`] have nothing to be about: what re-opening shows
/// (P11), a second process (P17), and damage to what is stored (P18; values are
/// sealed and verified all the same).
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    incarnation: Incarnation,
    hub: ChangeHub,
    /// `None` once closed.
    space: RwLock<Option<Space>>,
}

impl MemoryStore {
    /// An empty store with an incarnation of its own.
    ///
    /// # Errors
    ///
    /// `Environment` if the operating system gives no random bytes.
    pub fn new() -> Result<Self, StoreError> {
        Ok(Self::with_incarnation(Incarnation::draw()?))
    }

    /// An empty store whose versions follow from `incarnation` and the order
    /// of its commits: the same calls give the same versions.
    #[must_use]
    pub fn with_incarnation(incarnation: Incarnation) -> Self {
        let space = RwLock::new(Some(Space::default()));
        Self {
            shared: Arc::new(Shared {
                incarnation,
                hub: ChangeHub::new(),
                space,
            }),
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self
            .shared
            .lock_shared("debug")
            .ok()
            .and_then(|space| space.as_ref().map(Space::len));
        f.debug_struct("MemoryStore")
            .field("incarnation", &self.shared.incarnation)
            .field("rows", &rows)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        let found = self.shared.find(scans)?;
        found
            .into_iter()
            .map(|found| found.open(self.shared.incarnation))
            .collect()
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        let commit = self.shared.commit(&batch)?;
        if matches!(commit, Commit::Applied(_)) {
            self.shared.hub.publish(&batch.writes);
        }
        Ok(commit)
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        range.validate("export")?;
        let view = self.shared.view(range.clone())?;
        Ok(Export::new(ViewExport {
            shared: Arc::clone(&self.shared),
            view,
            rest: range,
        }))
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.shared.hub.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        *self.shared.lock_alone("close")? = None;
        self.shared.hub.close();
        Ok(())
    }
}

impl Shared {
    fn lock_shared(
        &self,
        verb: &'static str,
    ) -> Result<RwLockReadGuard<'_, Option<Space>>, StoreError> {
        self.space.read().map_err(|_| poisoned(verb))
    }

    fn lock_alone(
        &self,
        verb: &'static str,
    ) -> Result<RwLockWriteGuard<'_, Option<Space>>, StoreError> {
        self.space.write().map_err(|_| poisoned(verb))
    }

    fn find(&self, scans: &[Scan]) -> Result<Vec<Found>, StoreError> {
        let guard = self.lock_shared("read")?;
        let space = guard.as_ref().ok_or_else(|| StoreError::closed("read"))?;
        let mut budget = ReadBudget::new();
        Ok(scans
            .iter()
            .map(|scan| Found::in_space(space, scan, &mut budget))
            .collect())
    }

    fn commit(&self, batch: &Batch) -> Result<Commit, StoreError> {
        let mut guard = self.lock_alone("commit")?;
        let space = guard.as_mut().ok_or_else(|| StoreError::closed("commit"))?;
        Ok(space.commit(self.incarnation, batch))
    }

    fn view(&self, range: KeyRange) -> Result<ViewId, StoreError> {
        let mut guard = self.lock_alone("export")?;
        let space = guard.as_mut().ok_or_else(|| StoreError::closed("export"))?;
        if space.views() >= EXPORTS_MAX {
            let context = format!("{EXPORTS_MAX} exports are open, as many as are allowed");
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "export",
                context,
            ));
        }
        Ok(space.view(range))
    }
}

/// A commit that panicked may have stopped half way, and half a batch is
/// never shown.
fn poisoned(verb: &'static str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        verb,
        "a commit was torn by a panic",
    )
}

/// The rows of one scan, taken under the lock, their seals not yet verified.
struct Found {
    take: Take,
    rows: Vec<(Bytes, Row)>,
    more: bool,
}

impl Found {
    fn in_space(space: &Space, scan: &Scan, budget: &mut ReadBudget) -> Self {
        let rows = space.rows(&scan.range);
        match scan.order {
            Order::Ascending => Self::take(rows, scan, budget),
            Order::Descending => Self::take(rows.rev(), scan, budget),
        }
    }

    fn take<'a>(
        rows: impl Iterator<Item = (&'a Bytes, &'a Row)>,
        scan: &Scan,
        budget: &mut ReadBudget,
    ) -> Self {
        let mut found = Self {
            take: scan.take,
            rows: Vec::new(),
            more: false,
        };
        for (key, row) in rows {
            let full = found.rows.len() == scan.limit;
            if full || !budget.admit(size(key, row, scan.take)) {
                found.more = true;
                break;
            }
            found.rows.push((key.clone(), row.clone()));
        }
        found
    }

    fn open(self, incarnation: Incarnation) -> Result<Page, StoreError> {
        let entries = self.rows.iter().map(|(key, row)| {
            let mut entry = open(incarnation, key, row, "read")?;
            if self.take == Take::Keys {
                entry.value = Bytes::new();
            }
            Ok(entry)
        });
        Ok(Page {
            entries: entries.collect::<Result<_, StoreError>>()?,
            more: self.more,
        })
    }
}

/// What an entry counts in a [`ReadBudget`].
fn size(key: &Bytes, row: &Row, take: Take) -> usize {
    match take {
        Take::Entries => key.len() + row.sealed.len() - seal::SEAL_BYTES,
        Take::Keys => key.len(),
    }
}

fn open(
    incarnation: Incarnation,
    key: &Bytes,
    row: &Row,
    verb: &'static str,
) -> Result<Entry, StoreError> {
    let value = seal::open(key, row.stamp, &row.sealed).map_err(|cause| {
        StoreError::new(
            StoreErrorKind::Corrupt,
            verb,
            "a value in memory is damaged",
        )
        .with_source(cause)
    })?;
    Ok(Entry {
        key: key.clone(),
        value,
        version: Version::new(incarnation, row.stamp),
    })
}

/// Feeds an export from a view, as many entries at a time as a read gives.
struct ViewExport {
    shared: Arc<Shared>,
    view: ViewId,
    /// What has not been given yet.
    rest: KeyRange,
}

impl ViewExport {
    fn find(&self) -> Result<Vec<(Bytes, Row)>, StoreError> {
        let guard = self.shared.lock_shared("export")?;
        let space = guard.as_ref().ok_or_else(|| StoreError::closed("export"))?;
        let mut budget = ReadBudget::new();
        let rows = space.rows_of_view(self.view, &self.rest);
        let rows = rows.take_while(|(key, row)| budget.admit(size(key, row, Take::Entries)));
        Ok(rows.map(|(key, row)| (key.clone(), row.clone())).collect())
    }
}

#[async_trait]
impl ExportSource for ViewExport {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        let rows = self.find()?;
        let Some((last, _)) = rows.last() else {
            return Ok(None);
        };
        self.rest = Scan::new(self.rest.clone()).after(last).range;
        let incarnation = self.shared.incarnation;
        let entries = rows
            .iter()
            .map(|(key, row)| open(incarnation, key, row, "export"));
        entries.collect::<Result<_, _>>().map(Some)
    }
}

impl Drop for ViewExport {
    fn drop(&mut self) {
        if let Ok(mut guard) = self.shared.lock_alone("export")
            && let Some(space) = guard.as_mut()
        {
            space.forget(self.view);
        }
    }
}

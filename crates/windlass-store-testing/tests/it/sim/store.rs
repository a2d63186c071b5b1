//! The simulated store: plain where it is sound, and otherwise with windows
//! that a fault opens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::yield_now;
use windlass_store::limits::BATCH_CHECKS_MAX;
use windlass_store::{
    Batch, ChangeHub, Changes, Commit, Entry, Export, ExportSource, Incarnation, KeyRange, Order,
    Page, ReadBudget, Scan, Store, StoreError, StoreErrorKind, Take, Version, Write,
};
use windlass_store_testing::Model;

use super::disk::{World, opened, sealed};
use super::fault::Fault;

/// Most hints that [`Fault::HintsFill`] keeps unread.
const HINTS_MAX: u64 = 16;
/// Rows of one piece of an export.
const PIECE: usize = 100;
/// How often a fault lets others run in the middle of a call.
const YIELDS: usize = 8;

/// A handle of a simulated store.
#[derive(Debug)]
pub(crate) struct SimStore {
    world: Arc<World>,
    closed: Arc<AtomicBool>,
    hub: ChangeHub,
    subscribed: AtomicBool,
    unread: AtomicU64,
    /// What this handle believes, for [`Fault::StaleContender`].
    view: Mutex<Option<Model>>,
}

impl SimStore {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self::with_view(world, None)
    }

    /// A sound store that nobody else can open.
    pub(crate) fn alone() -> Result<Self, StoreError> {
        Ok(Self::new(Arc::new(World::new(Incarnation::draw()?, None))))
    }

    pub(crate) fn with_view(world: Arc<World>, view: Option<Model>) -> Self {
        Self {
            world,
            closed: Arc::default(),
            hub: ChangeHub::new(),
            subscribed: AtomicBool::new(false),
            unread: AtomicU64::new(0),
            view: Mutex::new(view),
        }
    }

    fn ensure_open(&self, verb: &'static str) -> Result<(), StoreError> {
        let closed = self.closed.load(Ordering::SeqCst);
        if closed {
            Err(StoreError::closed(verb))
        } else {
            Ok(())
        }
    }

    fn validate(&self, batch: &Batch) -> Result<(), StoreError> {
        let many = batch.checks.len() == BATCH_CHECKS_MAX + 1;
        if many && self.world.has(Fault::ChecksUnlimited) {
            Ok(())
        } else {
            batch.validate()
        }
    }

    fn hint(&self) -> Result<(), StoreError> {
        let filling = self.world.has(Fault::HintsFill) && self.subscribed.load(Ordering::SeqCst);
        if filling && self.unread.fetch_add(1, Ordering::SeqCst) >= HINTS_MAX {
            let context = "the queue of hints is full";
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "commit",
                context,
            ));
        }
        Ok(())
    }

    fn first_failing(&self, batch: &Batch) -> Option<Bytes> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        self.world
            .space()
            .first_failing(&self.world, view.as_ref(), batch)
    }

    /// What a commit does in one step.
    fn commit_whole(&self, batch: &Batch) -> Commit {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let mut space = self.world.space();
        if let Some(key) = space.first_failing(&self.world, view.as_ref(), batch) {
            return Commit::Conflict { key };
        }
        let version = space.number(&self.world);
        let writes = self.writes(batch, version);
        space.show(&writes, version);
        space.keep(&writes, version, self.world.fault);
        Commit::Applied(version)
    }

    /// Checks, lets others run, and applies whatever happened meanwhile.
    async fn commit_split(&self, batch: &Batch) -> Commit {
        if let Some(key) = self.first_failing(batch) {
            return Commit::Conflict { key };
        }
        self.world.wait_for_company().await;
        self.commit_whole(&Batch {
            checks: Vec::new(),
            writes: batch.writes.clone(),
        })
    }

    /// Shows the batch whole and brings it to disk in two steps.
    async fn commit_torn(&self, batch: &Batch) -> Commit {
        let (version, writes) = {
            let mut space = self.world.space();
            if let Some(key) = space.first_failing(&self.world, None, batch) {
                return Commit::Conflict { key };
            }
            let version = space.number(&self.world);
            let writes = self.writes(batch, version);
            space.show(&writes, version);
            (version, writes)
        };
        let (first, second) = writes.split_at(writes.len() / 2);
        self.world.space().keep(first, version, None);
        let_others_run().await;
        self.world.space().keep(second, version, None);
        Commit::Applied(version)
    }

    /// Shows the batch in two steps, with readers locked out.
    async fn commit_in_halves(&self, batch: &Batch) -> Commit {
        let _alone = self.world.gate.write().await;
        if let Some(key) = self.first_failing(batch) {
            return Commit::Conflict { key };
        }
        let version = self.world.space().number(&self.world);
        let writes = self.writes(batch, version);
        let (first, second) = writes.split_at(writes.len() / 2);
        self.world.space().show(first, version);
        let_others_run().await;
        self.world.space().show(second, version);
        self.world.space().keep(&writes, version, None);
        Commit::Applied(version)
    }

    fn writes(&self, batch: &Batch, version: Version) -> Vec<Write> {
        let taken_back = |write: &&Write| {
            let deletes = batch
                .writes
                .iter()
                .filter(|write| matches!(write, Write::Delete { .. }));
            let mut below = deletes.filter(|delete| write.key().starts_with(delete.key()));
            matches!(write, Write::Put { .. }) && below.next().is_some()
        };
        let writes = sealed(&self.world, &batch.writes, version);
        if self.world.has(Fault::DeletesBelow) {
            return writes
                .iter()
                .filter(|write| !taken_back(write))
                .cloned()
                .collect();
        }
        writes
    }

    /// All pages at the moment of the call.
    fn pages(&self, scans: &[Scan], budget: &mut ReadBudget) -> Result<Vec<Page>, StoreError> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let space = self.world.space();
        let model = view.as_ref().unwrap_or(&space.live);
        scans
            .iter()
            .map(|scan| self.page(model, scan, budget))
            .collect()
    }

    fn page(
        &self,
        model: &Model,
        scan: &Scan,
        budget: &mut ReadBudget,
    ) -> Result<Page, StoreError> {
        let mut rows = model.matching(&Scan {
            take: Take::Entries,
            ..scan.clone()
        });
        if self.world.has(Fault::SignedBytes) {
            sort_signed(&mut rows, scan.order);
        }
        let mut page = Page::default();
        for row in rows {
            let mut entry = opened(&self.world, row)?;
            if scan.take == Take::Keys {
                entry.value = Bytes::new();
            }
            if page.entries.len() == scan.limit || !self.admit(budget, &entry) {
                page.more = true;
                break;
            }
            page.entries.push(entry);
        }
        page.more |= self.world.has(Fault::MoreAtLimit) && page.entries.len() == scan.limit;
        Ok(page)
    }

    fn admit(&self, budget: &mut ReadBudget, entry: &Entry) -> bool {
        let size = entry.key.len() + entry.value.len();
        budget.admit(if self.world.has(Fault::BytesUnbounded) {
            0
        } else {
            size
        })
    }
}

async fn let_others_run() {
    for _ in 0..YIELDS {
        yield_now().await;
    }
}

fn sort_signed(rows: &mut [Entry], order: Order) {
    rows.sort_by_key(|row| row.key.iter().map(|byte| byte ^ 0x80).collect::<Vec<u8>>());
    if order == Order::Descending {
        rows.reverse();
    }
}

#[async_trait]
impl Store for SimStore {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        if !self.world.has(Fault::ReadsAfterClose) {
            self.ensure_open("read")?;
        }
        let _gate = self.world.gate.read().await;
        let mut budget = ReadBudget::new();
        if !self.world.has(Fault::ScanByScan) {
            return self.pages(scans, &mut budget);
        }
        let mut pages = Vec::new();
        for scan in scans {
            pages.append(&mut self.pages(std::slice::from_ref(scan), &mut budget)?);
            let_others_run().await;
        }
        Ok(pages)
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.validate(&batch)?;
        self.ensure_open("commit")?;
        self.hint()?;
        let commit = match self.world.fault {
            Some(Fault::SplitUpdates) if is_update(&batch) => self.commit_split(&batch).await,
            Some(Fault::SplitCrossed) if is_crossed(&batch) => self.commit_split(&batch).await,
            Some(Fault::TornDisk) => self.commit_torn(&batch).await,
            Some(Fault::HalfWhenDropped) => self.commit_in_halves(&batch).await,
            _ => self.commit_whole(&batch),
        };
        self.hub.publish(&batch.writes);
        Ok(commit)
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        range.validate("export")?;
        self.ensure_open("export")?;
        let _gate = self.world.gate.read().await;
        let rows = self.world.space().live.range(&range);
        Ok(Export::new(SimExport {
            world: Arc::clone(&self.world),
            closed: Arc::clone(&self.closed),
            rows,
            rest: range,
        }))
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.subscribed.store(true, Ordering::SeqCst);
        self.hub.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.closed.store(true, Ordering::SeqCst);
        self.world.space().disk.clean = true;
        self.hub.close();
        Ok(())
    }
}

/// Whether a batch does nothing but rewrite the key it checks.
fn is_update(batch: &Batch) -> bool {
    match (batch.checks.as_slice(), batch.writes.as_slice()) {
        ([check], [write]) => check.key == *write.key(),
        _ => false,
    }
}

/// Whether a batch checks a key that it does not write.
fn is_crossed(batch: &Batch) -> bool {
    let written = |key: &Bytes| batch.writes.iter().any(|write| write.key() == key);
    !batch.writes.is_empty() && batch.checks.iter().any(|check| !written(&check.key))
}

/// An export of the rows there were, or, with [`Fault::LiveExport`], of those
/// there are.
struct SimExport {
    world: Arc<World>,
    closed: Arc<AtomicBool>,
    rows: Vec<Entry>,
    rest: KeyRange,
}

#[async_trait]
impl ExportSource for SimExport {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(StoreError::closed("export"));
        }
        if self.world.has(Fault::LiveExport) {
            self.rows = self.world.space().live.range(&self.rest);
        }
        let piece: Vec<Entry> = self.rows.drain(..PIECE.min(self.rows.len())).collect();
        let Some(last) = piece.last() else {
            return Ok(None);
        };
        self.rest = Scan::new(self.rest.clone()).after(&last.key).range;
        let entries = piece.into_iter().map(|row| opened(&self.world, row));
        entries.collect::<Result<_, _>>().map(Some)
    }
}

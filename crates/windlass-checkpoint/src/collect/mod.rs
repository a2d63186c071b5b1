//! Collecting what a lineage needs no longer.
//!
//! A run marks what is needed, condemns the rest, marks again what was
//! committed meanwhile, and deletes what is still not needed. It is safe
//! beside any number of commits and other runs, and may end anywhere:
//!
//! 1. The version of each row to be deleted is read, then `gc` is rewritten,
//!    then marking is done again, then the row is deleted if it has that
//!    version still. A commit that puts the row, or has put it ahead, either
//!    changes its version or finds `gc` changed and is decided anew.
//! 2. A commit that refers to a blob without putting it checks that it is
//!    there and `gc` unchanged, and deletes its row under `condemned`. Every
//!    deletion checks that row present. So either the commit is met by
//!    marking again, or it sees the row, or the deletion sees that it is
//!    gone.
//! 3. Blobs are deleted before lists and lists before chunks. What is below a
//!    blob that was pardoned, or that came after the search for garbage, is
//!    marked before the first list goes, even if no commit needs the blob by
//!    then. So where a blob is, what is below it is too.
//! 4. A run begins by rewriting `gc`, and each of its commits checks that it
//!    is as the run wrote it last. So of two runs the earlier one gives up,
//!    and while the later one marks nobody deletes.
//! 5. What is younger than the grace period stays, and of a blob also what is
//!    below it.
//! 6. If anything that marking has to read cannot be read, nothing is
//!    deleted.
//!
//! A row under `condemned` that a run left behind does no harm: the next run
//! takes it up or takes it away.

mod limits;
mod mark;
mod remove;
mod report;
mod roots;
mod scan;

use std::collections::HashSet;
use std::sync::Arc;

use windlass_core::{Millis, TenantId};
use windlass_store::{KeyRange, Scan, StoreErrorKind, StoreExt, Version};

use crate::blob::{Kind, LineageKeys, Name};
use crate::checkpoints::Checkpoints;
use crate::engine::Engine;
use crate::error::CheckpointError;
use mark::Marks;
pub use report::{CollectReport, Reason};
use roots::Roots;

/// How a collection is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collect {
    /// How long a row that nothing needs is safe, in milliseconds; as
    /// configured if it is not given, and 0 for not at all.
    pub grace_ms: Option<u64>,
    /// Whether it only says what it would delete.
    pub dry_run: bool,
}

/// A collection of one lineage, done in steps.
///
/// What it has marked is in memory: about 60 bytes for each row of the
/// lineage. Dropping it leaves nothing to clean up.
#[derive(Debug)]
pub struct Collection {
    engine: Arc<Engine>,
    lineage: LineageKeys,
    dry_run: bool,
    /// Rows written after this are young.
    young_after: Option<Millis>,
    phase: Phase,
    roots: Roots,
    marks: Marks,
    /// What is to be deleted, in the order in which it is.
    doomed: Vec<Doomed>,
    /// Rows under `condemned` that have to go.
    pardoned: HashSet<Name>,
    /// Of `gc`; none if there is no such row.
    gc: Option<Version>,
    run: u64,
    /// Rows read and written so far, which is what limits count.
    work: u64,
    report: CollectReport,
}

/// A row that nothing needs.
#[derive(Clone, Copy, Debug)]
struct Doomed {
    name: Name,
    version: Version,
    bytes: u64,
}

/// What a collection does next.
#[derive(Clone, Debug)]
enum Phase {
    Begin,
    Mark,
    /// Looks for rows that were condemned before.
    Recall(Kind, Scan),
    /// Looks for rows of a kind that nothing needs.
    Search(Kind, Scan),
    /// Condemns those from this place on.
    Condemn(usize),
    MarkAgain,
    /// Looks for blobs that came after the search.
    Review(Scan),
    /// Deletes those from this place on.
    Delete(usize),
    /// Takes rows under `condemned` away.
    Pardon,
    /// Takes the lineage itself away, if it has no member left.
    End,
    Done,
}

impl Checkpoints {
    /// Collects what a lineage needs no longer, from the beginning to the end.
    ///
    /// # Errors
    ///
    /// The store's failures; what was deleted by then stays deleted, and the
    /// next run goes on. What cannot be read is in the report.
    pub async fn collect(
        &self,
        tenant: &TenantId,
        lineage: &str,
        options: Collect,
    ) -> Result<CollectReport, CheckpointError> {
        let mut collection = self.collection(tenant, lineage, options);
        collection.step(u64::MAX).await
    }

    /// A collection of a lineage that is done step by step.
    #[must_use]
    pub fn collection(&self, tenant: &TenantId, lineage: &str, options: Collect) -> Collection {
        Collection::new(
            Arc::clone(self.engine()),
            LineageKeys::new(tenant, lineage),
            options,
        )
    }

    /// The lineages of a tenant, in order: at most `limit` that come after
    /// `after`. Costs a read for each.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn lineages(
        &self,
        tenant: &TenantId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, CheckpointError> {
        let mut range = LineageKeys::of_tenant(tenant);
        let mut lineages = Vec::new();
        if let Some(after) = after {
            range.start = LineageKeys::new(tenant, after).end();
        }
        while lineages.len() < limit {
            let scan = Scan::new(range.clone()).keys().limit(1);
            let pages = self.engine().store.read(&[scan]).await?;
            let first = pages.into_iter().flat_map(|page| page.entries).next();
            let Some(lineage) = first.and_then(|it| LineageKeys::lineage_of(tenant, &it.key))
            else {
                break;
            };
            range.start = LineageKeys::new(tenant, &lineage).end();
            lineages.push(lineage);
        }
        Ok(lineages)
    }
}

impl Collection {
    fn new(engine: Arc<Engine>, lineage: LineageKeys, options: Collect) -> Self {
        let grace_ms = options.grace_ms.unwrap_or(engine.config.grace_ms);
        let now = engine.env.now();
        let young_after = (grace_ms > 0).then(|| Millis::new(now.get().saturating_sub(grace_ms)));
        Self {
            engine,
            lineage,
            dry_run: options.dry_run,
            young_after,
            phase: Phase::Begin,
            roots: Roots::default(),
            marks: Marks::default(),
            doomed: Vec::new(),
            pardoned: HashSet::new(),
            gc: None,
            run: 0,
            work: 0,
            report: CollectReport::default(),
        }
    }

    /// Goes on, and stops after reading or writing about `limit` rows; 0 does
    /// nothing. The report is of all steps so far; it is `truncated` until
    /// everything is done.
    ///
    /// # Errors
    ///
    /// The store's failures. After one the collection has ended: begin a new
    /// one, which takes up what this one left.
    pub async fn step(&mut self, limit: u64) -> Result<CollectReport, CheckpointError> {
        let began = self.engine.env.monotonic();
        let until = self.work.saturating_add(limit);
        let done = self.go_on(until).await;
        let took = self.engine.env.monotonic().saturating_sub(began);
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.report.elapsed_ms = self.report.elapsed_ms.saturating_add(took);
        if let Err(error) = done {
            // What was being marked is not marked: there is no going on.
            self.phase = Phase::Done;
            self.report.truncated = true;
            let (what, why) = match error {
                CheckpointError::Corrupt { what, why } => (what, why),
                CheckpointError::Store(error) if error.kind() == StoreErrorKind::Corrupt => {
                    ("row".to_owned(), error.to_string())
                }
                other => return Err(other),
            };
            let reason = self.reason_for(what, why).await?;
            self.give_up(reason);
        }
        let mut report = self.report.clone();
        report.roots = self.roots.count();
        if !self.is_done() {
            report.truncated = true;
            report.reasons.push(Reason::Limit);
        }
        Ok(report)
    }

    /// Whether there is nothing left to do.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    async fn go_on(&mut self, until: u64) -> Result<(), CheckpointError> {
        while !self.is_done() && self.work < until {
            self.advance().await?;
        }
        Ok(())
    }

    /// Does the least there is to do: one read, or one commit.
    async fn advance(&mut self) -> Result<(), CheckpointError> {
        match self.phase.clone() {
            Phase::Begin => self.begin().await,
            Phase::Mark => {
                if self.mark().await? {
                    self.recall(Kind::Blob);
                }
                Ok(())
            }
            Phase::Recall(kind, scan) => self.recall_some(kind, scan).await,
            Phase::Search(kind, scan) => self.search(kind, scan).await,
            Phase::Condemn(next) => self.condemn(next).await,
            Phase::MarkAgain => {
                if self.mark().await? {
                    self.phase = Phase::Review(keys_of(self.lineage.rows(Kind::Blob)));
                }
                Ok(())
            }
            Phase::Review(scan) => self.review(scan).await,
            Phase::Delete(next) => self.delete(next).await,
            Phase::Pardon => self.pardon().await,
            Phase::End => self.end().await,
            Phase::Done => Ok(()),
        }
    }

    async fn begin(&mut self) -> Result<(), CheckpointError> {
        if let Some(gc) = self.engine.store.get(self.lineage.gc()).await? {
            self.gc = Some(gc.version);
            self.run = remove::run_of(&gc.value)?;
        }
        self.run += 1;
        self.looked_at(1);
        if self.dry_run || self.claim().await? {
            self.roots.begin(&self.lineage);
            self.phase = Phase::Mark;
        }
        Ok(())
    }

    /// Marks some more; whether everything needed is marked.
    async fn mark(&mut self) -> Result<bool, CheckpointError> {
        let store = self.engine.store.as_ref();
        let rows = if !self.marks.is_whole() {
            self.marks.look(store, &self.lineage).await?
        } else if !self.roots.is_whole() {
            let (roots, marks) = (&mut self.roots, &mut self.marks);
            roots.read(store, &self.lineage, marks).await?
        } else {
            return Ok(true);
        };
        self.looked_at(rows);
        Ok(false)
    }

    const fn looked_at(&mut self, rows: u64) {
        self.report.scanned += rows;
        self.work += rows;
    }

    /// Why something could not be read: it is damaged, or another run took
    /// it when nothing needed it any more.
    async fn reason_for(&self, what: String, why: String) -> Result<Reason, CheckpointError> {
        let gc = match self.engine.store.get(self.lineage.gc()).await {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => None,
            gc => Some(gc?.map(|gc| gc.version)),
        };
        match gc {
            Some(version) if version != self.gc => Ok(Reason::AnotherRun),
            _ => Ok(Reason::Unreadable { what, why }),
        }
    }

    /// Ends without having done everything.
    fn give_up(&mut self, reason: Reason) {
        self.report.truncated = true;
        self.report.reasons.push(reason);
        self.phase = Phase::Done;
    }
}

/// The kind of rows that comes after this one, in the order in which they are
/// searched and deleted.
const fn kind_after(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Blob => Some(Kind::List),
        Kind::List => Some(Kind::Chunk),
        Kind::Chunk => None,
    }
}

/// A scan of the keys of a range.
const fn keys_of(range: KeyRange) -> Scan {
    Scan::new(range).keys()
}

//! A wrapper that is worse than any real store, and still keeps the contract.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use windlass_store::{
    Batch, Changes, Check, Commit, Entry, Export, ExportSource, KeyRange, Page, Scan, Store,
    StoreError, StoreErrorKind, Write,
};

/// What a [`Strict`] store does to its callers. Each nuisance can be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrictOptions {
    /// Cuts every page, and every piece of an export, to its first entry.
    pub short_pages: bool,
    /// Sends no hint, ever.
    pub no_hints: bool,
    /// Fails a read, commit or export with `Unavailable` after every so many
    /// calls; 0 for never.
    ///
    /// The gaps alternate between this number and one more, so that an
    /// operation of exactly so many calls is not stopped at the same step for
    /// ever. Every eighth is eight times as long: an operation that takes fewer
    /// calls than that comes to its end in the end, also if it begins anew each
    /// time.
    pub unavailable_every: u64,
    /// Answers every so many-th commit with `Indeterminate`: by turns after
    /// the store below got it, and without the store knowing; 0 for never.
    pub indeterminate_every: u64,
    /// Refuses a batch whose keys belong to two tenants. The tenant of a key
    /// is its first segment; keys that begin with `due/` or `system/` belong
    /// to none.
    pub one_tenant: bool,
}

impl StrictOptions {
    /// Every nuisance: what tests run over by default.
    pub const ALL: Self = Self {
        short_pages: true,
        no_hints: true,
        unavailable_every: 7,
        indeterminate_every: 5,
        one_tenant: true,
    };

    /// No nuisance, to turn on single ones.
    pub const NONE: Self = Self {
        short_pages: false,
        no_hints: false,
        unavailable_every: 0,
        indeterminate_every: 0,
        one_tenant: false,
    };

    /// All nuisances but errors: for code that leaves retries to its caller.
    pub const WITHOUT_ERRORS: Self = Self {
        unavailable_every: 0,
        indeterminate_every: 0,
        ..Self::ALL
    };
}

impl Default for StrictOptions {
    fn default() -> Self {
        Self::ALL
    }
}

/// A store that makes the least of what the contract allows, so that code
/// which counts on more than is promised fails in its first test.
#[derive(Debug)]
pub struct Strict<S: ?Sized> {
    options: StrictOptions,
    calls: AtomicU64,
    commits: AtomicU64,
    inner: Arc<S>,
}

/// What happens to one commit.
enum Fate {
    Usual,
    AppliedUnknown,
    LostUnknown,
}

impl<S: Store + ?Sized> Strict<S> {
    /// Wraps a store.
    pub const fn new(inner: Arc<S>, options: StrictOptions) -> Self {
        Self {
            options,
            calls: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            inner,
        }
    }

    /// The store below, for tests that look at what is really there.
    #[must_use]
    pub const fn inner(&self) -> &Arc<S> {
        &self.inner
    }

    /// Counts a call, and fails the one whose turn it is.
    fn call(&self, operation: &'static str) -> Result<(), StoreError> {
        let every = self.options.unavailable_every;
        if every == 0 {
            return Ok(());
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if ends_gap(call, every) {
            let context = format!("call {call} is one that fails");
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                operation,
                context,
            ));
        }
        Ok(())
    }

    fn fate(&self) -> Fate {
        let every = self.options.indeterminate_every;
        if every == 0 {
            return Fate::Usual;
        }
        let commit = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        match (commit % every, (commit / every) % 2) {
            (0, 1) => Fate::AppliedUnknown,
            (0, _) => Fate::LostUnknown,
            _ => Fate::Usual,
        }
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Strict<S> {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        self.call("read")?;
        if !self.options.short_pages {
            return self.inner.read(scans).await;
        }
        // Asking for less, not cutting what came: a page may be empty only
        // where the entries given before it use up what a read may hold.
        let scans: Vec<Scan> = scans.iter().map(|scan| scan.clone().limit(1)).collect();
        self.inner.read(&scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        if self.options.one_tenant {
            ensure_one_tenant(&batch)?;
        }
        self.call("commit")?;
        match self.fate() {
            Fate::Usual => self.inner.commit(batch).await,
            Fate::AppliedUnknown => {
                let _ = self.inner.commit(batch).await?;
                Err(indeterminate())
            }
            Fate::LostUnknown => Err(indeterminate()),
        }
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        range.validate("export")?;
        self.call("export")?;
        let export = self.inner.export(range).await?;
        if !self.options.short_pages {
            return Ok(export);
        }
        Ok(Export::new(OneByOne {
            export,
            given: Vec::new().into_iter(),
        }))
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        if self.options.no_hints {
            Changes::silent()
        } else {
            self.inner.subscribe(prefix)
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// Whether `call`, counted from 1, is the last of its gap: of seven short ones
/// or of the long one after them.
const fn ends_gap(call: u64, every: u64) -> bool {
    let short = 7 * every + 3;
    let place = call % (short + 8 * every);
    let pair = place % (2 * every + 1);
    place == 0 || (place <= short && (pair == every || pair == 0))
}

fn indeterminate() -> StoreError {
    let context = "the connection broke before the answer came";
    StoreError::new(StoreErrorKind::Indeterminate, "commit", context)
}

fn ensure_one_tenant(batch: &Batch) -> Result<(), StoreError> {
    let checked = batch.checks.iter().map(|Check { key, .. }| key);
    let written = batch.writes.iter().map(Write::key);
    let mut tenants = checked.chain(written).filter_map(|key| tenant(key));
    let Some(first) = tenants.next() else {
        return Ok(());
    };
    let Some(other) = tenants.find(|tenant| *tenant != first) else {
        return Ok(());
    };
    let (first, other) = (
        String::from_utf8_lossy(first),
        String::from_utf8_lossy(other),
    );
    let context = format!("the batch touches two tenants, `{first}` and `{other}`");
    Err(StoreError::new(StoreErrorKind::Invalid, "commit", context))
}

/// The tenant a key belongs to.
fn tenant(key: &[u8]) -> Option<&[u8]> {
    let shared = key.starts_with(b"due/") || key.starts_with(b"system/");
    if shared {
        None
    } else {
        key.split(|byte| *byte == b'/').next()
    }
}

/// An export in pieces of one entry.
struct OneByOne {
    export: Export,
    given: std::vec::IntoIter<Entry>,
}

#[async_trait]
impl ExportSource for OneByOne {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        loop {
            if let Some(entry) = self.given.next() {
                return Ok(Some(vec![entry]));
            }
            match self.export.next().await? {
                Some(entries) => self.given = entries.into_iter(),
                None => return Ok(None),
            }
        }
    }
}

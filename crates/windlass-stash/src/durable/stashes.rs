//! All stashes of a store, and the handle of one.

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::Cache;
use windlass_core::{Combiner, Env, GroupId, RandomError, SessionId, TenantId};
use windlass_store::{Bookmark, Store, StoreExt};

use super::cell::Cell;
use super::engine::Engine;
use super::execution::Execution;
use super::keys::StashKeys;
use super::limits::BITE_ENTRIES;
use super::once::{Deed, Once, Remembered};
use super::options::Options;
use super::plan::{Ask, Request, Told};
use super::upkeep::ReapReport;
use crate::audit::{Asked, Audit, Ear, Outcome, Told as Heard, Verb, outcome};
use crate::config::Config;
use crate::error::{StashError, StepError};
use crate::metadata::Usage;
use crate::operations::Operations;
use crate::request::Removed;

/// The stashes of all sessions on a store.
///
/// Cloning is cheap and shares everything. Opening does no I/O: a stash is
/// read when it is first touched, and is there as soon as something is put
/// into it. It knows sessions by their ids only; whether a session exists, and
/// who may use its stash, is for the caller to decide.
#[derive(Clone)]
pub struct Stashes {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) engine: Arc<Engine>,
    cells: Cache<StashKeys, Arc<Combiner<Cell>>>,
    pub(super) ear: Ear,
    pub(super) bookmark: Bookmark,
}

impl fmt::Debug for Stashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stashes")
            .field("store", &self.inner.engine.store)
            .field("cached_stashes", &self.inner.cells.len())
            .field("audit", &self.inner.ear)
            .finish_non_exhaustive()
    }
}

impl Stashes {
    /// The stashes of `store`.
    ///
    /// # Errors
    ///
    /// [`StashError::Invalid`] for settings outside their ranges.
    pub fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        options: Options,
    ) -> Result<Self, StashError> {
        Self::build(store, env, options, Ear::default())
    }

    /// The stashes of `store`, of whose operations `audit` hears.
    ///
    /// # Errors
    ///
    /// Those of [`Stashes::new`].
    pub fn with_audit(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        options: Options,
        audit: Arc<dyn Audit>,
    ) -> Result<Self, StashError> {
        Self::build(store, env, options, Ear::new(audit))
    }

    fn build(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        options: Options,
        ear: Ear,
    ) -> Result<Self, StashError> {
        let cells = Cache::new(options.cached_stashes);
        let engine = Arc::new(Engine::new(store, env, options)?);
        let inner = Arc::new(Inner {
            engine,
            cells,
            ear,
            bookmark: Bookmark::default(),
        });
        Ok(Self { inner })
    }

    /// The settings in force for each stash.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.inner.engine.config()
    }

    /// Puts other settings in force, for what is asked from now on. Entries
    /// that are there stay, whatever they say; executions keep the number of
    /// operations they began with.
    ///
    /// # Errors
    ///
    /// [`StashError::Invalid`] if a setting cannot stand; the old ones stay
    /// in force.
    pub fn configure(&self, config: Config) -> Result<(), StashError> {
        config.check()?;
        self.inner.engine.configure(config);
        Ok(())
    }

    /// The stash of one session. Costs nothing: it is read when it is used.
    #[must_use]
    pub fn stash(&self, tenant: &TenantId, session: &SessionId) -> Stash {
        Stash {
            inner: Arc::clone(&self.inner),
            keys: StashKeys::new(tenant, session),
        }
    }

    /// Bytes of values that are kept in memory now, with what each is taken
    /// to cost beside its text. At most
    /// [`Options::cached_value_bytes`](super::Options::cached_value_bytes).
    #[must_use]
    pub fn cached_value_bytes(&self) -> u64 {
        self.inner.engine.cached_bytes()
    }

    /// Sees to what upkeep is due, of all tenants, in at most `limit` steps:
    /// removes expired entries, what interrupted puts have left behind, and
    /// stashes that are empty. Costs what has become due, not what exists.
    /// Safe to run anywhere, any time, also in several processes.
    ///
    /// What is due for other parts is passed over: at most 4,096 rows of it,
    /// or `limit` if that is more. A round that ends there says so, and the
    /// next one in this process goes on from there.
    ///
    /// # Errors
    ///
    /// The store's failures; what was done before stays done. A stash that
    /// cannot be read is reported and left alone.
    pub async fn reap_due(&self, limit: usize) -> Result<ReapReport, StashError> {
        self.inner.reap_due(limit).await
    }
}

impl Inner {
    pub(super) fn cell(&self, keys: &StashKeys) -> Result<Arc<Combiner<Cell>>, RandomError> {
        self.cells.get_or_insert_with(keys, || {
            let cell = Cell::new(Arc::clone(&self.engine), keys.clone())?;
            Ok(Arc::new(Combiner::new(Arc::new(cell))))
        })
    }

    /// Asks one stash for one change.
    pub(super) async fn ask(&self, keys: &StashKeys, request: Request) -> Result<Told, StepError> {
        let cell = self.cell(keys).map_err(whole)?;
        let answer = cell.submit(Arc::new(request)).await;
        answer.map_err(whole)?
    }

    /// Asks for a change whose longer values have to be written ahead of it.
    /// If it is refused they are taken back, and if it is foreseen that it
    /// would be they are not written at all.
    pub(super) async fn ask_ahead(
        &self,
        keys: &StashKeys,
        mut request: Request,
    ) -> Result<Told, StepError> {
        let cell = self.cell(keys).map_err(whole)?;
        if let Some(first) = cell.drive().done_before(&request).await.map_err(whole)? {
            return first;
        }
        if let Some(refusal) = cell.drive().foresee(&request).await.map_err(whole)? {
            return Err(refusal);
        }
        if let Some(parts) = &mut request.parts {
            let written = parts.write_ahead(&self.engine, keys).await;
            if let Err(error) = written {
                parts.take_back(&self.engine, keys).await;
                return Err(whole(error));
            }
        }
        let request = Arc::new(request);
        let answer = cell.submit(Arc::clone(&request)).await;
        let answer = answer.map_err(whole).flatten();
        if let (Err(_) | Ok(Told::Repeated(_)), Some(parts)) = (&answer, &request.parts) {
            parts.take_back(&self.engine, keys).await;
        }
        answer
    }

    /// Removes up to `limit` entries, a bite a commit.
    pub(super) async fn remove(
        &self,
        keys: &StashKeys,
        group: Option<&GroupId>,
        limit: Option<u64>,
        ask: fn(u64) -> Ask,
    ) -> Result<Removed, StashError> {
        let mut report = Removed::default();
        loop {
            let left = limit.map_or(u64::MAX, |limit| limit - report.removed);
            let bite = left.min(BITE_ENTRIES);
            let removed = self.remove_some(keys, group, ask(bite), None).await?;
            report.removed += removed.removed;
            report.bytes += removed.bytes;
            report.truncated = removed.truncated;
            if !removed.truncated || left == bite {
                return Ok(report);
            }
        }
    }

    /// Removes all live entries of a group, a bite a commit, under an
    /// operation id: whoever repeats it goes on where it was left, and after
    /// its end is told what it removed in all.
    async fn clear_once(
        &self,
        keys: &StashKeys,
        group: Option<&GroupId>,
        once: Once,
    ) -> Result<Removed, StashError> {
        let mut deed = Deed::clear(once, group);
        loop {
            let ask = Ask::Clear(BITE_ENTRIES);
            let so_far = self
                .remove_some(keys, group, ask, Some(deed.clone()))
                .await?;
            if !so_far.truncated {
                return Ok(so_far);
            }
            let entry = self.engine.store.get(deed.key(keys)).await?;
            deed.so_far = match entry {
                Some(entry) => match deed.first(&entry.value)? {
                    Remembered::Removed(removed) => Some((entry.version, removed)),
                    Remembered::Step(_) => None,
                },
                None => None,
            };
        }
    }

    async fn remove_some(
        &self,
        keys: &StashKeys,
        group: Option<&GroupId>,
        ask: Ask,
        deed: Option<Deed>,
    ) -> Result<Removed, StashError> {
        let request = Request {
            deed,
            ..Request::plain(group.cloned(), ask)
        };
        match self.ask(keys, request).await {
            Ok(Told::Removed(removed)) => Ok(removed),
            Ok(Told::Answers(_) | Told::Repeated(_)) => Ok(Removed::default()),
            Err(refusal) => Err(refusal.error),
        }
    }
}

/// An error that is none of a single operation.
pub(super) fn whole(error: impl Into<StashError>) -> StepError {
    StepError {
        position: 0,
        error: error.into(),
    }
}

/// The stash of one session on a store.
///
/// What is done in it is done through an [`Execution`], which says in which
/// group.
#[derive(Clone)]
pub struct Stash {
    pub(super) inner: Arc<Inner>,
    pub(super) keys: StashKeys,
}

impl fmt::Debug for Stash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stash")
            .field("tenant", &self.keys.tenant)
            .field("session", &self.keys.session)
            .finish_non_exhaustive()
    }
}

impl Stash {
    /// Begins an execution in a group, or in none.
    #[must_use]
    pub fn execution(&self, group: Option<GroupId>) -> Execution {
        let operations = Operations::new(self.inner.engine.config().operations_max);
        Execution::new(self.clone(), group, operations)
    }

    /// The figures at this moment. One read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if rows of the stash are damaged or missing, and the store's
    /// failures.
    pub async fn usage(&self) -> Result<Usage, StashError> {
        let cell = self.inner.cell(&self.keys)?;
        let usage = cell.drive().look(|state, now| state.index.usage(now));
        usage.await
    }

    /// Takes back the space of expired entries, of all or of at most `limit`,
    /// the first to expire first; a commit for each 256. They are invisible
    /// before, and their space is taken back without this when it is needed.
    ///
    /// # Errors
    ///
    /// The store's failures; what was removed before stays removed.
    pub async fn reap_expired(&self, limit: Option<u64>) -> Result<Removed, StashError> {
        let started = self.inner.ear.start(&*self.inner.engine.env);
        let reaped = self.inner.remove(&self.keys, None, limit, Ask::Reap).await;
        self.tell(None, started, Verb::Reap, &reaped);
        reaped
    }

    /// Deletes all live entries of a group, or all public ones: 256 of them in
    /// one atomic step, more in several.
    ///
    /// # Errors
    ///
    /// The store's failures; what was removed before stays removed.
    pub async fn clear(&self, group: Option<&GroupId>) -> Result<Removed, StashError> {
        let started = self.inner.ear.start(&*self.inner.engine.env);
        let cleared = self.inner.remove(&self.keys, group, None, Ask::Clear).await;
        self.tell(group, started, Verb::Clear, &cleared);
        cleared
    }

    /// As [`Stash::clear`], under an operation id. One that was interrupted
    /// between two commits goes on when it is repeated, and the answer counts
    /// what all of them removed.
    ///
    /// # Errors
    ///
    /// `OperationConflict`, `TooManyOperations`, and the store's failures.
    pub async fn clear_once(
        &self,
        group: Option<&GroupId>,
        once: Once,
    ) -> Result<Removed, StashError> {
        let started = self.inner.ear.start(&*self.inner.engine.env);
        let cleared = self.inner.clear_once(&self.keys, group, once).await;
        self.tell(group, started, Verb::Clear, &cleared);
        cleared
    }

    /// What is asked of this stash by a group.
    pub(super) const fn asked<'a>(&'a self, group: Option<&'a GroupId>) -> Asked<'a> {
        Asked {
            of: Some((&self.keys.tenant, &self.keys.session)),
            group,
        }
    }

    fn tell(
        &self,
        group: Option<&GroupId>,
        started: crate::audit::Started,
        verb: Verb,
        removed: &Result<Removed, StashError>,
    ) {
        let env = &*self.inner.engine.env;
        self.inner
            .ear
            .tell_of(env, self.asked(group), started, || Heard {
                verb,
                key: None,
                size: removed.as_ref().ok().map(|removed| removed.bytes),
                outcome: match outcome(removed, |_| true) {
                    Outcome::Absent => Outcome::Done,
                    outcome => outcome,
                },
            });
    }
}

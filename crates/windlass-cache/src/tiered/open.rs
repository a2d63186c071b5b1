//! The beginning and the end of a cache of two tiers.
//!
//! A store may acknowledge what the disk has not yet: a machine that loses
//! its power then loses the latest commits, a flush perhaps among them. So
//! each opening writes which start of the machine it is in, and that the
//! cache is not closed. Whoever finds it so, in another start of the machine,
//! raises the generations of all namespaces: nothing that was there is seen
//! again.

use std::collections::HashMap;
use std::sync::Arc;

use windlass_core::{Combiner, Env, Format};
use windlass_store::{Batch, Commit, Expect, Scan, Store, StoreError, StoreErrorKind};

use super::action::Action;
use super::cache::TieredCache;
use super::desk::{Desk, State, load_state};
use super::keys;
use super::learn::Build;
use super::options::Options;
use super::record::{EndedRow, Head, SpaceRow, decode, encode};
use super::shared::Shared;
use crate::cache::MemoryCache;
use crate::error::{CacheError, Problem};
use crate::limits::{BOOT_BYTES_MAX, ROUNDS_MAX, STEP_ROWS};
use crate::names::Namespace;

impl TieredCache {
    /// Opens the cache that a store holds, or begins one in an empty store.
    /// `boot` names the start of the machine, as `/proc/sys/kernel/random/boot_id`
    /// does on Linux; an empty text for an unknown one, which is then never
    /// the same as any other.
    ///
    /// Costs one commit and reads the namespaces, not the entries: filters of
    /// names are made by the changes and sweeps that follow.
    ///
    /// # Errors
    ///
    /// [`CacheError::Invalid`] if a setting cannot stand or `boot` is longer
    /// than 128 bytes; those of the store.
    pub async fn open(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        options: Options,
        boot: &str,
    ) -> Result<Self, CacheError> {
        options.check()?;
        if boot.len() > BOOT_BYTES_MAX {
            let problem = Problem::length(boot.len(), BOOT_BYTES_MAX);
            return Err(CacheError::invalid("boot", problem));
        }
        let first = MemoryCache::new(env, options.first.clone())?;
        let looking = Shared::new(Arc::clone(&store), first.clone(), options.clone(), 0);
        let state = begin(&looking, boot).await?;
        let spaces = &first.inner.spaces;
        spaces.resume(state.head.generation);
        let mut builds = Vec::new();
        for (namespace, row) in &state.spaces {
            let era = spaces.restore(namespace, row.generation);
            era.below.set(row.entries, row.dependents);
            if row.entries > 0 {
                era.below.forget_names();
                builds.push(Build::new(&era));
            }
        }
        let shared = Shared::new(store, first, options, state.head.incarnation);
        shared.counters.entries.set(state.head.entries);
        shared.counters.bytes.set(state.head.bytes);
        let shared = Arc::new(shared);
        let desk = Desk::new(Arc::clone(&shared), state, builds);
        let desk = Arc::new(Combiner::new(Arc::new(desk)));
        Ok(Self { shared, desk })
    }

    /// Writes when entries were last used, marks the cache as closed, and
    /// closes the store. Every later call fails, except this one, which
    /// succeeds again.
    ///
    /// # Errors
    ///
    /// Those of the store: it can be repeated.
    pub async fn close(&self) -> Result<(), CacheError> {
        self.shared.end();
        if self.shared.is_done() {
            return Ok(());
        }
        self.shared.note_uses_above();
        for uses in self.shared.uses.all().chunks(STEP_ROWS) {
            self.ask(Action::Write(uses.to_vec())).await?;
        }
        self.ask(Action::Close).await?;
        self.shared.store.close().await?;
        self.shared.note_done();
        Ok(())
    }
}

impl TieredCache {
    /// The store below it, for copies. What is written there behind its back
    /// breaks it.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Notes in a copy of a store, in which no cache is open, that what is
    /// there is whole: a copy that was made at one moment is as good as a cache
    /// that was closed then, in whatever start of the machine. Without it the
    /// next start finds it empty. Does nothing to a store without a cache.
    ///
    /// # Errors
    ///
    /// Those of the store, and [`CacheError::Taken`] if somebody opened the
    /// cache meanwhile.
    pub async fn settle_copy(store: &dyn Store) -> Result<(), CacheError> {
        let pages = store.read(&[Scan::point(keys::head())]).await?;
        let row = pages
            .into_iter()
            .next()
            .and_then(|mut page| page.entries.pop());
        let Some(row) = row else { return Ok(()) };
        let mut head: Head = decode("head", &row.value)?;
        head.rev += 1;
        head.closed = true;
        let batch = Batch::new().check(keys::head(), Expect::Version(row.version));
        match store.commit(batch.put(keys::head(), encode(&head))).await? {
            Commit::Applied(_) => Ok(()),
            Commit::Conflict { .. } => Err(CacheError::Taken),
        }
    }
}

/// Notes the opening in the store, and gives what the store holds then.
async fn begin(looking: &Shared, boot: &str) -> Result<State, CacheError> {
    let mut last = None;
    for _ in 0..ROUNDS_MAX {
        let old = load_state(looking).await?;
        let (batch, head, spaces) = plan(old.as_ref(), boot);
        match looking.store.commit(batch).await {
            Ok(Commit::Applied(version)) => {
                return Ok(State {
                    head,
                    version,
                    spaces,
                });
            }
            Ok(Commit::Conflict { .. }) => {
                let taken = "somebody else opened the cache at the same time";
                last = Some(StoreError::new(StoreErrorKind::Unavailable, "open", taken));
            }
            // If it was applied it is done once more, which changes nothing.
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(last.expect("there was a round").into())
}

type Spaces = HashMap<Namespace, SpaceRow>;

/// What an opening makes of the store.
fn plan(old: Option<&State>, boot: &str) -> (Batch, Head, Spaces) {
    let Some(old) = old else {
        let head = Head::first(boot);
        let batch = Batch::new().check(keys::head(), Expect::Absent);
        let batch = batch.put(keys::head(), encode(&head));
        return (batch, head, Spaces::new());
    };
    let mut head = old.head.clone();
    let same_boot = !boot.is_empty() && head.boot == boot;
    let raise = !head.closed && !same_boot;
    let mut batch = Batch::new().check(keys::head(), Expect::Version(old.version));
    let mut spaces = old.spaces.clone();
    if raise {
        for (namespace, row) in &mut spaces {
            if row.entries > 0 {
                let namespace = namespace.clone();
                let ended = EndedRow {
                    v: Format,
                    namespace,
                };
                batch = batch.put(keys::ended(row.generation), encode(&ended));
            }
            head.generation += 1;
            *row = SpaceRow::at(head.generation);
            batch = batch.put(keys::space(namespace), encode(row));
        }
    }
    head.rev += 1;
    head.incarnation += 1;
    boot.clone_into(&mut head.boot);
    head.closed = false;
    batch = batch.put(keys::head(), encode(&head));
    (batch, head, spaces)
}

impl Head {
    fn first(boot: &str) -> Self {
        Self {
            incarnation: 1,
            boot: boot.to_owned(),
            ..Self::unknown()
        }
    }
}

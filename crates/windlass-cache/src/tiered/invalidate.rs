//! Making entries invisible before their time, in both tiers.
//!
//! Whatever was put before an invalidation began is gone, durably, when it
//! returns; a read that starts then finds what was put since, or nothing.
//! Entries go a few at a time, so that others get their turn. If the store
//! fails in the middle, some are gone, and the invalidation is to be repeated.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::action::{Action, Answer, Taken, What};
use super::cache::TieredCache;
use crate::error::CacheError;
use crate::found::{Flush, Invalidated};
use crate::names::{Key, Namespace, Tag, check_prefix};
use crate::spaces::Era;

impl TieredCache {
    /// Invalidates an entry, and all that depend on its key, held or not.
    ///
    /// # Errors
    ///
    /// Those of the store: then it is to be repeated.
    pub async fn invalidate(
        &self,
        namespace: &Namespace,
        key: &Key,
    ) -> Result<Invalidated, CacheError> {
        self.run(namespace, vec![What::Key(key.clone())]).await
    }

    /// Invalidates all entries whose keys begin with `prefix`, and all that
    /// depend on them. Costs what it takes.
    ///
    /// # Errors
    ///
    /// [`CacheError::Invalid`] if no key can begin so; those of the store:
    /// then it is to be repeated.
    pub async fn invalidate_prefix(
        &self,
        namespace: &Namespace,
        prefix: &str,
    ) -> Result<Invalidated, CacheError> {
        check_prefix(prefix)?;
        let what = What::Prefix(prefix.to_owned(), Bytes::new());
        self.run(namespace, vec![what]).await
    }

    /// Invalidates all entries that have one of these tags, and all that
    /// depend on them.
    ///
    /// # Errors
    ///
    /// Those of the store: then it is to be repeated.
    pub async fn invalidate_tags(
        &self,
        namespace: &Namespace,
        tags: &[Tag],
    ) -> Result<Invalidated, CacheError> {
        let tags = tags.iter().cloned().map(What::Tag);
        self.run(namespace, tags.collect()).await
    }

    /// Invalidates all entries that depend on one of these keys, directly or
    /// through others; not the entries of the keys themselves.
    ///
    /// # Errors
    ///
    /// Those of the store: then it is to be repeated.
    pub async fn invalidate_dependents(
        &self,
        namespace: &Namespace,
        keys: &[Key],
    ) -> Result<Invalidated, CacheError> {
        let keys = keys.iter().cloned().map(What::Of);
        self.run(namespace, keys.collect()).await
    }

    /// Invalidates a whole namespace: one commit, whatever is in it. Every
    /// read that starts after the first poll of this sees it; once it returns
    /// it is durable. The space is taken back by
    /// [`TieredCache::sweep_expired`] and where room is needed. A namespace
    /// that holds nothing stays as it is, and one that is unknown takes no
    /// slot.
    ///
    /// # Errors
    ///
    /// Those of the store: the namespace is flushed for this process, and
    /// durably with the next change that is acknowledged.
    pub async fn flush_namespace(&self, namespace: &Namespace) -> Result<Flush, CacheError> {
        self.shared.ensure_open()?;
        let (before, after) = self.shared.first.inner.spaces.flush(namespace);
        if before != after {
            self.shared.counters.flushes.add(1);
        }
        // Also where nothing changed: an earlier flush may not be durable.
        self.ask(Action::Settle).await?;
        Ok(Flush { before, after })
    }

    async fn run(&self, namespace: &Namespace, what: Vec<What>) -> Result<Invalidated, CacheError> {
        self.shared.ensure_open()?;
        let Some(era) = self.shared.first.inner.spaces.find(namespace) else {
            return Ok(Invalidated::default());
        };
        let mut round = Round {
            cache: self,
            era,
            last: None,
            seen: HashSet::new(),
            left: what,
            taken: Invalidated::default(),
        };
        while let Some(what) = round.left.pop() {
            round.take(what).await?;
        }
        Ok(round.taken)
    }
}

/// One invalidation.
struct Round<'a> {
    cache: &'a TieredCache,
    era: Arc<Era>,
    /// The stamp of the last put that is its concern, once the first step had
    /// its turn behind all that was asked before, whoever still listens.
    last: Option<u64>,
    /// Keys whose dependents were looked for, or will be.
    seen: HashSet<Key>,
    left: Vec<What>,
    taken: Invalidated,
}

impl Round<'_> {
    async fn take(&mut self, what: What) -> Result<(), CacheError> {
        if let What::Of(key) = &what {
            self.seen.insert(key.clone());
        }
        let (era, last) = (Arc::clone(&self.era), self.last);
        let asked = what.clone();
        let take = Action::Take { era, what, last };
        let Answer::Taken(taken) = self.cache.ask(take).await? else {
            return Ok(());
        };
        self.last = Some(taken.last);
        // Only now is it known whether anything depends on it.
        if let What::Key(key) = &asked {
            self.follow(key);
        }
        self.note(taken, asked);
        Ok(())
    }

    fn note(&mut self, taken: Taken, asked: What) {
        self.taken.entries += taken.entries;
        self.taken.bytes += taken.bytes;
        if let Some(next) = taken.next {
            self.left.push(match asked {
                What::Prefix(prefix, _) => What::Prefix(prefix, next),
                other => other,
            });
        }
        for key in &taken.keys {
            self.follow(key);
        }
    }

    /// Notes to take what depends on a key. Circles end where they began.
    fn follow(&mut self, key: &Key) {
        if self.era.below.has_dependents() && self.seen.insert(key.clone()) {
            self.left.push(What::Of(key.clone()));
        }
    }
}

//! Filters of names are made and made anew by looking at all names of an era,
//! a thousand at a time, between the changes.
//!
//! A filter that is being made has exactly the names up to the last one
//! looked at: what changes before that is changed in it too, what changes
//! behind it is looked at later. Both happen in runs, one after the other.

use std::sync::Arc;

use bytes::Bytes;
use windlass_store::Scan;

use super::desk::Run;
use super::draft::Effect;
use super::filter::Filter;
use super::keys;
use super::shared::hash;
use crate::error::CacheError;
use crate::limits::STEP_NAMES;
use crate::names::Key;
use crate::spaces::Era;

/// A filter that is being made.
#[derive(Debug)]
pub(super) struct Build {
    era: Arc<Era>,
    filter: Arc<Filter>,
    /// The last row that was looked at.
    after: Option<Bytes>,
}

impl Build {
    /// One for twice as many names as there are.
    pub(super) fn new(era: &Arc<Era>) -> Self {
        let names = era.below.entries().saturating_mul(2);
        Self {
            era: Arc::clone(era),
            filter: Arc::new(Filter::for_names(names)),
            after: None,
        }
    }

    /// Whether it is for this era.
    pub(super) fn is_of(&self, era: &Arc<Era>) -> bool {
        Arc::ptr_eq(era, &self.era)
    }

    /// Adds a name, or takes it out, if it was looked at before.
    pub(super) fn change(&self, era: &Arc<Era>, key: &Key, hash: u64, comes: bool) {
        let Some(after) = self.after.as_ref().filter(|_| self.is_of(era)) else {
            return;
        };
        if keys::entry(era.generation, key.as_str()) > *after {
            return;
        }
        if comes {
            self.filter.add(hash);
        } else {
            self.filter.remove(hash);
        }
    }
}

impl Run {
    /// Puts the names that the draft adds into their filters, or takes them
    /// out again.
    pub(super) fn filter_names(&self, comes: bool) {
        for effect in &self.draft.effects {
            let Effect::Put { entry, replaced } = effect else {
                continue;
            };
            if *replaced {
                continue;
            }
            let (era, key) = (&entry.era, &entry.place.key);
            let hash = hash(era, key);
            if let Some(filter) = era.below.filter() {
                let filter = if filter.names_max() == 0 {
                    let first = Arc::new(Filter::for_names(0));
                    era.below.know(Arc::clone(&first));
                    first
                } else {
                    filter
                };
                if comes {
                    filter.add(hash);
                } else {
                    filter.remove(hash);
                }
            }
            for build in &self.builds {
                build.change(era, key, hash, comes);
            }
        }
    }

    /// Begins larger filters where more names came than one was made for.
    pub(super) fn grow_filters(&mut self) {
        for era in self.shared.first.inner.spaces.eras() {
            let names = era.below.entries();
            let small = era.below.filter();
            let small = small.is_some_and(|filter| names > filter.names_max().max(1));
            if small && !self.builds.iter().any(|build| build.is_of(&era)) {
                self.builds.push(Build::new(&era));
            }
        }
    }

    /// Looks at a few names, if there are any to be looked at. Nobody waits
    /// for what comes of it.
    pub(super) async fn learn_some(&mut self) {
        if !self.builds.is_empty() {
            let _ = self.learn().await;
        }
    }

    /// Looks at a few names for the first filter that is being made; whether
    /// there is more to do.
    pub(super) async fn learn(&mut self) -> Result<bool, CacheError> {
        self.builds.retain(|build| build.era.is_live());
        let Some(build) = self.builds.first_mut() else {
            return Ok(false);
        };
        let generation = build.era.generation;
        let mut scan = Scan::new(keys::entries(generation)).keys();
        if let Some(after) = &build.after {
            scan = scan.after(after);
        }
        let [page] = self.shared.read([scan.limit(STEP_NAMES)]).await?;
        for entry in &page.entries {
            if let Some(key) = keys::entry_of(generation, &entry.key) {
                build.filter.add(hash(&build.era, &key));
            }
        }
        if let Some(last) = page.entries.last() {
            build.after = Some(last.key.clone());
        }
        if !page.more {
            build.era.below.know(Arc::clone(&build.filter));
            self.builds.remove(0);
        }
        Ok(!self.builds.is_empty())
    }
}

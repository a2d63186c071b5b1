//! Records that the desk wrote or read last, without their blobs: a put that
//! replaces one of them need not read it, and with it the blob that goes.
//!
//! Nobody else writes to the store, so a record that is remembered is the one
//! that is stored, as long as what is known of each commit is brought here
//! once that was acknowledged, and everything is forgotten where one was not.

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::unsync::Cache;

use super::draft::Known;
use super::record::Kept;
use crate::limits::{HEAD_TEXTS_MAX, HEADS_MAX};
use crate::metadata::Metadata;
use crate::names::Key;

/// By generation and key.
#[derive(Debug)]
pub(super) struct Heads {
    of: Cache<(u64, Key), Known>,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            of: Cache::new(HEADS_MAX),
        }
    }
}

impl Heads {
    /// The record of a key, if it is remembered; without its blob, so that it
    /// can be replaced and not be written again.
    pub(super) fn get(&self, name: &(u64, Key)) -> Option<Known> {
        self.of.get(name).cloned()
    }

    /// Whether the record of a key is remembered.
    pub(super) fn has(&self, name: &(u64, Key)) -> bool {
        self.of.contains_key(name)
    }

    /// Takes up what is known once all of it is stored.
    pub(super) fn learn(&mut self, known: HashMap<(u64, Key), Known>) {
        for (name, known) in known {
            match known {
                Known::Kept(kept) if is_small(&kept) => {
                    let mut kept = Arc::unwrap_or_clone(kept);
                    kept.blob = None;
                    kept.record.metadata = Metadata::default();
                    self.of.insert(name, Known::Kept(Arc::new(kept)));
                }
                _ => drop(self.of.remove(&name)),
            }
        }
    }

    /// Forgets all of it.
    pub(super) fn forget(&mut self) {
        self.of.clear();
    }
}

/// Whether a record is worth its memory.
fn is_small(kept: &Kept) -> bool {
    kept.record.tags.len() + kept.record.depends_on.len() <= HEAD_TEXTS_MAX
}

//! Marking: which rows a lineage still needs.

use std::collections::HashSet;

use bytes::Bytes;
use windlass_store::Store;

use super::limits::{MANIFESTS_AT_ONCE, READ_AT_ONCE};
use crate::blob::{
    BlobId, Kind, LineageKeys, Name, children_of_row, fetch, has_one_row, read_many,
};
use crate::error::CheckpointError;
use crate::manifest::Manifest;
use crate::record::Points;

/// What is known to be needed, and what still has to be looked into. Rows of
/// one name always need the same rows, so each is looked into once.
#[derive(Debug, Default)]
pub(super) struct Marks {
    needed: HashSet<Name>,
    /// Rows that may list others.
    lists: Vec<Name>,
    manifests: Vec<BlobId>,
    /// Manifests that were looked into, or will be.
    known_manifests: HashSet<BlobId>,
}

impl Marks {
    pub(super) fn has(&self, name: Name) -> bool {
        self.needed.contains(&name)
    }

    /// Whether all that is needed was looked into.
    pub(super) const fn is_whole(&self) -> bool {
        self.lists.is_empty() && self.manifests.is_empty()
    }

    /// Needs a content of unknown size.
    pub(super) fn need(&mut self, id: BlobId) {
        let name = Name::blob(id);
        if self.needed.insert(name) {
            self.lists.push(name);
        }
    }

    /// Needs a content whose size says whether it is one row.
    fn need_sized(&mut self, id: BlobId, size: u64) {
        if has_one_row(size) {
            self.needed.insert(Name::blob(id));
        } else {
            self.need(id);
        }
    }

    /// Needs what a row lists, but not the row.
    pub(super) fn need_children(
        &mut self,
        name: Name,
        value: &Bytes,
    ) -> Result<(), CheckpointError> {
        for child in children_of_row(name, value)? {
            if self.needed.insert(child.name) && child.name.kind == Kind::List {
                self.lists.push(child.name);
            }
        }
        Ok(())
    }

    /// Needs what a revision points at.
    pub(super) fn need_points(&mut self, points: &Points) {
        if let Some(hidden) = points.hidden {
            self.need(hidden);
        }
        if let Some(manifest) = points.manifest
            && self.known_manifests.insert(manifest)
        {
            self.manifests.push(manifest);
        }
    }

    /// Looks into a few of what is left; how many rows that read.
    pub(super) async fn look(
        &mut self,
        store: &dyn Store,
        lineage: &LineageKeys,
    ) -> Result<u64, CheckpointError> {
        if self.manifests.is_empty() {
            self.look_into_lists(store, lineage).await
        } else {
            self.look_into_manifests(store, lineage).await
        }
    }

    async fn look_into_lists(
        &mut self,
        store: &dyn Store,
        lineage: &LineageKeys,
    ) -> Result<u64, CheckpointError> {
        let few = self.lists.len().saturating_sub(READ_AT_ONCE);
        let few = self.lists.split_off(few);
        let keys: Vec<Bytes> = few.iter().map(|name| lineage.row(*name)).collect();
        let found = fetch(store, &keys).await?;
        for (name, entry) in few.iter().zip(found) {
            let entry = entry.ok_or_else(|| missing(&name.to_string()))?;
            self.need_children(*name, &entry.value)?;
        }
        Ok(count(few.len()))
    }

    async fn look_into_manifests(
        &mut self,
        store: &dyn Store,
        lineage: &LineageKeys,
    ) -> Result<u64, CheckpointError> {
        let few = self.manifests.len().saturating_sub(MANIFESTS_AT_ONCE);
        let few = self.manifests.split_off(few);
        let contents = read_many(store, lineage, &few).await?;
        for (id, content) in few.iter().zip(contents) {
            let content = content.ok_or_else(|| missing(&format!("manifest {id}")))?;
            self.need_sized(*id, count(content.len()));
            for part in Manifest::decode(*id, &content)?.parts.values() {
                self.need_sized(part.blob, part.size);
            }
        }
        Ok(count(few.len()))
    }
}

fn missing(what: &str) -> CheckpointError {
    CheckpointError::corrupt(what, "it is missing")
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

//! What all drivers of this part share: the store, the environment, the
//! settings, and how a state is loaded.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Env, TenantId, back_off};
use windlass_store::{Scan, Store, StoreExt, Version};

use crate::blob::{self, BlobId, Compression, LineageKeys, Profile};
use crate::config::Config;
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::limits::ROUNDS_MAX;
use crate::manifest::Manifest;
use crate::ranges::Ranges;
use crate::record::{self, Head};
use crate::row::Effort;
use crate::upkeep::Bookmarks;

/// The surroundings of every driver.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) config: Config,
    pub(crate) bookmarks: Bookmarks,
}

/// A session's state as it was at one point in time.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    pub(crate) version: Version,
    pub(crate) manifest: Arc<Manifest>,
    /// The nodes that are not in the graph.
    pub(crate) hidden: Arc<Ranges>,
}

impl Engine {
    /// From how many bytes on records are compressed.
    pub(crate) fn row_threshold(&self) -> Option<usize> {
        let bytes_min = self.config.compression.bytes_min?;
        Some(usize::try_from(bytes_min).unwrap_or(usize::MAX))
    }

    /// How hard upkeep tries to make rows smaller: where space is what counts,
    /// as hard as it can.
    pub(crate) fn upkeep_effort(&self) -> Effort {
        let compact = Compression::from(Profile::Compact);
        if self.config.compression.level >= compact.level {
            Effort::Hard
        } else {
            Effort::Quick
        }
    }

    /// The head of a session and its version, removed or not.
    pub(crate) async fn head(
        &self,
        keys: &StateKeys,
    ) -> Result<Option<(Head, Version)>, CheckpointError> {
        match self.store.get(keys.head()).await? {
            Some(entry) => Ok(Some((record::head(&entry.value)?, entry.version))),
            None => Ok(None),
        }
    }

    /// The head of a session that is there for callers.
    pub(crate) async fn live_head(
        &self,
        keys: &StateKeys,
    ) -> Result<Option<Head>, CheckpointError> {
        let found = self.head(keys).await?.map(|(head, _)| head);
        Ok(found.filter(|head| head.removed.is_none()))
    }

    /// The whole state of a session, without its contents.
    pub(crate) async fn load(&self, keys: &StateKeys) -> Result<Option<Loaded>, CheckpointError> {
        let Some((head, version)) = self.head(keys).await? else {
            return Ok(None);
        };
        let lineage = lineage_keys(&keys.tenant, &head.lineage);
        let manifest = self.manifest(&lineage, head.points.manifest).await?;
        let hidden = self.hidden(&lineage, head.points.hidden).await?;
        Ok(Some(Loaded {
            head,
            version,
            manifest: Arc::new(manifest),
            hidden: Arc::new(hidden),
        }))
    }

    /// What is loaded already, as far as `head` still points at it.
    pub(crate) async fn load_beside(
        &self,
        keys: &StateKeys,
        known: Option<&Loaded>,
    ) -> Result<Option<Loaded>, CheckpointError> {
        let Some(known) = known else {
            return self.load(keys).await;
        };
        let Some((head, version)) = self.head(keys).await? else {
            return Ok(None);
        };
        let lineage = lineage_keys(&keys.tenant, &head.lineage);
        let same = known.head.lineage == head.lineage;
        let manifest = if same && known.head.points.manifest == head.points.manifest {
            Arc::clone(&known.manifest)
        } else {
            Arc::new(self.manifest(&lineage, head.points.manifest).await?)
        };
        let hidden = if same && known.head.points.hidden == head.points.hidden {
            Arc::clone(&known.hidden)
        } else {
            Arc::new(self.hidden(&lineage, head.points.hidden).await?)
        };
        Ok(Some(Loaded {
            head,
            version,
            manifest,
            hidden,
        }))
    }

    pub(crate) async fn manifest(
        &self,
        lineage: &LineageKeys,
        id: Option<BlobId>,
    ) -> Result<Manifest, CheckpointError> {
        let Some(id) = id else {
            return Ok(Manifest::default());
        };
        let content = self.blob(lineage, id, "manifest").await?;
        Manifest::decode(id, &content)
    }

    pub(crate) async fn hidden(
        &self,
        lineage: &LineageKeys,
        id: Option<BlobId>,
    ) -> Result<Ranges, CheckpointError> {
        let Some(id) = id else {
            return Ok(Ranges::default());
        };
        let what = "list of hidden nodes";
        let content = self.blob(lineage, id, what).await?;
        record::parse(&format!("{what} {id}"), &content)
    }

    /// A blob that a record names, which has to be there.
    pub(crate) async fn blob(
        &self,
        lineage: &LineageKeys,
        id: BlobId,
        what: &str,
    ) -> Result<Bytes, CheckpointError> {
        let found = blob::read(self.store.as_ref(), lineage, id).await?;
        found.ok_or_else(|| CheckpointError::corrupt(format!("{what} {id}"), "it is missing"))
    }

    /// Everything in the pages of one scan, however many reads it takes.
    pub(crate) async fn all_of(
        &self,
        mut scan: Scan,
    ) -> Result<Vec<windlass_store::Entry>, CheckpointError> {
        let mut all = Vec::new();
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            let last = page.entries.last().map(|entry| entry.key.clone());
            all.extend(page.entries);
            match last {
                Some(last) if page.more => scan = scan.after(&last),
                _ => return Ok(all),
            }
        }
    }

    /// Waits a random while after lost races, longer after more of them, and
    /// gives up after too many.
    pub(crate) async fn back_off(&self, lost: u32) -> Result<(), CheckpointError> {
        if lost >= ROUNDS_MAX {
            return Err(CheckpointError::Busy);
        }
        Ok(back_off(self.env.as_ref(), lost).await?)
    }
}

pub(crate) fn lineage_keys(tenant: &TenantId, lineage: &str) -> LineageKeys {
    LineageKeys::new(tenant, lineage)
}

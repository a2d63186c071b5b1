//! Backups as an engine makes them.

use std::path::Path;

use windlass_cache::TieredCache;
use windlass_core::audit::Subject;
use windlass_core::{Act, Coded, Sharing};

use super::{
    Backup, BackupError, BackupStatus, Made, Observe, Restored, Slot, Source, create, record,
};
use crate::opening::{Terms, open_store};
use crate::transfer::{MOVE_TIME_MAX, TransferError};
use crate::{StoreLocation, Windlass};

impl Windlass {
    /// Makes a backup of everything that is stored, and notes in the store that
    /// it did, or how it failed; see [`create`]. A large store needs more time
    /// than it gives an export by itself:
    /// [`Options::export_time_max`](crate::Options::export_time_max).
    ///
    /// # Errors
    ///
    /// Those of [`create`]; [`BackupError::NoCache`]; and [`BackupError::Note`]
    /// if there is a backup that the store could not be told of.
    pub async fn back_up(&self, asked: &Backup, observe: Observe<'_>) -> Result<Made, BackupError> {
        let store = self.store().as_ref();
        let sources = self.backup_sources(asked)?;
        let made = create(&sources, asked, self.env().as_ref(), observe).await;
        self.tell_of_backup(&made);
        match &made {
            Ok(made) => record::note_made(store, made).await?,
            // What matters is why there is no backup, not that it was not noted.
            Err(error) => {
                let _ = record::note_failed(store, self.env().now(), error.code()).await;
            }
        }
        made
    }

    /// The stores of this engine that a backup has: the one place that says so.
    fn backup_sources(&self, asked: &Backup) -> Result<Vec<Source<'_>>, BackupError> {
        let mut sources = vec![Source {
            slot: Slot::Main,
            store: self.store().as_ref(),
        }];
        if asked.cache {
            sources.push(Source {
                slot: Slot::Cache,
                store: self.cache().ok_or(BackupError::NoCache)?.store().as_ref(),
            });
        }
        Ok(sources)
    }

    fn tell_of_backup(&self, made: &Result<Made, BackupError>) {
        let name = made.as_ref().map_or("", |made| &made.manifest.name);
        let on: [Subject<'_>; 1] = [("backup", &name)];
        let entries = made.as_ref().map_or(0, |made| made.manifest.entries());
        let figures = [("entries", entries)];
        let act = Act::new("store.backed_up", None, None, &on);
        let figures = &figures;
        self.ear().tell(made, &Act { figures, ..act });
    }

    /// What the store remembers of its last backup.
    ///
    /// # Errors
    ///
    /// [`BackupError::Note`], [`BackupError::NoteDamaged`].
    pub async fn backup_status(&self) -> Result<BackupStatus, BackupError> {
        record::read(self.store().as_ref()).await
    }

    /// Opens a new store, or one that an interrupted restore has left, brings
    /// everything in the backup at `path` into it, and closes it; see
    /// [`restore`](super::restore). Where the kind of store allows it, no other process can
    /// open it meanwhile.
    ///
    /// # Errors
    ///
    /// [`TransferError::Open`] within [`BackupError::Transfer`], and those of
    /// [`restore`](super::restore).
    pub async fn restore_from(
        location: &StoreLocation,
        path: &Path,
        observe: Observe<'_>,
    ) -> Result<Restored, BackupError> {
        restore_into(location, path, Slot::Main, observe).await
    }

    /// The same of the copy of a cache, into a new store for a cache. It has
    /// what the cache had when the backup was made, so what was invalidated
    /// since is there again.
    ///
    /// # Errors
    ///
    /// Those of [`Windlass::restore_from`]; `NoSlot` if the backup has no copy
    /// of a cache.
    pub async fn restore_cache_from(
        location: &StoreLocation,
        path: &Path,
        observe: Observe<'_>,
    ) -> Result<Restored, BackupError> {
        restore_into(location, path, Slot::Cache, observe).await
    }
}

async fn restore_into(
    location: &StoreLocation,
    path: &Path,
    slot: Slot,
    observe: Observe<'_>,
) -> Result<Restored, BackupError> {
    // No store is made for what is no whole backup.
    let backup = super::restoring::Opened::verified(path, slot, observe)?;
    let sharing = match location {
        StoreLocation::Postgres(_) => Sharing::Shared,
        _ => Sharing::Exclusive,
    };
    let terms = Terms {
        sharing,
        export_time_max: Some(MOVE_TIME_MAX),
        uses: crate::opening::Uses::Everything,
    };
    let opened = open_store(location, terms).await;
    let store = opened.map_err(TransferError::Open)?.store;
    let mut restored = backup.bring_into(store.as_ref(), observe).await;
    if slot == Slot::Cache && restored.is_ok() {
        let settled = TieredCache::settle_copy(store.as_ref()).await;
        if let Err(error) = settled {
            restored = Err(BackupError::Settle(error));
        }
    }
    let closed = store.close().await;
    let restored = restored?;
    closed.map_err(TransferError::store("close"))?;
    Ok(restored)
}

//! A backup to an empty store.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use windlass_store::{KeyRange, Scan, Store};

use super::manifest::{Manifest, Slot};
use super::verifying::{manifest_of, open_verified};
use super::{BackupError, Observe, Stage, Step};
use crate::transfer::{Moved, Report, TransferError, import};

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 * 1_024;

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What was brought into the store.
    pub report: Report,
    /// The incarnation of the store, which is not the one that was copied;
    /// `None` if nothing was in the backup.
    pub incarnation: Option<String>,
}

/// Brings the copy of one store into an empty one. All of the backup is read
/// and held to its manifest before the store is touched; what then is stored is
/// read back and compared before the store can be opened. Until then it holds a
/// mark, and a restore that was interrupted goes on when it is called again
/// with the same backup.
///
/// # Errors
///
/// Those of [`verify`](super::verify), `NoSlot` if the backup has no such
/// store, and `Transfer` with those of [`import`]: `NotEmpty` first of all.
pub async fn restore(
    store: &dyn Store,
    slot: Slot,
    path: &Path,
    observe: Observe<'_>,
) -> Result<Restored, BackupError> {
    Opened::verified(path, slot, observe)?
        .bring_into(store, observe)
        .await
}

/// A backup all of which was held to its manifest, and the copy of one store
/// in it.
#[derive(Debug)]
pub(super) struct Opened {
    manifest: Manifest,
    slot: Slot,
    file: File,
    file_bytes: u64,
}

impl Opened {
    pub(super) fn verified(
        path: &Path,
        slot: Slot,
        observe: Observe<'_>,
    ) -> Result<Self, BackupError> {
        let manifest = manifest_of(path)?;
        let missing = BackupError::NoSlot {
            slot: slot.as_str(),
        };
        let file_bytes = manifest.store(slot).ok_or(missing)?.file_bytes;
        let mut file = None;
        for figures in &manifest.stores {
            let opened = open_verified(path, figures, observe)?;
            if figures.store == slot {
                file = Some(opened);
            }
        }
        Ok(Self {
            file: file.expect("the manifest has the store"),
            manifest,
            slot,
            file_bytes,
        })
    }

    pub(super) async fn bring_into(
        self,
        store: &dyn Store,
        observe: Observe<'_>,
    ) -> Result<Restored, BackupError> {
        let mut from = BufReader::with_capacity(READ_BYTES, self.file);
        let mut progress = |moved: Moved| {
            observe(Step {
                stage: Stage::Restoring,
                slot: self.slot,
                moved,
                file_bytes: Some(self.file_bytes),
            });
        };
        let report = import(store, &mut from, &mut progress).await?;
        Ok(Restored {
            manifest: self.manifest,
            report,
            incarnation: incarnation(store).await?,
        })
    }
}

async fn incarnation(store: &dyn Store) -> Result<Option<String>, BackupError> {
    let scan = Scan::new(KeyRange::all()).limit(1).keys();
    let pages = store.read(&[scan]).await;
    let pages = pages.map_err(TransferError::store("read"))?;
    let first = pages.first().and_then(|page| page.entries.first());
    Ok(first.map(|entry| format!("{:016x}", entry.version.incarnation().number())))
}

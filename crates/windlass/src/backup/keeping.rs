//! The backups of a directory.

use std::fs;
use std::path::Path;

use super::BackupError;
use super::files::names;
use super::manifest::{Manifest, Slot};
use super::verifying::manifest_of;

/// A directory that has a manifest.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What is in it, as far as that can be told without reading its files:
    /// the manifest is what was written, and every file has its length.
    pub found: Result<Manifest, BackupError>,
}

/// Lists the backups of a directory by name, which is by time. What is being
/// written or removed is none.
///
/// # Errors
///
/// [`BackupError::Read`] if the directory cannot be read. What is wrong with
/// one backup is said in its place.
pub fn list(directory: &Path) -> Result<Vec<Listed>, BackupError> {
    let names = names(directory)?.into_iter();
    let candidates = names.filter(|name| !name.starts_with('.'));
    let listed = candidates.map(|name| Listed {
        found: glance(&directory.join(&name)),
        name,
    });
    Ok(listed
        .filter(|listed| !matches!(listed.found, Err(BackupError::NoBackup { .. })))
        .collect())
}

/// The manifest, if every file is there with its length.
fn glance(path: &Path) -> Result<Manifest, BackupError> {
    let manifest = manifest_of(path)?;
    for store in &manifest.stores {
        let found = fs::metadata(path.join(&store.file));
        if found.map_or(None, |found| Some(found.len())) != Some(store.file_bytes) {
            let why = "it is missing or has another length";
            return Err(BackupError::damaged(&store.file, why));
        }
    }
    Ok(manifest)
}

/// The backups that go so that `keep` of the same store are left. `newest` is
/// the one that was just made and read back: it is none of them. Those that
/// are damaged do not count, and stay for whoever wants to look at them.
pub(super) fn surplus(
    directory: &Path,
    newest: &Manifest,
    keep: usize,
) -> Result<Vec<String>, BackupError> {
    let incarnation = |manifest: &Manifest| {
        let main = manifest.store(Slot::Main);
        main.and_then(|store| store.incarnation.clone())
    };
    let own = incarnation(newest);
    let mut same: Vec<(String, Manifest)> = list(directory)?
        .into_iter()
        .filter_map(|listed| Some((listed.name, listed.found.ok()?)))
        .filter(|(_, found)| found.name != newest.name && incarnation(found) == own)
        .collect();
    same.sort_by_key(|(_, found)| found.begun_at);
    let left = keep.saturating_sub(1);
    let gone = same.len().saturating_sub(left);
    Ok(same.into_iter().take(gone).map(|(name, _)| name).collect())
}

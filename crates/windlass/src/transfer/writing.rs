//! A store to a file.

use std::io::Write;

use windlass_store::{Entry, KeyRange, Store};

use super::frame::FileWriter;
use super::mark::hex;
use super::{Progress, Report, TransferError};
use crate::unfinished;

/// Writes everything that is stored to `to`, as it was at one point in time,
/// whatever commits meanwhile. Memory stays below some MiB; `to` is written
/// to in pieces of a MiB and less, during which the calling task waits.
///
/// What was written before an error is no export: its end is missing.
///
/// # Errors
///
/// [`TransferError::Write`], or [`TransferError::Store`] where the store
/// cannot give everything: one that is damaged, or whose time limit for
/// exports has passed; [`TransferError::Half`] for one that holds an
/// unfinished import.
pub async fn export(
    store: &dyn Store,
    to: &mut (dyn Write + Send),
    progress: Progress<'_>,
) -> Result<Report, TransferError> {
    export_visited(store, to, &mut |_| {}, progress).await
}

/// As [`export`], while `visit` sees every entry on its way.
pub(crate) async fn export_visited(
    store: &dyn Store,
    to: &mut (dyn Write + Send),
    visit: &mut (dyn FnMut(&Entry) + Send),
    progress: Progress<'_>,
) -> Result<Report, TransferError> {
    let failed = TransferError::store("export");
    let mut export = store.export(KeyRange::all()).await.map_err(failed)?;
    let mut file = FileWriter::new(to)?;
    while let Some(entries) = export
        .next()
        .await
        .map_err(TransferError::store("export"))?
    {
        for entry in entries {
            if entry.key == unfinished::key() {
                return Err(TransferError::Half);
            }
            visit(&entry);
            if file.add(&entry.key, &entry.value)? {
                progress(file.moved());
            }
        }
    }
    let (moved, hash) = file.finish()?;
    progress(moved);
    Ok(Report {
        moved,
        digest: hex(&hash),
        found: 0,
    })
}

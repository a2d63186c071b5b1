//! Reading many rows by their names.

use bytes::Bytes;
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Entry, Scan, Store, StoreError};

/// The entries of these keys, in their order, as many a read as one takes.
/// Each read shows one point in time, all together do not.
pub(crate) async fn fetch(
    store: &dyn Store,
    keys: &[Bytes],
) -> Result<Vec<Option<Entry>>, StoreError> {
    let mut found = Vec::with_capacity(keys.len());
    while let Some(few) = keys.get(found.len()..).filter(|few| !few.is_empty()) {
        let few = &few[..few.len().min(READ_SCANS_MAX)];
        let scans: Vec<Scan> = few.iter().cloned().map(Scan::point).collect();
        for page in store.read(&scans).await? {
            // The read was full before it came to this key.
            if page.entries.is_empty() && page.more {
                break;
            }
            found.push(page.entries.into_iter().next());
        }
    }
    Ok(found)
}

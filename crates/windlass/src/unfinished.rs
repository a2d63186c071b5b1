//! The record that is in a store from the first step of an import to its
//! last: while it is there, the store holds part of something.

use bytes::Bytes;
use windlass_store::key::Key;
use windlass_store::{Store, StoreError, StoreExt};

/// Where the record is.
pub(crate) fn key() -> Bytes {
    Key::new("system").text("import").finish()
}

/// Whether `store` holds an import that was not finished.
pub(crate) async fn is_unfinished(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.get(key()).await?.is_some())
}

//! Giving a blob out piece by piece.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::SessionId;
use windlass_store::Store;

use crate::blob::{BlobId, LineageKeys, Reader};
use crate::checkpoints::Checkpoints;
use crate::engine::lineage_keys;
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::model::Caller;

/// A blob, or a part of one, that is read as it is asked for.
///
/// Holds what one read of the store gives, about 4 MiB at most, whatever the
/// size of the blob.
pub struct BlobReader {
    store: Arc<dyn Store>,
    reader: Reader,
}

impl Checkpoints {
    /// A blob by its reference, to be read piece by piece: the bytes in
    /// `range`, as far as there are any. `None` if the lineage has none of
    /// this name, or no longer.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming what is damaged, and the store's failures.
    pub async fn open_blob(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: BlobId,
        range: Range<u64>,
    ) -> Result<Option<BlobReader>, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let Some(head) = self.engine().live_head(&keys).await? else {
            return Ok(None);
        };
        let lineage = lineage_keys(&keys.tenant, &head.lineage);
        BlobReader::open(&self.engine().store, &lineage, id, range).await
    }
}

impl BlobReader {
    pub(crate) async fn open(
        store: &Arc<dyn Store>,
        lineage: &LineageKeys,
        id: BlobId,
        range: Range<u64>,
    ) -> Result<Option<Self>, CheckpointError> {
        let reader = Reader::open_range(store.as_ref(), lineage, id, range).await?;
        let store = Arc::clone(store);
        Ok(reader.map(|reader| Self { store, reader }))
    }

    /// The size of the whole blob in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.reader.size()
    }

    /// The next piece, at least one byte; `None` after the last one. Each is
    /// checked against its hash; after the last one of a whole blob the whole
    /// is, too.
    ///
    /// # Errors
    ///
    /// `BlobNotFound` if it was collected meanwhile; `Corrupt` naming what is
    /// missing or damaged; the store's failures, after which it can be asked
    /// again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CheckpointError> {
        self.reader.next(self.store.as_ref()).await
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

//! Blobs that are too large for their records: written in pieces before the
//! record, under a name that nobody reads yet.
//!
//! With the first pieces goes a row that names the chain, and the commit that
//! writes the record deletes it. Whoever dies in between leaves the row, and
//! by it the pieces are found.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::Format;
use windlass_store::Batch;

use super::cache::TieredCache;
use super::keys;
use super::record::{Chain, OpenRow, encode};
use super::shared::Writing;
use crate::error::CacheError;
use crate::found::Stored;
use crate::limits::{COMMIT_PIECES_MAX, GONE_PIECES_MAX, PIECE_BYTES};
use crate::names::Key;
use crate::spaces::Era;

/// Where a chain is: it keeps its generation, whatever becomes of the
/// namespace, and counts as being written for as long as this is held.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) chain: Chain,
    pub(super) generation: u64,
    pub(super) _writing: Arc<Writing>,
}

impl TieredCache {
    /// Writes the pieces of a blob.
    pub(super) async fn write_ahead(
        &self,
        era: &Arc<Era>,
        key: &Key,
        blob: &Bytes,
    ) -> Result<Written, CacheError> {
        let writing = Arc::new(self.shared.begin_chain());
        let pieces = blob.chunks(PIECE_BYTES).enumerate();
        let pieces: Vec<_> = pieces
            .map(|(number, piece)| (count(number), piece))
            .collect();
        let open = OpenRow {
            v: Format,
            namespace: era.namespace.clone(),
            generation: era.generation,
            key: key.clone(),
            at: self.shared.now(),
        };
        for (turn, pieces) in pieces.chunks(COMMIT_PIECES_MAX).enumerate() {
            let mut batch = Batch::new();
            if turn == 0 {
                batch = batch.put(keys::open(writing.id), encode(&open));
            }
            for (number, piece) in pieces {
                let row = keys::piece(era.generation, key, writing.id, *number);
                batch = batch.put(row, blob.slice_ref(piece));
            }
            // Without checks it applies whatever there is.
            let _ = self.shared.store.commit(batch).await?;
        }
        let chain = Chain {
            id: writing.id,
            pieces: count(pieces.len()),
        };
        Ok(Written {
            chain,
            generation: era.generation,
            _writing: writing,
        })
    }

    /// Takes back a chain whose put was refused. If it cannot, or if nobody
    /// knows whether it was, `reclaim_orphans` finds it.
    pub(super) async fn take_back(
        &self,
        stored: &Result<Stored, CacheError>,
        key: &Key,
        written: &Written,
    ) {
        let Written {
            chain, generation, ..
        } = written;
        let is_nobodys = match stored {
            Ok(stored) => !stored.held,
            Err(CacheError::VersionMismatch { .. } | CacheError::L2Full { .. }) => true,
            Err(_) => false,
        };
        if !is_nobodys || chain.pieces > GONE_PIECES_MAX {
            return;
        }
        let mut batch = Batch::new().delete(keys::open(chain.id));
        for number in 0..chain.pieces {
            batch = batch.delete(keys::piece(*generation, key, chain.id, number));
        }
        let _ = self.shared.store.commit(batch).await;
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

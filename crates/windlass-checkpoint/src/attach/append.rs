//! Adding bytes to an attachment, and finishing it.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use windlass_core::{Millis, SessionId};
use windlass_store::{Batch, Commit, Expect};

use super::record::{AttachmentRow, encode_piece};
use super::{Attachment, AttachmentReader, Found};
use crate::blob::{BlobId, Encoder};
use crate::checkpoints::Checkpoints;
use crate::engine::Engine;
use crate::error::{CheckpointError, Problem};
use crate::keys::StateKeys;
use crate::limits::{ATTACHMENT_BYTES_MAX, ATTACHMENT_PIECE_BYTES_MAX, ATTACHMENT_PIECES_AT_ONCE};
use crate::model::{Caller, check_count};

/// Most bytes of one call.
const APPENDED_BYTES_MAX: usize = 16 * ATTACHMENT_PIECE_BYTES_MAX;

impl Checkpoints {
    /// Adds bytes that begin at `start`, which is where those that are there
    /// end: at most 16 MiB. They are written 8 MiB at a time, each time for
    /// good; after a failure the attachment itself says where to go on.
    ///
    /// # Errors
    ///
    /// `AttachmentNotFound`; `AttachmentOffset` with the right place;
    /// `AttachmentFinished`; `Invalid` for too many bytes, in this call or
    /// altogether (4 GiB); `Busy` if others add to it all the time.
    pub async fn append_attachment(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: &str,
        start: u64,
        bytes: &Bytes,
    ) -> Result<Attachment, CheckpointError> {
        check_count("bytes", bytes.len(), APPENDED_BYTES_MAX)?;
        let engine = self.engine();
        let state = StateKeys::new(&caller.tenant, session);
        let mut found = engine.open_for_bytes(&state, id).await?;
        let end = start.saturating_add(bytes.len() as u64);
        check_size(end)?;
        let at_once = ATTACHMENT_PIECES_AT_ONCE * ATTACHMENT_PIECE_BYTES_MAX;
        let mut place = start;
        for few in bytes.chunks(at_once) {
            if found.row.size != place {
                return Err(offset(&found.row));
            }
            place += few.len() as u64;
            found = engine.add(&state, found, few).await?;
        }
        if found.row.size != place {
            return Err(offset(&found.row));
        }
        Ok(found.row.view(&found.keys.id))
    }

    /// Says that all bytes are there. Reads them once more, and keeps the
    /// hash of the whole; `expected` is what it has to be, if it is known.
    /// Finishing it again changes nothing.
    ///
    /// # Errors
    ///
    /// `AttachmentNotFound`; `DigestMismatch`, and it stays unfinished;
    /// `Corrupt`; `Busy` if bytes are added at the same time.
    pub async fn finish_attachment(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: &str,
        expected: Option<BlobId>,
    ) -> Result<Attachment, CheckpointError> {
        let engine = self.engine();
        let state = StateKeys::new(&caller.tenant, session);
        let found = engine.own_attachment(&state, id).await?;
        let mut found = found.ok_or(CheckpointError::AttachmentNotFound)?;
        let actual = match found.row.whole {
            Some(whole) => whole,
            None => engine.digest(&found).await?,
        };
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            return Err(CheckpointError::DigestMismatch { expected, actual });
        }
        if found.row.whole.is_none() {
            found.row.whole = Some(actual);
            found.row.touched = engine.env.now();
            engine.rewrite(&found, Batch::new()).await?;
        }
        Ok(found.row.view(&found.keys.id))
    }
}

impl Engine {
    async fn open_for_bytes(&self, state: &StateKeys, id: &str) -> Result<Found, CheckpointError> {
        let found = self.own_attachment(state, id).await?;
        let found = found.ok_or(CheckpointError::AttachmentNotFound)?;
        if found.row.whole.is_some() {
            return Err(CheckpointError::AttachmentFinished);
        }
        Ok(found)
    }

    /// Adds bytes in one commit, and gives what is there then.
    async fn add(
        &self,
        state: &StateKeys,
        mut found: Found,
        bytes: &[u8],
    ) -> Result<Found, CheckpointError> {
        let now = self.env.now();
        let size = bytes.len() as u64;
        let mut encoder = Encoder::new(self.config.compression, size);
        let mut batch = Batch::new();
        for piece in bytes.chunks(ATTACHMENT_PIECE_BYTES_MAX) {
            let value = encode_piece(piece, &mut encoder, now);
            batch = batch.put(found.keys.piece(found.row.size), value);
            found.row.size += piece.len() as u64;
        }
        found.row.touched = now;
        self.rewrite(&found, batch).await?;
        self.open_for_bytes(state, &found.keys.id).await
    }

    /// Writes the row of an attachment, if it is as it was read.
    async fn rewrite(&self, found: &Found, batch: Batch) -> Result<(), CheckpointError> {
        let batch = batch
            .check(found.keys.row(), Expect::Version(found.entry.version))
            .put(found.keys.row(), found.row.encode());
        match self.store.commit(batch).await? {
            Commit::Applied(_) => Ok(()),
            Commit::Conflict { .. } => Err(CheckpointError::Busy),
        }
    }

    /// The hash of all bytes, read from the store.
    async fn digest(&self, found: &Found) -> Result<BlobId, CheckpointError> {
        let mut reader = AttachmentReader::new(&self.store, found, 0..u64::MAX);
        let mut hash = Sha256::new();
        while let Some(bytes) = reader.next().await? {
            hash.update(&bytes);
        }
        Ok(BlobId::from_digest(hash.finalize().into()))
    }
}

const fn offset(row: &AttachmentRow) -> CheckpointError {
    CheckpointError::AttachmentOffset { size: row.size }
}

const fn check_size(size: u64) -> Result<(), CheckpointError> {
    if size <= ATTACHMENT_BYTES_MAX {
        return Ok(());
    }
    let (field, min, max) = ("size", 0, ATTACHMENT_BYTES_MAX);
    let value = size;
    let problem = Problem::Range { value, min, max };
    Err(CheckpointError::Invalid { field, problem })
}

/// How long ago an attachment was touched decides whether it is wanted.
pub(super) const fn is_forsaken(row: &AttachmentRow, grace_ms: u64, now: Millis) -> bool {
    row.revision.is_none() && row.touched.plus_ms(grace_ms).has_passed(now)
}

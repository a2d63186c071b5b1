//! Reading the bytes of an attachment.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use windlass_core::SessionId;
use windlass_store::{Entry, KeyRange, Scan, Store, StoreExt};

use super::Found;
use super::keys::AttachmentKeys;
use super::record::{AttachmentRow, decode_piece};
use crate::blob::{BlobId, Decoder};
use crate::checkpoints::Checkpoints;
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::limits::ATTACHMENT_PIECES_AT_ONCE;
use crate::model::Caller;

/// The bytes of an attachment, or a part of them, read as they are asked for.
/// Holds what one read of the store gives, about 8 MiB at most.
pub struct AttachmentReader {
    store: Arc<dyn Store>,
    keys: AttachmentKeys,
    /// The bytes there were when it was opened.
    size: u64,
    whole: Option<BlobId>,
    wanted: Range<u64>,
    /// Where the next piece begins.
    next: u64,
    ready: VecDeque<Bytes>,
    hash: Option<Sha256>,
    decoder: Decoder,
}

impl Checkpoints {
    /// The bytes of an attachment in `range`, as far as there are any; `None`
    /// if there is no such attachment. One that came with a fork can be read,
    /// and one that is not finished, too.
    ///
    /// # Errors
    ///
    /// `Corrupt`, and the store's failures.
    pub async fn open_attachment(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: &str,
        range: Range<u64>,
    ) -> Result<Option<AttachmentReader>, CheckpointError> {
        let state = StateKeys::new(&caller.tenant, session);
        let found = self.engine().find_attachment(&state, id).await?;
        let store = &self.engine().store;
        Ok(found.map(|found| AttachmentReader::new(store, &found, range)))
    }
}

impl AttachmentReader {
    pub(super) fn new(store: &Arc<dyn Store>, found: &Found, range: Range<u64>) -> Self {
        let size = found.row.size;
        let is_whole = range.start == 0 && range.end >= size;
        Self {
            store: Arc::clone(store),
            keys: found.keys.clone(),
            size,
            whole: found.row.whole,
            wanted: range.start.min(size)..range.end.min(size),
            next: range.start.min(size),
            ready: VecDeque::new(),
            hash: is_whole.then(Sha256::new),
            decoder: Decoder::default(),
        }
    }

    /// How many bytes the whole attachment has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes, at least one; `None` after the last one. Each piece is
    /// checked against its hash, and at its end a whole attachment too.
    ///
    /// # Errors
    ///
    /// `AttachmentNotFound` if it went meanwhile, `Corrupt` naming it, and
    /// the store's failures, after which it can be asked again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CheckpointError> {
        while self.ready.is_empty() && self.next < self.wanted.end {
            self.advance().await?;
        }
        let Some(bytes) = self.ready.pop_front() else {
            return self.check_whole().map(|()| None);
        };
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes);
        }
        Ok(Some(bytes))
    }

    async fn advance(&mut self) -> Result<(), CheckpointError> {
        let pages = self.store.read(&[self.scan()]).await?;
        let entries: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
        let mut next = self.next;
        let mut ready = VecDeque::new();
        for entry in &entries {
            let start = AttachmentKeys::start_of(&entry.key);
            let start = start.ok_or_else(|| self.corrupt("a key has no number"))?;
            let bytes = decode_piece(&entry.value, &mut self.decoder);
            let bytes = bytes.map_err(|why| self.corrupt(why))?;
            let end = start.saturating_add(bytes.len() as u64);
            if start > next || end <= next {
                break;
            }
            let within = |place: u64| {
                let place = place.clamp(start, end) - start;
                usize::try_from(place).expect("a piece fits into memory: it was read")
            };
            let wanted = bytes.slice(within(next)..within(self.wanted.end));
            if !wanted.is_empty() {
                ready.push_back(wanted);
            }
            next = end;
        }
        if next == self.next {
            return Err(self.missing().await?);
        }
        self.next = next;
        self.ready = ready;
        Ok(())
    }

    /// The piece that holds the next byte if it is the first one wanted, and
    /// after that the pieces that follow.
    fn scan(&self) -> Scan {
        let behind = KeyRange::new(self.keys.pieces().start, self.keys.piece(self.next + 1));
        if self.next == self.wanted.start && self.next > 0 {
            return Scan::new(behind).descending().limit(1);
        }
        let ahead = KeyRange::new(self.keys.piece(self.next), self.keys.piece(self.wanted.end));
        Scan::new(ahead).limit(ATTACHMENT_PIECES_AT_ONCE)
    }

    /// Why there is no next piece.
    async fn missing(&self) -> Result<CheckpointError, CheckpointError> {
        let Some(entry) = self.store.get(self.keys.row()).await? else {
            return Ok(CheckpointError::AttachmentNotFound);
        };
        if AttachmentRow::decode(&self.keys.id, &entry.value)?.gone {
            return Ok(CheckpointError::AttachmentNotFound);
        }
        Ok(self.corrupt("some of its bytes are missing"))
    }

    fn check_whole(&mut self) -> Result<(), CheckpointError> {
        let actual = self.hash.take().map(|hash| hash.finalize().into());
        match (actual.map(BlobId::from_digest), self.whole) {
            (Some(actual), Some(whole)) if actual != whole => {
                Err(self.corrupt("its bytes have another hash"))
            }
            _ => Ok(()),
        }
    }

    fn corrupt(&self, why: &str) -> CheckpointError {
        CheckpointError::corrupt(format!("attachment {}", self.keys.id), why)
    }
}

impl fmt::Debug for AttachmentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentReader")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

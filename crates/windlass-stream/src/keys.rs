//! Every key of streams.

use bytes::Bytes;
use windlass_core::{Millis, SessionId, StreamId, TenantId};
use windlass_store::key::Key;
use windlass_store::{KeyRange, Scan};

use crate::offset::Offset;

/// The keys of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StreamKeys {
    pub(crate) tenant: TenantId,
    pub(crate) stream: StreamId,
}

impl StreamKeys {
    pub(crate) fn new(tenant: &TenantId, stream: &StreamId) -> Self {
        Self {
            tenant: tenant.clone(),
            stream: stream.clone(),
        }
    }

    fn base(&self) -> Key {
        Key::new(self.tenant.as_str())
            .text("stream")
            .text(self.stream.as_str())
    }

    /// The record that every change of the stream rewrites.
    pub(crate) fn head(&self) -> Bytes {
        self.base().text("head").finish()
    }

    /// The record of what is kept: written by trimming, checked by readers.
    pub(crate) fn floor(&self) -> Bytes {
        self.base().text("floor").finish()
    }

    /// The chunk that begins at `first`.
    pub(crate) fn chunk(&self, first: Offset) -> Bytes {
        self.base().text("chunk").number(first.number()).finish()
    }

    /// All chunks.
    pub(crate) fn chunks(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("chunk").below())
    }

    /// The chunks that begin at `first` or later, and before `tail`.
    pub(crate) fn chunks_between(&self, first: Offset, tail: Offset) -> Scan {
        Scan::new(KeyRange::new(self.chunk(first), self.chunk(tail)))
    }

    /// The last chunk that begins before `offset`.
    pub(crate) fn chunk_before(&self, offset: Offset) -> Scan {
        let start = self.chunks().start;
        Scan::new(KeyRange::new(start, self.chunk(offset)))
            .descending()
            .limit(1)
    }

    /// The entry of the stream in the list of its session's streams.
    pub(crate) fn listed(&self, session: &SessionId) -> Bytes {
        list_of(&self.tenant, session)
            .text(self.stream.as_str())
            .finish()
    }

    /// The first offset of a chunk's key.
    pub(crate) fn first_of(&self, key: &[u8]) -> Option<Offset> {
        let number = key.strip_prefix(self.chunks().start.as_ref())?;
        let number = windlass_store::key::number(std::str::from_utf8(number).ok()?)?;
        Some(Offset::new(number))
    }

    /// When upkeep next looks at the stream.
    pub(crate) fn due(&self, time: Millis) -> Bytes {
        Key::new("due")
            .number(time.get())
            .text("stream")
            .text(self.tenant.as_str())
            .text(self.stream.as_str())
            .finish()
    }
}

/// The list of a session's streams.
pub(crate) fn list_of(tenant: &TenantId, session: &SessionId) -> Key {
    Key::new(tenant.as_str())
        .text("streams")
        .text(session.as_str())
}

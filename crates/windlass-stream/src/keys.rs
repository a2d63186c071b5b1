//! Every key of streams.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use windlass_core::{Millis, OperationId, PrincipalId, SessionId, StreamId, TenantId};
use windlass_store::key::{Key, number, segments};
use windlass_store::{KeyRange, Scan};

use crate::digest::hex;
use crate::durable::INPUT;
use crate::offset::Offset;

/// The first segment of the index of what maintenance has to look at.
const DUE: &str = "due";

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

    /// A piece of a long row.
    pub(crate) fn piece(&self, name: &str, number: u64) -> Bytes {
        let pieces = self.base().text("piece");
        pieces.text(name).number(number).finish()
    }

    /// The pieces of one name.
    pub(crate) fn pieces_of(&self, name: &str) -> KeyRange {
        KeyRange::prefix(self.base().text("piece").text(name).below())
    }

    /// All pieces.
    pub(crate) fn pieces(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("piece").below())
    }

    /// Says that the pieces of this name have no record yet.
    pub(crate) fn upload(&self, name: &str) -> Bytes {
        self.base().text("upload").text(name).finish()
    }

    /// All pieces that have no record yet.
    pub(crate) fn uploads(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("upload").below())
    }

    /// Says that the row at `first` is in pieces.
    pub(crate) fn long(&self, first: Offset) -> Bytes {
        self.base().text("long").number(first.number()).finish()
    }

    /// All rows that are in pieces.
    pub(crate) fn longs(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("long").below())
    }

    /// When upkeep takes pieces back that have no record.
    pub(crate) fn due_upload(&self, time: Millis, name: &str) -> Bytes {
        Key::new(DUE)
            .number(time.get())
            .text("upload")
            .text(self.tenant.as_str())
            .text(self.stream.as_str())
            .text(name)
            .finish()
    }

    /// What keeps everything from `at` on for a cursor.
    pub(crate) fn pin(&self, at: Offset, cursor: &str) -> Bytes {
        let pins = self.base().text("pin");
        pins.number(at.number()).text(cursor).finish()
    }

    /// All pins, the lowest first.
    pub(crate) fn pins(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("pin").below())
    }

    /// The offset of a pin's key.
    pub(crate) fn pinned_by(&self, key: &[u8]) -> Option<Offset> {
        let rest = key.strip_prefix(self.pins().start.as_ref())?;
        let first = rest.split(|byte| *byte == b'/').next()?;
        Some(Offset::new(number(std::str::from_utf8(first).ok()?)?))
    }

    /// What its path says, for whoever removes it.
    pub(crate) fn about(&self) -> Bytes {
        self.base().text("about").finish()
    }

    /// What is known of all who write it by path.
    pub(crate) fn book(&self) -> Bytes {
        self.base().text("book").finish()
    }

    /// What is known of one producer. Its name may be longer than a key.
    pub(crate) fn producer(&self, id: &str) -> Bytes {
        let name = hex(&Sha256::digest(id));
        self.base().text("producer").text(&name).finish()
    }

    /// All producers.
    pub(crate) fn producers(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("producer").below())
    }

    /// Keeps the stream's rows for a fork of it.
    pub(crate) fn fork(&self, fork: &StreamId) -> Bytes {
        self.base().text("fork").text(fork.as_str()).finish()
    }

    /// All forks.
    pub(crate) fn forks(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("fork").below())
    }

    /// The entry of the stream in the list of its session's streams.
    pub(crate) fn listed(&self, session: &SessionId) -> Bytes {
        list_of(&self.tenant, session)
            .text(self.stream.as_str())
            .finish()
    }

    /// The first offset of a chunk's key.
    pub(crate) fn first_of(&self, key: &[u8]) -> Option<Offset> {
        let first = key.strip_prefix(self.chunks().start.as_ref())?;
        Some(Offset::new(number(std::str::from_utf8(first).ok()?)?))
    }

    /// When upkeep next looks at the stream.
    pub(crate) fn due(&self, time: Millis) -> Bytes {
        Key::new(DUE)
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

/// The row of a path.
pub(crate) fn path_of(tenant: &TenantId, principal: &PrincipalId, path: &str) -> Bytes {
    let (kind, path) = match path.strip_prefix(INPUT) {
        Some(input) => ("input", input),
        None => ("path", path),
    };
    let paths = Key::new(tenant.as_str()).text(kind);
    paths.text(principal.as_str()).text(path).finish()
}

/// The record of a cursor.
pub(crate) fn cursor(tenant: &TenantId, name: &str) -> Bytes {
    Key::new(tenant.as_str()).text("cursor").text(name).finish()
}

/// When upkeep next looks at a cursor.
pub(crate) fn due_cursor(time: Millis, tenant: &TenantId, name: &str) -> Bytes {
    Key::new(DUE)
        .number(time.get())
        .text("cursor")
        .text(tenant.as_str())
        .text(name)
        .finish()
}

/// The record of a cursor of a source.
pub(crate) fn scan(tenant: &TenantId, name: &str) -> Bytes {
    Key::new(tenant.as_str()).text("scan").text(name).finish()
}

/// When upkeep next looks at a cursor of a source.
pub(crate) fn due_scan(time: Millis, tenant: &TenantId, name: &str) -> Bytes {
    Key::new(DUE)
        .number(time.get())
        .text("scan")
        .text(tenant.as_str())
        .text(name)
        .finish()
}

/// The record of an operation id.
pub(crate) fn operation(tenant: &TenantId, principal: &PrincipalId, id: &OperationId) -> Bytes {
    Key::new(tenant.as_str())
        .text("stream-op")
        .text(principal.as_str())
        .text(id.as_str())
        .finish()
}

/// When upkeep drops the record of an operation id.
pub(crate) fn due_operation(
    time: Millis,
    tenant: &TenantId,
    principal: &PrincipalId,
    id: &OperationId,
) -> Bytes {
    Key::new(DUE)
        .number(time.get())
        .text("stream-op")
        .text(tenant.as_str())
        .text(principal.as_str())
        .text(id.as_str())
        .finish()
}

/// What a row of due work is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DueRow {
    Stream(Millis, StreamKeys),
    Cursor(Millis, TenantId, String),
    Scan(TenantId, String),
    /// The key of the record of an operation id.
    Operation(Bytes),
    /// Pieces that may have no record, by their name.
    Upload(StreamKeys, String),
}

impl DueRow {
    /// What the row is about, if it is of this part.
    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let segments = segments(key)?;
        let texts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match *texts {
            [_, time, "stream", tenant, stream] => {
                let tenant: TenantId = tenant.parse().ok()?;
                let keys = StreamKeys::new(&tenant, &stream.parse().ok()?);
                Some(Self::Stream(Millis::new(number(time)?), keys))
            }
            [_, time, "cursor", tenant, name] => {
                let time = Millis::new(number(time)?);
                Some(Self::Cursor(time, tenant.parse().ok()?, name.to_owned()))
            }
            [_, _, "scan", tenant, name] => Some(Self::Scan(tenant.parse().ok()?, name.to_owned())),
            [_, _, "stream-op", tenant, principal, id] => {
                let (tenant, principal) = (tenant.parse().ok()?, principal.parse().ok()?);
                let key = operation(&tenant, &principal, &id.parse().ok()?);
                Some(Self::Operation(key))
            }
            [_, _, "upload", tenant, stream, name] => {
                let (tenant, stream) = (tenant.parse().ok()?, stream.parse().ok()?);
                Some(Self::Upload(StreamKeys { tenant, stream }, name.to_owned()))
            }
            _ => None,
        }
    }
}

/// All rows of work that is due by `now`, of whatever part.
pub(crate) fn due_until(now: Millis) -> KeyRange {
    let start = Key::new(DUE).below();
    let end = Key::new(DUE).number(now.get().saturating_add(1)).finish();
    KeyRange::new(start, end)
}

//! Every way in which an operation on streams can fail.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use windlass_core::{Coded, ErrorKind, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

use crate::capacity::Refusal;
use crate::offset::Offset;
use crate::row::RowError;

/// Why an operation on streams failed. Unless it is
/// [`ErrorKind::Indeterminate`], nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The caller has no such stream or cursor: it never was, is another
    /// principal's, or is forgotten.
    #[error("no such stream or cursor")]
    NotFound,
    /// The stream or the cursor has expired, or the lease ran out while nobody
    /// read.
    #[error("it has expired")]
    Expired,
    /// The stream was removed, and forks of it are left: its name stays taken
    /// until the last of them is gone.
    #[error("the stream was removed; forks of it are left")]
    Deleted,
    /// The cursor was cancelled.
    #[error("the read was cancelled")]
    Cancelled,
    /// What the reader was let in with was revoked.
    #[error("what the read was opened with was revoked")]
    Revoked,
    /// The tenant has a stream of this name.
    #[error("a stream of this name exists")]
    Exists,
    /// The stream was closed: nothing can be appended any more.
    #[error("the stream is closed")]
    Closed,
    /// A stream of this path exists, made with other attributes.
    #[error("a stream with other attributes exists")]
    Differs,
    /// What is appended is of another content type than the stream.
    #[error("the content type is not that of the stream")]
    ContentType,
    /// A producer of a later epoch has taken over.
    #[error("the producer's epoch has passed; the stream is at epoch {current}")]
    StaleEpoch {
        /// The epoch that may append.
        current: u64,
    },
    /// Appends of the producer before this one have not arrived.
    #[error("the producer's append {expected} is missing before {received}")]
    SequenceGap {
        /// The number of the append that has to come next.
        expected: u64,
        /// The number that came.
        received: u64,
    },
    /// The writer's sequence does not go on from the last one.
    #[error("the writer's sequence is not after the last one")]
    WriterSequence,
    /// The stream remembers as many producers as it can.
    #[error("the stream has {limit} producers, and takes no other")]
    TooManyProducers {
        /// How many it can remember.
        limit: u64,
    },
    /// The input is only taken with the digest of its rows.
    #[error("the digest of what was sent is missing")]
    IntegrityMissingDigest,
    /// The rows of the input are not what was sent: nobody ever sees them.
    #[error("the rows from `{first}` to `{tail}` are not what was sent, and are withdrawn")]
    IntegrityFailed {
        /// The digest of what was sent.
        expected: Arc<str>,
        /// The digest of what came.
        actual: Arc<str>,
        /// The first row that is withdrawn.
        first: Offset,
        /// After the last one.
        tail: Offset,
    },
    /// What begins at the offset asked for is not kept any more.
    #[error("rows before `{earliest}` are not kept any more")]
    Gap {
        /// The first offset that can be read from.
        earliest: Offset,
    },
    /// The offset is beyond the tail of what is read.
    #[error("the offset is beyond the tail `{tail}`")]
    BeyondTail {
        /// The tail.
        tail: Offset,
    },
    /// A read of this source cannot go on where it was cut off.
    #[error("a read of this source cannot go on; begin it anew")]
    NotResumable,
    /// What the reader has received is not what was sent up to this offset.
    #[error("the digest of what was received does not match the stream")]
    PrefixHashMismatch,
    /// The operation id was used before, for another request.
    #[error("the operation id was used before for another request")]
    OperationConflict,
    /// A read was opened from inside a turn that is neither committed nor
    /// dropped: what it will append is not there to be read.
    #[error("a stream cannot be opened from inside an unfinished turn")]
    InTransaction,
    /// Nobody may open another stream for now.
    #[error("no stream can be opened for now")]
    Capacity(#[source] Refusal),
    /// The row cannot be stored.
    #[error("the row cannot be appended")]
    Row(#[from] RowError),
    /// A field of the request cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it, in a few words.
        problem: &'static str,
    },
    /// Others changed the same stream each time first.
    #[error("lost too many races for the same record; try again")]
    Busy,
    /// A stored record cannot be understood, or one is missing.
    #[error("the stored {record} cannot be read: {why}")]
    Corrupt {
        /// Which record.
        record: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error("the streams' store failed")]
    Store(#[source] Arc<StoreError>),
    /// What is read, which is kept elsewhere, could not be given.
    #[error("the source failed")]
    Source {
        /// The cause's code.
        code: &'static str,
        /// The cause's kind.
        kind: ErrorKind,
        /// What went wrong there.
        #[source]
        cause: Arc<dyn Error + Send + Sync>,
    },
    /// No random bytes for a name.
    #[error("no identifier could be drawn")]
    Random(#[from] RandomError),
}

impl From<StoreError> for StreamError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<Refusal> for StreamError {
    fn from(refusal: Refusal) -> Self {
        Self::Capacity(refusal)
    }
}

impl StreamError {
    /// A failure of what a [`Source`](crate::Source) reads: it keeps its code
    /// and its kind.
    pub fn of_source(cause: impl Coded + Send + Sync + 'static) -> Self {
        Self::Source {
            code: cause.code(),
            kind: cause.kind(),
            cause: Arc::new(cause),
        }
    }

    pub(crate) fn corrupt(record: &'static str, why: impl fmt::Display) -> Self {
        Self::Corrupt {
            record,
            why: why.to_string(),
        }
    }

    /// An earlier attempt of the same change may have been applied when `error`
    /// came.
    pub(crate) fn forgotten_after(error: StoreError) -> Self {
        let why = "its outcome is unknown, and the store failed when it was looked for";
        StoreError::new(StoreErrorKind::Indeterminate, "commit", why)
            .with_source(error)
            .into()
    }

    /// A commit of which it can no longer be told whether it was applied.
    pub(crate) fn forgotten() -> Self {
        let why = "its outcome is unknown, and too much was written since to tell";
        StoreError::new(StoreErrorKind::Indeterminate, "commit", why).into()
    }
}

impl Coded for StreamError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Expired => "expired",
            Self::Deleted => "stream_deleted",
            Self::Cancelled => "cancelled",
            Self::Revoked => "lease_revoked",
            Self::Exists => "stream_exists",
            Self::Closed => "stream_closed",
            Self::Differs => "stream_differs",
            Self::ContentType => "content_type_mismatch",
            Self::StaleEpoch { .. } => "producer_epoch_stale",
            Self::SequenceGap { .. } => "producer_sequence_gap",
            Self::WriterSequence => "writer_sequence_regressed",
            Self::TooManyProducers { .. } => "too_many_producers",
            Self::IntegrityMissingDigest => "integrity_missing_digest",
            Self::IntegrityFailed { .. } => "integrity_failed",
            Self::Gap { .. } => "gap",
            Self::BeyondTail { .. } => "offset_beyond_tail",
            Self::NotResumable => "not_resumable",
            Self::PrefixHashMismatch => "prefix_hash_mismatch",
            Self::OperationConflict => "operation_conflict",
            Self::InTransaction => "stream_in_transaction_unsupported",
            Self::Capacity(Refusal::Server { .. }) => "server_stream_capacity_exhausted",
            Self::Capacity(Refusal::Principal { .. }) => "principal_stream_quota_exhausted",
            Self::Row(_) => "invalid_row",
            Self::Invalid { .. } => "invalid_request",
            Self::Busy => "busy",
            Self::Corrupt { .. } => "corrupt_record",
            Self::Store(error) => error.kind().code(),
            Self::Source { code, .. } => code,
            Self::Random(_) => "no_randomness",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Cancelled
            | Self::Exists
            | Self::Closed
            | Self::Differs
            | Self::ContentType
            | Self::SequenceGap { .. }
            | Self::WriterSequence
            | Self::IntegrityFailed { .. }
            | Self::Gap { .. }
            | Self::NotResumable
            | Self::PrefixHashMismatch
            | Self::OperationConflict => ErrorKind::Conflict,
            Self::Expired
            | Self::Deleted
            | Self::Revoked
            | Self::StaleEpoch { .. }
            | Self::TooManyProducers { .. }
            | Self::Capacity(_) => ErrorKind::Refused,
            Self::BeyondTail { .. }
            | Self::IntegrityMissingDigest
            | Self::InTransaction
            | Self::Row(_)
            | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Busy => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Store(error) => kind_of(error.kind()),
            Self::Source { kind, .. } => *kind,
            Self::Random(_) => ErrorKind::Environment,
        }
    }
}

/// A store's failure keeps its kind through every layer.
const fn kind_of(kind: StoreErrorKind) -> ErrorKind {
    match kind {
        StoreErrorKind::Unavailable => ErrorKind::Unavailable,
        StoreErrorKind::Indeterminate => ErrorKind::Indeterminate,
        StoreErrorKind::Invalid => ErrorKind::Invalid,
        StoreErrorKind::Environment => ErrorKind::Environment,
        StoreErrorKind::Corrupt => ErrorKind::Corrupt,
        StoreErrorKind::Closed => ErrorKind::Closed,
    }
}

/// Why a row was not appended, and where it is.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the row could not be written")]
pub struct AppendError {
    /// Whether the writer has the row: if so it is written with the next flush,
    /// and must not be appended again.
    pub taken: bool,
    /// What went wrong.
    #[source]
    pub error: StreamError,
}

impl Coded for AppendError {
    fn code(&self) -> &'static str {
        self.error.code()
    }

    fn kind(&self) -> ErrorKind {
        self.error.kind()
    }
}

//! Every way in which an operation on checkpoints can fail.

use std::sync::Arc;

use windlass_core::{Abandoned, Coded, ErrorKind, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

use crate::blob::BlobId;

/// What is wrong with a setting or a field of a request. Never repeats its
/// text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is empty.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("has {length} bytes; at most {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest allowed.
        max: usize,
    },
    /// It has too many elements.
    #[error("has {count} elements; at most {max} are allowed")]
    TooMany {
        /// How many it has.
        count: usize,
        /// The most allowed.
        max: usize,
    },
    /// A name has a character that is none of A-Z a-z 0-9 . _ ~ : -, or is
    /// `.` or `..`.
    #[error("has a character that is none of A-Z a-z 0-9 . _ ~ : -")]
    Character,
    /// It is given as JSON and is not the text of one JSON value.
    #[error("is not the text of one JSON value")]
    NotJson,
    /// It is a number outside its range.
    #[error("is {value}; {min} to {max} are allowed")]
    Range {
        /// The number given.
        value: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
}

/// Why an operation on checkpoints failed. Nothing was changed, except where
/// the kind is [`ErrorKind::Indeterminate`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A field of the request, or a setting, cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// Somebody else committed first, or the caller knows an older state.
    #[error("revision {expected} was expected, but the head is at {actual}")]
    HeadRevisionConflict {
        /// The revision the caller expected.
        expected: u64,
        /// The revision of the head.
        actual: u64,
    },
    /// The turn, or the operation, was done before with other content.
    #[error("the turn was committed before with other content")]
    TurnConflict,
    /// A node that the request names is not in the graph.
    #[error("node {node} is not in the graph")]
    NodeNotFound {
        /// Its number.
        node: u64,
    },
    /// A blob that the request names is not in the lineage.
    #[error("the lineage has no blob `{blob}`")]
    BlobNotFound {
        /// Its name.
        blob: BlobId,
    },
    /// An attachment that the request names is not there, or not whole.
    #[error("the session has no whole attachment of this name")]
    AttachmentNotFound,
    /// The bytes given do not begin where those of the attachment end.
    #[error("the attachment has {size} bytes; go on there")]
    AttachmentOffset {
        /// How many bytes it has.
        size: u64,
    },
    /// Bytes for an attachment that has all of them.
    #[error("the attachment is finished")]
    AttachmentFinished,
    /// The bytes of an attachment are not those that were announced.
    #[error("the bytes have the hash `{actual}`, not `{expected}`")]
    DigestMismatch {
        /// What their hash should be.
        expected: BlobId,
        /// What it is.
        actual: BlobId,
    },
    /// The session has no such revision, or has it no longer.
    #[error("the session has no revision {revision}")]
    RevisionNotFound {
        /// The revision asked for.
        revision: u64,
    },
    /// The session that a fork is to become has a state already.
    #[error("the session has a state already")]
    StateExists,
    /// The state was removed; what is left of it is there for its forks only.
    #[error("the state of the session was removed")]
    StateRemoved,
    /// The parts of the state, or the tags of the session, would be too many.
    #[error("there would be more than {max} {what}")]
    Full {
        /// Of what.
        what: &'static str,
        /// The most allowed.
        max: usize,
    },
    /// A number that is added up would be too large to be stored.
    #[error("the usage would be too large to be counted")]
    UsageOverflow,
    /// Others changed the same session first, each time.
    #[error("lost too many races for the same session; try again")]
    Busy,
    /// A stored record or blob cannot be read as what it should be.
    #[error("the stored {what} cannot be read: {why}")]
    Corrupt {
        /// Which one, with its name.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error("the store of checkpoints failed")]
    Store(#[source] Arc<StoreError>),
    /// No random bytes.
    #[error("no random bytes could be drawn")]
    Random(#[from] RandomError),
    /// The commit that carried the request ended abnormally.
    #[error("the commit ended abnormally; its outcome is unknown")]
    Abandoned(#[from] Abandoned),
}

impl From<StoreError> for CheckpointError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl CheckpointError {
    pub(crate) fn corrupt(what: impl Into<String>, why: impl Into<String>) -> Self {
        let (what, why) = (what.into(), why.into());
        Self::Corrupt { what, why }
    }
}

impl Coded for CheckpointError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_request",
            Self::HeadRevisionConflict { .. } => "head_revision_conflict",
            Self::TurnConflict => "turn_conflict",
            Self::NodeNotFound { .. } => "node_not_found",
            Self::BlobNotFound { .. } => "blob_not_found",
            Self::AttachmentNotFound => "attachment_not_found",
            Self::AttachmentOffset { .. } => "attachment_offset",
            Self::AttachmentFinished => "attachment_finished",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::RevisionNotFound { .. } => "revision_not_found",
            Self::StateExists => "state_exists",
            Self::StateRemoved => "state_removed",
            Self::Full { .. } => "state_full",
            Self::UsageOverflow => "usage_overflow",
            Self::Busy => "busy",
            Self::Corrupt { .. } => "corrupt_record",
            Self::Store(error) => error.kind().code(),
            Self::Random(_) => "no_randomness",
            Self::Abandoned(_) => "abandoned",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::UsageOverflow => ErrorKind::Invalid,
            Self::HeadRevisionConflict { .. }
            | Self::TurnConflict
            | Self::AttachmentOffset { .. }
            | Self::AttachmentFinished
            | Self::DigestMismatch { .. }
            | Self::StateExists
            | Self::StateRemoved => ErrorKind::Conflict,
            Self::NodeNotFound { .. }
            | Self::BlobNotFound { .. }
            | Self::AttachmentNotFound
            | Self::RevisionNotFound { .. } => ErrorKind::NotFound,
            Self::Full { .. } => ErrorKind::Refused,
            Self::Busy => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Store(error) => kind_of(error.kind()),
            Self::Random(_) => ErrorKind::Environment,
            Self::Abandoned(_) => ErrorKind::Indeterminate,
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

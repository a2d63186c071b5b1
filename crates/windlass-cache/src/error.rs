//! Every way in which an operation of the cache can fail.

use std::sync::Arc;

use windlass_core::{Abandoned, Coded, ErrorKind, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

use crate::limits::{METADATA_BYTES_MAX, METADATA_KEYS_MAX};

/// What is wrong with a setting or a field of a request. Never repeats its
/// text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
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
    /// It is a text that is empty or too long.
    #[error("has {length} bytes; 1 to {max} are allowed")]
    Length {
        /// Its length in bytes.
        length: u64,
        /// The longest allowed.
        max: u64,
    },
    /// It is a text with a control character.
    #[error("has a control character")]
    Control,
    /// There are more of them than there may be.
    #[error("are {count}; at most {max} are allowed")]
    Count {
        /// How many were given.
        count: u64,
        /// The most allowed.
        max: u64,
    },
    /// It contradicts another field.
    #[error("is {value}; less than `{other}` is allowed, which is {max}")]
    NotBelow {
        /// The number given.
        value: u64,
        /// The field it must be less than.
        other: &'static str,
        /// What that one is.
        max: u64,
    },
}

impl Problem {
    pub(crate) fn length(length: usize, max: usize) -> Self {
        Self::Length {
            length: number(length),
            max: number(max),
        }
    }

    pub(crate) fn count(count: usize, max: usize) -> Self {
        Self::Count {
            count: number(count),
            max: number(max),
        }
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Why an operation of the cache failed. Nothing was changed, unless the store
/// says that it may have been.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The blob is larger than one may be, or than its policy allows.
    #[error("the blob has {size} bytes; at most {max} are allowed")]
    BlobTooLarge {
        /// Its length.
        size: u64,
        /// The largest allowed.
        max: u64,
    },
    /// The metadata has too many keys or too many bytes.
    #[error(
        "the metadata has {keys} keys and {bytes} bytes; at most {METADATA_KEYS_MAX} and \
         {METADATA_BYTES_MAX} are allowed"
    )]
    MetadataTooLarge {
        /// Its keys.
        keys: u64,
        /// Bytes of its names and values.
        bytes: u64,
    },
    /// As many namespaces hold entries as may.
    #[error("there are {max} namespaces already")]
    TooManyNamespaces {
        /// The most allowed.
        max: u64,
    },
    /// The entry is not at the version that was expected, or its version
    /// would not rise.
    #[error("the entry is not at a version that allows the change")]
    VersionMismatch {
        /// The version of the visible entry; `None` if there is none.
        existing: Option<u64>,
        /// The version to be put, or expected; `None` if no entry was.
        attempted: Option<u64>,
    },
    /// A field of the request, or a setting, cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// No random bytes for the jitter of a policy.
    #[error("no random bytes could be drawn")]
    Random(#[from] RandomError),
    /// The second tier is full of what may not go for this entry.
    #[error("the second tier has no room for {needed} bytes; it holds {max} at most")]
    L2Full {
        /// What the entry is charged with.
        needed: u64,
        /// What the tier may hold.
        max: u64,
    },
    /// The store of the second tier failed.
    #[error("the store of the second tier failed")]
    Store(#[source] Arc<StoreError>),
    /// The commit that carried the request ended abnormally.
    #[error("the commit ended abnormally; its outcome is unknown")]
    Abandoned(#[from] Abandoned),
    /// The cache was closed.
    #[error("the cache is closed")]
    Closed,
    /// Another cache opened the store of the second tier since.
    #[error("another cache has opened the store of the second tier")]
    Taken,
}

impl From<StoreError> for CacheError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl CacheError {
    pub(crate) const fn invalid(field: &'static str, problem: Problem) -> Self {
        Self::Invalid { field, problem }
    }
}

/// Refuses a number outside `min..=max`.
pub(crate) const fn check_range(
    field: &'static str,
    value: u64,
    (min, max): (u64, u64),
) -> Result<(), CacheError> {
    if value < min || value > max {
        let problem = Problem::Range { value, min, max };
        return Err(CacheError::invalid(field, problem));
    }
    Ok(())
}

impl Coded for CacheError {
    fn code(&self) -> &'static str {
        match self {
            Self::BlobTooLarge { .. } => "blob_too_large",
            Self::MetadataTooLarge { .. } => "metadata_too_large",
            Self::TooManyNamespaces { .. } => "too_many_namespaces",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::Invalid { .. } => "invalid_request",
            Self::Random(_) => "no_randomness",
            Self::L2Full { .. } => "l2_full",
            Self::Store(error) => error.kind().code(),
            Self::Abandoned(_) => "abandoned",
            Self::Closed => "cache_closed",
            Self::Taken => "cache_taken",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::BlobTooLarge { .. } | Self::MetadataTooLarge { .. } | Self::Invalid { .. } => {
                ErrorKind::Invalid
            }
            Self::TooManyNamespaces { .. } | Self::L2Full { .. } => ErrorKind::Refused,
            Self::VersionMismatch { .. } => ErrorKind::Conflict,
            Self::Random(_) => ErrorKind::Environment,
            Self::Store(error) => kind_of(error.kind()),
            Self::Abandoned(_) => ErrorKind::Indeterminate,
            Self::Closed | Self::Taken => ErrorKind::Closed,
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

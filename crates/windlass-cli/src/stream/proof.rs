//! What can be wrong with what was read.

use windlass::core::{Coded, ErrorKind};

/// Why a read was not given as it was stored, or the stream has no good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    /// The rows before a mark are not those it was made of.
    #[error("the rows received before `{offset}` are not those that were stored there")]
    Digest { offset: String },
    /// Who wrote the stream gave up.
    #[error("the stream has failed: {message} (`{code}`)")]
    Failed { code: String, message: String },
}

impl Coded for ProofError {
    fn code(&self) -> &'static str {
        match self {
            Self::Digest { .. } => "stream_digest_mismatch",
            Self::Failed { .. } => "stream_failed",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Digest { .. } => ErrorKind::Corrupt,
            Self::Failed { .. } => ErrorKind::Conflict,
        }
    }
}

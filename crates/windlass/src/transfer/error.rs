//! Every way in which moving can fail.

use std::io;

use windlass_core::{Coded, ErrorKind};
use windlass_store::StoreError;

use crate::OpenError;
use crate::error::kind_of;

/// Why an export or an import did not come to its end. A store that was
/// exported is as it was; one that was imported into holds part of the file,
/// and nobody can open it, until the import has been finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file could not be written.
    #[error("cannot write the export")]
    Write(#[source] io::Error),
    /// The file could not be read.
    #[error("cannot read the export")]
    Read(#[source] io::Error),
    /// It is no export.
    #[error("the file is no export of a store")]
    Foreign,
    /// It is an export of a newer version.
    #[error("the export has a format that this version does not read; it reads format 01")]
    UnknownFormat,
    /// The file ends before its end.
    #[error("the export is cut short; export the store again")]
    CutShort,
    /// The file is not what was written.
    #[error("the export is damaged in frame {frame}: {why}; export the store again")]
    Damaged {
        /// The frame, counted from 1.
        frame: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is something in the store that this file did not bring.
    #[error("the store is not empty; an import needs a new one")]
    NotEmpty,
    /// The store has part of another file.
    #[error("the store holds part of another export; finish that import, or use a new store")]
    OtherExport,
    /// The store to be exported holds part of something.
    #[error("the store holds an unfinished import; finish that first")]
    Half,
    /// Somebody else writes to the store.
    #[error("somebody else changed the store during the import; stop them and import again")]
    Raced,
    /// All was written, but the store gives back something else.
    #[error("what is stored differs from the export; remove the store and import again")]
    Differs,
    /// The store could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed; an import goes on when it is called again.
    #[error("cannot {verb} the store")]
    Store {
        /// What was tried.
        verb: &'static str,
        /// What the store says.
        source: StoreError,
    },
}

impl TransferError {
    pub(crate) fn store(verb: &'static str) -> impl FnOnce(StoreError) -> Self {
        move |source| Self::Store { verb, source }
    }
}

impl Coded for TransferError {
    fn code(&self) -> &'static str {
        match self {
            Self::Write(_) => "export_unwritable",
            Self::Read(_) => "export_unreadable",
            Self::Foreign => "no_export",
            Self::UnknownFormat => "unknown_format",
            Self::CutShort | Self::Damaged { .. } => "export_damaged",
            Self::NotEmpty => "store_not_empty",
            Self::OtherExport => "other_export",
            Self::Half => "import_unfinished",
            Self::Raced => "import_raced",
            Self::Differs => "import_differs",
            Self::Open(source) => source.code(),
            Self::Store { source, .. } => source.kind().code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Write(_) | Self::Read(_) => ErrorKind::Environment,
            Self::Foreign | Self::UnknownFormat => ErrorKind::Invalid,
            Self::CutShort | Self::Damaged { .. } | Self::Differs => ErrorKind::Corrupt,
            Self::NotEmpty | Self::OtherExport | Self::Half | Self::Raced => ErrorKind::Conflict,
            Self::Open(source) => source.kind(),
            Self::Store { source, .. } => kind_of(source.kind()),
        }
    }
}

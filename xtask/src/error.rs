//! What keeps a task from coming to any verdict. A verdict of "no" is not an
//! error: it is a failed step or a list of findings.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A task could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// A program could not be started or waited for.
    #[error("cannot run `{program}`")]
    Spawn { program: String, source: io::Error },
    /// A program that was asked for something has not answered.
    #[error("`{program}` failed: {status}")]
    Refused { program: String, status: ExitStatus },
    /// A file or directory of the workspace could not be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file or directory could not be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// The workspace's manifest makes no sense.
    #[error("cannot understand the workspace's manifest")]
    Manifest(#[from] toml::de::Error),
    /// Cargo could not describe the workspace.
    #[error("cannot read the dependency graph")]
    Metadata(#[from] cargo_metadata::Error),
}

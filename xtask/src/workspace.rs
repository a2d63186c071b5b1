//! The workspace that the tasks work on: its root, and what cargo says of it.

use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};

use crate::error::TaskError;

/// The directory of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent()
        .expect("the tool lives one directory below the root")
        .to_path_buf()
}

/// The workspace without what it depends on; quick, and needs no downloads.
pub(crate) fn members() -> Result<Metadata, TaskError> {
    Ok(manifest().no_deps().exec()?)
}

/// The workspace with its whole dependency graph. Downloads what is missing,
/// for every platform, so later steps can work offline.
pub(crate) fn graph() -> Result<Metadata, TaskError> {
    Ok(manifest().exec()?)
}

fn manifest() -> MetadataCommand {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    command
}

/// The root and the name of each of our packages.
pub(crate) fn package_directories(metadata: &Metadata) -> Vec<(PathBuf, String)> {
    let packages = metadata.workspace_packages().into_iter().map(|package| {
        let directory = package.manifest_path.parent();
        let directory = directory.expect("a manifest lies in a directory");
        (
            directory.as_std_path().to_path_buf(),
            package.name.to_string(),
        )
    });
    packages.collect()
}

/// Whether this runs where nobody watches, and so must not leave things out.
#[expect(
    clippy::disallowed_methods,
    reason = "the tool asks on its own behalf, not for the product"
)]
pub(crate) fn is_unattended() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

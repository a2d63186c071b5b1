//! Looking at backups.

use std::path::{Path, PathBuf};

use clap::Args;
use windlass::backup;

use super::{bar, progress, show};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The backup: a directory with a manifest
    path: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// The directory that holds backups
    directory: PathBuf,
}

/// What the store, or a server's, remembers.
pub(super) async fn status(context: &Context) -> Result<(), Failure> {
    let status = context
        .with_keeper(async |keeper| keeper.backup_status().await)
        .await?;
    context.output().answer(&status, || show::status(&status))
}

/// Reads all of a backup, and fails if anything in it was changed.
pub(super) fn verify(args: &VerifyArgs, output: &Output) -> Result<(), Failure> {
    let bar = bar(output);
    let verified = backup::verify(&args.path, &mut |step| progress(&bar, step));
    bar.finish_and_clear();
    let manifest = verified?;
    output.answer(&manifest, || show::manifest(&manifest))
}

/// Lists backups by time; one that is damaged is listed as that.
pub(super) fn list(args: &ListArgs, output: &Output) -> Result<(), Failure> {
    let directory: &Path = &args.directory;
    let listed = backup::list(directory)?;
    if output.json() {
        return listed
            .iter()
            .try_for_each(|listed| output.object(&show::listed_object(listed)));
    }
    output.text(&show::listed(&listed))
}

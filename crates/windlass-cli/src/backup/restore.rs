//! Restoring a backup.

use std::panic::resume_unwind;
use std::path::PathBuf;

use clap::Args;
use windlass::{StoreLocation, Windlass};

use super::{bar, progress, show};
use crate::context::Context;
use crate::failure::Failure;

/// Brings everything in a backup into a new store.
///
/// All of the backup is verified before the store is touched. Nobody else may
/// use the store meanwhile. A restore that was interrupted goes on when it is
/// started again with the same backup; until it is finished no other command
/// opens the store. With `--store memory:` it is a drill that leaves nothing.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup: a directory with a manifest
    path: PathBuf,
    /// Bring the copy of the cache into this new store, and nothing else
    #[arg(long, value_name = "STORE")]
    cache: Option<StoreLocation>,
}

/// Restores into the store.
pub(crate) async fn restore(args: &RestoreArgs, context: &Context) -> Result<(), Failure> {
    context.needs_store("`restore`")?;
    let bar = bar(context.output());
    let (path, shown) = (args.path.clone(), bar.clone());
    let (location, cache) = (context.location().clone(), args.cache.clone());
    // Beside whoever listens for interrupts: a file can be read for long.
    let restoring = tokio::spawn(async move {
        let mut observe = |step| progress(&shown, step);
        match &cache {
            Some(cache) => Windlass::restore_cache_from(cache, &path, &mut observe).await,
            None => Windlass::restore_from(&location, &path, &mut observe).await,
        }
    });
    let restored = restoring.await;
    bar.finish_and_clear();
    let restored = restored.unwrap_or_else(|error| resume_unwind(error.into_panic()));
    let restored = restored?;
    let object = show::restored_object(&restored);
    context
        .output()
        .answer(&object, || show::restored(&restored))
}

//! Making a backup.

use std::path::PathBuf;

use clap::Args;
use windlass::Options;
use windlass::backup::Backup;
use windlass::transfer::MOVE_TIME_MAX;

use super::{bar, progress, show};
use crate::context::Context;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(super) struct MakeArgs {
    /// The directory that holds this store's backups; made if there is none
    #[arg(required = true)]
    directory: Option<PathBuf>,
    /// Read the backup back once it is written, and hold it to its manifest
    #[arg(long)]
    verify: bool,
    /// Keep so many whole backups of this store in the directory, the new one
    /// included, and remove older ones; the new one is verified before
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// The cache as well, which no server may have open
    #[arg(long)]
    cache: bool,
}

pub(super) async fn make(args: &MakeArgs, context: &Context) -> Result<(), Failure> {
    context.needs_store("`backup`")?;
    let directory = args.directory.clone();
    let asked = Backup {
        directory: directory.expect("without a subcommand it is required"),
        verify: args.verify,
        keep: args
            .keep
            .map(|keep| usize::try_from(keep).unwrap_or(usize::MAX)),
        cache: args.cache,
    };
    let bar = bar(context.output());
    let options = Options {
        export_time_max: Some(MOVE_TIME_MAX),
        ..context.options_for(args.cache)
    };
    let made = context
        .with_options(options, async |windlass| {
            let mut observe = |step| progress(&bar, step);
            Ok(windlass.back_up(&asked, &mut observe).await?)
        })
        .await;
    bar.finish_and_clear();
    let made = made?;
    context
        .output()
        .answer(&show::made_object(&made), || show::made(&made))
}

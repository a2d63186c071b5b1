//! `windlass replay`: drives the engine with recorded agent runs.

use std::path::PathBuf;

use clap::Args;
use windlass_replay::{ReadOptions, Recording, Replay, ReplayOptions};

use crate::context::Context;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The recording: a file, or a directory of them
    path: PathBuf,
}

/// Replays a recording and reports what came of it.
pub(crate) async fn run(args: ReplayArgs, context: &Context) -> Result<(), Failure> {
    let recording = Recording::read(&args.path, &ReadOptions::default())?;
    let options = ReplayOptions::default();
    let report = context
        .with_engine(async |windlass| {
            let replay = Replay {
                windlass,
                caller: context.caller(),
                recording: &recording,
                options: &options,
            };
            Ok(replay.run(&()).await?)
        })
        .await?;
    context.output().object(&report)
}

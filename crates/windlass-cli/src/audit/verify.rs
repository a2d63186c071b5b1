//! The command that verifies a chain, in a store or in a file.

use std::path::PathBuf;

use clap::Args;
use windlass::audit::{ChainHash, NoHash};
use windlass::core::{Coded, ErrorKind};

use super::{OneChain, file, show};
use crate::context::Context;
use crate::engine::Held;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(super) chain: OneChain,
    /// Verify the lines of this file, which `audit export` printed, and no
    /// store; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["store", "server"])]
    file: Option<PathBuf>,
    /// Begin with this event [default: the oldest that is kept]
    #[arg(long, value_name = "SEQ")]
    pub(super) from: Option<u64>,
    /// The hash before the first event of the file, which you noted: `anchor`
    /// of `audit head`
    #[arg(long, value_name = "HASH", value_parser = hash, requires = "file")]
    pub(super) anchor: Option<ChainHash>,
    /// The number and the hash of an event that you noted: a chain that was
    /// written anew has another
    #[arg(long, value_name = "SEQ:HASH", value_parser = noted)]
    pub(super) noted: Option<(u64, ChainHash)>,
}

/// A chain, or an export of one, is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("{whole} is broken: {what}")]
pub(super) struct Broken {
    pub(super) whole: String,
    pub(super) what: String,
}

impl Coded for Broken {
    fn code(&self) -> &'static str {
        "audit_broken"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Corrupt
    }
}

fn noted(text: &str) -> Result<(u64, ChainHash), &'static str> {
    let unclear = "is not a number, a colon and 64 hexadecimal digits";
    let (seq, hash) = text.split_once(':').ok_or(unclear)?;
    let seq = seq.parse().map_err(|_| unclear)?;
    Ok((seq, hash.parse().map_err(|_| unclear)?))
}

fn hash(text: &str) -> Result<ChainHash, NoHash> {
    text.parse()
}

/// Verifies a chain, and fails if it is broken.
pub(crate) async fn verify(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    if let Some(path) = &args.file {
        return file::verify(path, args, context).await;
    }
    let chain = args.chain.chain.as_deref();
    let held = Held {
        from: args.from,
        noted: args.noted,
    };
    let bar = show::events_bar(context.output());
    let mut watch = |done: u64, last: u64| {
        bar.set_length(last);
        bar.set_position(done);
    };
    let verified = context
        .with_trail(async |trail| trail.verify_chain(chain, held, &mut watch).await)
        .await;
    bar.finish_and_clear();
    let verified = verified?;
    let output = context.output();
    output.answer(&verified, || show::verified(&verified))?;
    match &verified.broken {
        None => Ok(()),
        Some(broken) => Err(Failure::from(Broken {
            whole: format!("the chain `{}`", verified.chain),
            what: show::broken(broken),
        })),
    }
}

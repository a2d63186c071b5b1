//! The command that verifies a chain.

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass::audit::ChainHash;
use windlass::core::{Coded, ErrorKind};

use super::{OneChain, show};
use crate::context::Context;
use crate::engine::Held;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    chain: OneChain,
    /// Begin with this event [default: the oldest that is kept]
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// The number and the hash of an event that you noted: a chain that was
    /// written anew has another
    #[arg(long, value_name = "SEQ:HASH", value_parser = noted)]
    noted: Option<(u64, ChainHash)>,
}

/// A chain is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("the chain `{chain}` is broken: {what}")]
struct BrokenChain {
    chain: String,
    what: String,
}

impl Coded for BrokenChain {
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

/// Verifies a chain, and fails if it is broken.
pub(crate) async fn verify(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    let chain = args.chain.chain.as_deref();
    let held = Held {
        from: args.from,
        noted: args.noted,
    };
    let bar = bar(context.output());
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
        Some(broken) => Err(Failure::from(BrokenChain {
            chain: verified.chain.clone(),
            what: show::broken(broken),
        })),
    }
}

fn bar(output: &Output) -> ProgressBar {
    let target = if output.json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let template = "{pos}/{len} events {wide_bar} {eta} left";
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}

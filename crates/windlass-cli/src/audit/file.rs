//! Verifying an export without the store that it came from.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::json;
use windlass::audit::{VerifiedLines, VerifyLines, verify_lines};

use super::show;
use super::verify::{Broken, VerifyArgs};
use crate::context::Context;
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::session::arguments::id;

/// The name that stands for standard input.
const STANDARD: &str = "-";

/// Verifies the lines of a file, and fails if they are broken. No store is
/// opened.
pub(super) async fn verify(
    path: &Path,
    args: &VerifyArgs,
    context: &Context,
) -> Result<(), Failure> {
    let chain = args.chain.chain.as_deref();
    let asked = VerifyLines {
        chain: chain.map(id).transpose()?,
        from: args.from,
        anchor: args.anchor,
        noted: args.noted,
    };
    let held = asked.noted.map(|(seq, _)| seq);
    let named = path.to_owned();
    let bar = show::bytes_bar(context.output());
    let shown = bar.clone();
    let verifying = tokio::task::spawn_blocking(move || {
        let (lines, length) = about(&named, open(&named))?;
        shown.set_length(length.unwrap_or(0));
        let lines = BufReader::new(lines);
        let verified = verify_lines(lines, asked, &mut |bytes| shown.set_position(bytes));
        about(&named, verified)
    });
    let verified = verifying.await;
    bar.finish_and_clear();
    let verified = verified.map_err(|cause| CommandError::Runtime(io::Error::other(cause)))??;
    let output = context.output();
    output.answer(&verified, || show::verified_lines(&verified))?;
    if let Some(broken) = &verified.broken {
        return Err(Failure::from(Broken {
            whole: format!("the export `{}`", path.display()),
            what: broken.to_string(),
        }));
    }
    tell_what_it_shows(output, &verified, held);
    Ok(())
}

fn open(path: &Path) -> io::Result<(Box<dyn Read>, Option<u64>)> {
    if path == Path::new(STANDARD) {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((Box::new(file), Some(length)))
}

fn about<T>(path: &Path, done: io::Result<T>) -> Result<T, Failure> {
    let path: PathBuf = path.to_owned();
    Ok(done.map_err(|source| CommandError::File { path, source })?)
}

/// Says what was not shown, so that nobody takes it for more than it is.
fn tell_what_it_shows(output: &Output, verified: &VerifiedLines, held: Option<u64>) {
    if let Some(seq) = verified.granted {
        let text = format!(
            "the line of event {seq} was not verified, its hash is taken for granted, and \
             events before it may have been taken away; give the hash before the first event \
             with `--anchor`, or that event with `--from`"
        );
        output.note(&json!({ "granted": seq }), &text);
    }
    let text = match held {
        None => "nothing was noted to hold it to: one that was written anew as a whole, or has \
                 lost its last events, looks the same; give `--noted`"
            .to_owned(),
        Some(seq) if seq < verified.through => {
            format!("what comes behind event {seq} is held to nothing that was noted")
        }
        Some(_) => return,
    };
    output.note(&json!({ "held_through": held }), &text);
}

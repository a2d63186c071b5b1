//! `windlass export` and `windlass import`: everything stored, by way of a
//! file, into another store.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use windlass::transfer::{MOVE_TIME_MAX, Moved, Report};
use windlass::{Options, Windlass};

use crate::context::Context;
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::table;

/// The name that stands for standard input or output.
const STANDARD: &str = "-";

/// Writes everything in the store to a file, as it is at one moment.
///
/// The file has the same bytes whatever the kind of store, is compressed, and
/// carries checksums. Others may go on working with the store meanwhile.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The file, which is there only once it is whole; `-` for standard output
    file: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    yes: bool,
}

/// Brings everything in an export into a new store.
///
/// Nobody else may use the store meanwhile. An import that was interrupted
/// goes on where it was when it is started again with the same file; until it
/// is finished no other command opens the store.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The file; `-` for standard input
    file: PathBuf,
}

/// Exports the store.
pub(crate) async fn export(args: &ExportArgs, context: &Context) -> Result<(), Failure> {
    context.needs_store("`export`")?;
    let standard = args.file == Path::new(STANDARD);
    if standard && io::stdout().is_terminal() {
        return Err(CommandError::Terminal.into());
    }
    if !standard {
        ensure_free(args)?;
    }
    let bar = bar(context.output(), None);
    let options = Options {
        export_time_max: Some(MOVE_TIME_MAX),
        ..context.options()
    };
    let report = context
        .with_options(options, async |windlass| {
            let mut progress = |moved: Moved| show(&bar, moved);
            let report = if standard {
                windlass.export_to(&mut io::stdout(), &mut progress).await?
            } else {
                let mut file = Unfinished::new(args)?;
                let report = windlass.export_to(&mut file.0, &mut progress).await?;
                file.finish(args)?;
                report
            };
            Ok(report)
        })
        .await;
    bar.finish_and_clear();
    tell(context.output(), &report?, standard)
}

/// Imports into the store.
pub(crate) async fn import(args: &ImportArgs, context: &Context) -> Result<(), Failure> {
    context.needs_store("`import`")?;
    let (mut input, length) = source(&args.file)?;
    let bar = bar(context.output(), length);
    let (location, shown) = (context.location().clone(), bar.clone());
    // Beside whoever listens for interrupts: a read can wait for its input
    // for ever.
    let importing = tokio::spawn(async move {
        let mut progress = |moved: Moved| show(&shown, moved);
        Windlass::import_from(&location, &mut *input, &mut progress).await
    });
    let imported = importing.await;
    bar.finish_and_clear();
    let imported = imported.unwrap_or_else(|error| resume_unwind(error.into_panic()));
    tell(context.output(), &imported?, false)
}

/// What is read, and how long it is if that is known.
fn source(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    if path == Path::new(STANDARD) {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = about(path, File::open(path))?;
    let length = about(path, file.metadata())?.len();
    Ok((Box::new(io::BufReader::new(file)), Some(length)))
}

fn about<T>(path: &Path, done: io::Result<T>) -> Result<T, Failure> {
    let path = path.to_owned();
    Ok(done.map_err(|source| CommandError::File { path, source })?)
}

/// Refuses a name that must not be given to an export: that of a file, unless
/// it may be replaced, or of anything else, such as a device.
fn ensure_free(args: &ExportArgs) -> Result<(), Failure> {
    match fs::metadata(&args.file) {
        Ok(found) if !args.yes && found.is_file() => Err(exists(&args.file)),
        Ok(found) if !found.is_file() => {
            let why = "it is no file; use `-` and pass the export on";
            about(&args.file, Err(io::Error::other(why)))
        }
        _ => Ok(()),
    }
}

fn exists(path: &Path) -> Failure {
    let path = path.to_owned();
    CommandError::Exists { path }.into()
}

/// A file that gets its name once all of it is on the disk.
struct Unfinished(NamedTempFile);

impl Unfinished {
    fn new(args: &ExportArgs) -> Result<Self, Failure> {
        let made = NamedTempFile::new_in(directory(&args.file));
        about(&args.file, made).map(Self)
    }

    fn finish(mut self, args: &ExportArgs) -> Result<(), Failure> {
        let synced = self.0.flush().and_then(|()| self.0.as_file().sync_all());
        about(&args.file, synced)?;
        let named = if args.yes {
            self.0.persist(&args.file)
        } else {
            self.0.persist_noclobber(&args.file)
        };
        match named {
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(&args.file));
            }
            named => about(&args.file, named.map_err(|error| error.error))?,
        };
        let directory = File::open(directory(&args.file));
        about(&args.file, directory.and_then(|it| it.sync_all()))
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Shows how far it is: of the file where its length is known.
fn bar(output: &Output, length: Option<u64>) -> ProgressBar {
    let target = if output.json() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let template = match length {
        Some(_) => "{bytes}/{total_bytes} {wide_bar} {eta} left, {msg}",
        None => "{spinner} {msg}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    ProgressBar::with_draw_target(length, target).with_style(style)
}

fn show(bar: &ProgressBar, moved: Moved) {
    bar.set_position(moved.file_bytes);
    bar.set_message(format!(
        "{} entries, {}",
        moved.entries,
        HumanBytes(moved.bytes)
    ));
}

/// Reports what was moved; beside the data if that went to standard output.
fn tell(output: &Output, report: &Report, beside: bool) -> Result<(), Failure> {
    let Report {
        moved,
        digest,
        found,
    } = report;
    let object = json!({
        "entries": moved.entries,
        "bytes": moved.bytes,
        "file_bytes": moved.file_bytes,
        "found": found,
        "digest": digest,
    });
    if beside {
        output.note(&object, &format!("{} entries exported", moved.entries));
        return Ok(());
    }
    output.answer(&object, || shown(&object))
}

fn shown(object: &Value) -> String {
    let field = |name: &'static str| match &object[name] {
        Value::String(text) => (name, text.clone()),
        other => (name, other.to_string()),
    };
    table::fields(["entries", "bytes", "file_bytes", "found", "digest"].map(field))
}

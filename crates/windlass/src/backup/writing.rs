//! Stores to a backup.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use windlass_core::{Env, Millis};
use windlass_store::Entry;

use super::files::{Held, Partial, remove};
use super::keeping::surplus;
use super::manifest::{Manifest, PartFigures, StoreFigures, part};
use super::verifying::verify;
use super::{Backup, BackupError, Made, Observe, Source, Stage, Step};
use crate::transfer::{self, Moved, TransferError, hex};

/// Bytes that are written at a time.
const WRITE_BYTES: usize = 256 * 1_024;

/// Makes a backup of `sources`, each as it is at one point in time, whatever
/// commits meanwhile, and removes those that are more than are to be kept.
/// Memory stays below some MiB; files are written in pieces of a MiB and less,
/// during which the calling task waits.
///
/// An error, or a future that is dropped, leaves no backup; one that is given
/// out is on the disk.
///
/// # Errors
///
/// [`BackupError::Running`] if somebody else makes one into the directory,
/// `Write` where that fails, `Transfer` where a store cannot give everything,
/// `KeepsNone`; and those of [`verify`] if it was asked for.
pub async fn create(
    sources: &[Source<'_>],
    asked: &Backup,
    env: &dyn Env,
    observe: Observe<'_>,
) -> Result<Made, BackupError> {
    if asked.keep == Some(0) {
        return Err(BackupError::KeepsNone);
    }
    let started = env.monotonic();
    let held = Held::take(&asked.directory)?;
    let begun_at = env.now();
    let mut manifest = Manifest::new(name(env, begun_at)?, begun_at);
    let partial = Partial::new(&asked.directory, &manifest.name)?;
    for source in sources {
        let figures = copy(*source, &partial, observe).await?;
        manifest.stores.push(figures);
    }
    manifest.finished_at = env.now();
    partial.seal(&manifest)?;
    let verified = asked.verify || asked.keep.is_some();
    if verified {
        // One that is not what was written never gets a name.
        verify(partial.path(), observe)?;
    }
    let path = partial.give_name()?;
    let removed = match asked.keep {
        Some(keep) => thin_out(&asked.directory, &manifest, keep)?,
        None => Vec::new(),
    };
    drop(held);
    let took = env.monotonic().saturating_sub(started);
    Ok(Made {
        path,
        manifest,
        verified,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        removed,
    })
}

/// A name that sorts by time and that no other backup has.
fn name(env: &dyn Env, at: Millis) -> Result<String, BackupError> {
    let mut random = [0; 4];
    env.random(&mut random)?;
    let ms = i64::try_from(at.get()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    let time = time.strftime("%Y%m%dT%H%M%SZ");
    Ok(format!("{time}-{}", hex(&random)))
}

fn thin_out(directory: &Path, newest: &Manifest, keep: usize) -> Result<Vec<String>, BackupError> {
    let names = surplus(directory, newest, keep)?;
    for name in &names {
        remove(directory, name)?;
    }
    Ok(names)
}

/// Copies one store into a file that is on the disk when this returns.
async fn copy(
    source: Source<'_>,
    partial: &Partial,
    observe: Observe<'_>,
) -> Result<StoreFigures, BackupError> {
    let name = source.slot.file();
    let (file, path) = partial.file(&name)?;
    let mut hashing = Hashing::new(file);
    let mut counted = Counted::default();
    let mut progress = |moved: Moved| {
        observe(Step {
            stage: Stage::Copying,
            slot: source.slot,
            moved,
            file_bytes: None,
        });
    };
    let mut visit = |entry: &Entry| counted.add(entry);
    let copied =
        transfer::export_visited(source.store, &mut hashing, &mut visit, &mut progress).await;
    let report = copied.map_err(|error| match error {
        TransferError::Write(error) => BackupError::write(&path)(error),
        error => error.into(),
    })?;
    let sha256 = hashing.finish().map_err(BackupError::write(&path))?;
    Ok(StoreFigures {
        store: source.slot,
        incarnation: counted.incarnation,
        file: name,
        file_bytes: report.moved.file_bytes,
        sha256,
        entries: report.moved.entries,
        bytes: report.moved.bytes,
        digest: report.digest,
        parts: owned(&counted.parts),
    })
}

/// What is seen of the entries on their way.
#[derive(Debug, Default)]
struct Counted {
    incarnation: Option<String>,
    parts: BTreeMap<&'static str, PartFigures>,
}

impl Counted {
    fn add(&mut self, entry: &Entry) {
        if self.incarnation.is_none() {
            let number = entry.version.incarnation().number();
            self.incarnation = Some(format!("{number:016x}"));
        }
        count(&mut self.parts, &entry.key, &entry.value);
    }
}

/// Counts an entry for its part.
pub(super) fn count(parts: &mut BTreeMap<&'static str, PartFigures>, key: &[u8], value: &[u8]) {
    let figures = parts.entry(part(key)).or_default();
    figures.entries += 1;
    figures.bytes += u64::try_from(key.len() + value.len()).unwrap_or(u64::MAX);
}

/// The figures by names that a manifest owns.
pub(super) fn owned(parts: &BTreeMap<&'static str, PartFigures>) -> BTreeMap<String, PartFigures> {
    let named = |(name, figures): (&&str, &PartFigures)| ((*name).to_owned(), *figures);
    parts.iter().map(named).collect()
}

/// A file, and the hash of all that goes into it.
struct Hashing {
    file: BufWriter<File>,
    hash: Sha256,
}

impl Hashing {
    fn new(file: File) -> Self {
        Self {
            file: BufWriter::with_capacity(WRITE_BYTES, file),
            hash: Sha256::new(),
        }
    }

    /// Syncs it.
    fn finish(self) -> io::Result<String> {
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()?;
        Ok(hex(&self.hash.finalize()))
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

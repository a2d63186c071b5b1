//! How a store comes to be: whole, or not at all.
//!
//! It is built in a directory of its own (`PATH.init-<random>`), closed,
//! synced, and only then given its name. So whatever is found at that name
//! once was whole, and an empty directory there is damage, never a fresh
//! store.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use windlass_store::Incarnation;

use crate::engine::{Disk, Engine};
use crate::error::Failure;
use crate::files::{self, Files};
use crate::ledger::Ledger;
use crate::limits::{STALE_BIRTH_SECONDS, STALE_BIRTHS_REMOVED_MAX};
use crate::mark::{Mark, Note, State};
use crate::options::{Durability, Options};
use crate::row::LEDGER_KEY;

/// Makes the store unless there is one. Safe against any number of others
/// doing the same.
pub(crate) fn ensure(files: &Files, options: &Options) -> Result<(), Failure> {
    if files.survey()? {
        return Ok(());
    }
    let draw = Incarnation::draw()
        .map_err(|cause| Failure::environment("no random number can be had").caused_by(cause))?;
    let cradle = Cradle::make(files, draw)?;
    build(&cradle.files, options, draw)?;
    cradle.files.restrict_all()?;
    cradle.files.sync_all()?;
    let parent = files.directory().parent().unwrap_or(Path::new("/"));
    match fs::rename(cradle.files.directory(), files.directory()) {
        Ok(()) => files::sync(parent)?,
        // Somebody was faster.
        Err(_) if files.survey()? => {}
        Err(cause) => {
            let context = format!("`{}` cannot be created", files.display());
            return Err(Failure::system(context, cause));
        }
    }
    remove_abandoned(files);
    Ok(())
}

/// The directory a store is built in; removed when dropped, unless it got
/// its name.
struct Cradle {
    files: Files,
}

impl Cradle {
    fn make(files: &Files, draw: Incarnation) -> Result<Self, Failure> {
        let path = beside(files, &format!(".init-{:016x}", draw.number()));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Ok(()) => Ok(Self {
                files: Files::within(path),
            }),
            Err(cause) => {
                let context = format!("`{}` cannot be created", path.display());
                Err(Failure::system(context, cause))
            }
        }
    }
}

impl Drop for Cradle {
    fn drop(&mut self) {
        // It is not there if all went well.
        let _ = fs::remove_dir_all(self.files.directory());
    }
}

fn build(files: &Files, options: &Options, incarnation: Incarnation) -> Result<(), Failure> {
    let engine = Engine::open(files, options)?;
    let disk = Disk::open(&engine, files, Durability::Synced)?;
    let mut batch = sled::Batch::default();
    batch.insert(&LEDGER_KEY, &Ledger::empty(incarnation).to_bytes()[..]);
    engine.apply(batch)?;
    disk.sync()?;
    drop(engine);
    if !disk.close() {
        return Err(Failure::unavailable("sled did not let go of a new store"));
    }
    let note = Note {
        incarnation,
        sequence: 0,
        state: State::Closed {
            file_bytes: files.log_bytes(),
        },
    };
    Mark::create(&files.mark(), note)
}

fn beside(files: &Files, suffix: &str) -> PathBuf {
    let mut name = files.directory().as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes what births left behind that died long ago. Ages are compared with
/// the new store's own, so no clock is read. Failing to is harmless.
fn remove_abandoned(files: &Files) {
    let modified = |path: &Path| -> io::Result<SystemTime> { fs::metadata(path)?.modified() };
    let (Ok(made), Some(parent)) = (modified(&files.mark()), files.directory().parent()) else {
        return;
    };
    let Ok(names) = fs::read_dir(parent) else {
        return;
    };
    let prefix = beside(files, ".init-");
    let prefix = prefix.as_os_str().as_encoded_bytes();
    let stale = |path: &PathBuf| {
        let age = modified(path)
            .ok()
            .and_then(|then| made.duration_since(then).ok());
        path.as_os_str().as_encoded_bytes().starts_with(prefix)
            && age.is_some_and(|age| age > Duration::from_secs(STALE_BIRTH_SECONDS))
    };
    let paths = names.filter_map(|name| Some(name.ok()?.path()));
    for path in paths.filter(stale).take(STALE_BIRTHS_REMOVED_MAX) {
        let _ = fs::remove_dir_all(path);
    }
}

//! Directories and files that are on the disk once a call has returned.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::BackupError;
use super::manifest::{self, Manifest};

/// What the name of a directory begins with that is being written.
pub(super) const PARTIAL: &str = ".partial-";
/// What the name of a directory begins with that is being removed.
pub(super) const REMOVED: &str = ".removed-";
/// The file that whoever changes a directory of backups has locked.
const LOCK: &str = ".lock";

/// The right to change a directory of backups.
#[derive(Debug)]
pub(super) struct Held {
    _lock: File,
}

impl Held {
    /// Takes the right, and clears away what the last who had it left undone.
    pub(super) fn take(directory: &Path) -> Result<Self, BackupError> {
        make_directories(directory)?;
        let path = directory.join(LOCK);
        let lock = private().create(true).truncate(false).open(&path);
        let lock = lock.map_err(BackupError::write(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let directory = directory.to_owned();
                return Err(BackupError::Running { directory });
            }
            Err(fs::TryLockError::Error(error)) => return Err(BackupError::write(&path)(error)),
        }
        clear(directory)?;
        Ok(Self { _lock: lock })
    }
}

/// Removes what is neither whole nor being written, now that nobody writes.
fn clear(directory: &Path) -> Result<(), BackupError> {
    for name in names(directory)? {
        if name.starts_with(PARTIAL) || name.starts_with(REMOVED) {
            let path = directory.join(name);
            fs::remove_dir_all(&path).map_err(BackupError::write(&path))?;
        }
    }
    Ok(())
}

/// The names of the directories in a directory, in order.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, BackupError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort();
        Ok(names)
    };
    read().map_err(BackupError::read(directory))
}

/// Makes a directory and those above it, and syncs each that got a new name.
fn make_directories(path: &Path) -> Result<(), BackupError> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    make_directories(&above)?;
    match directories().create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(BackupError::write(path)),
    }?;
    sync_directory(&above)
}

/// A directory that is none yet: gone when dropped, unless it was named.
#[derive(Debug)]
pub(super) struct Partial {
    directory: PathBuf,
    path: PathBuf,
    name: String,
    named: bool,
}

impl Partial {
    pub(super) fn new(directory: &Path, name: &str) -> Result<Self, BackupError> {
        let path = directory.join(format!("{PARTIAL}{name}"));
        directories()
            .create(&path)
            .map_err(BackupError::write(&path))?;
        Ok(Self {
            directory: directory.to_owned(),
            path,
            name: name.to_owned(),
            named: false,
        })
    }

    /// A new file in it, and where that is.
    pub(super) fn file(&self, name: &str) -> Result<(File, PathBuf), BackupError> {
        let path = self.path.join(name);
        let file = private().create_new(true).open(&path);
        Ok((file.map_err(BackupError::write(&path))?, path))
    }

    /// Where it is as long as it has no name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the manifest, when all files are on the disk.
    pub(super) fn seal(&self, manifest: &Manifest) -> Result<(), BackupError> {
        sync_directory(&self.path)?;
        let (mut file, path) = self.file(manifest::FILE)?;
        let written = file.write_all(manifest.encode().as_bytes());
        let synced = written.and_then(|()| file.sync_all());
        synced.map_err(BackupError::write(&path))?;
        sync_directory(&self.path)
    }

    /// Gives the directory its name, by which it is a backup.
    pub(super) fn give_name(mut self) -> Result<PathBuf, BackupError> {
        let target = self.directory.join(&self.name);
        fs::rename(&self.path, &target).map_err(BackupError::write(&target))?;
        self.named = true;
        sync_directory(&self.directory)?;
        Ok(target)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.named {
            // What stays is cleared by the next who writes here.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes a backup: first it is none, then its files go.
pub(super) fn remove(directory: &Path, name: &str) -> Result<(), BackupError> {
    let path = directory.join(name);
    let gone = directory.join(format!("{REMOVED}{name}"));
    fs::rename(&path, &gone).map_err(BackupError::write(&path))?;
    sync_directory(directory)?;
    fs::remove_dir_all(&gone).map_err(BackupError::write(&gone))
}

fn sync_directory(path: &Path) -> Result<(), BackupError> {
    let opened = File::open(path);
    opened
        .and_then(|directory| directory.sync_all())
        .map_err(BackupError::write(path))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Files that nobody else may read: a backup has all that is stored.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn directories() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

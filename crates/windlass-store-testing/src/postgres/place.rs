//! Where servers have their files: one directory a server, below one a user.
//!
//! ```text
//! TMP/windlass-postgres-<user>/
//!   lock                     held while a template is made
//!   template-<version>/      what `initdb` made, to be copied
//!   <process>-<number>/      one server
//!     owner                  held for as long as the server is wanted
//!     data/
//! ```

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::installation::{Installation, user_id};
use super::{ServerError, template};

/// The directory of one server; removed when dropped.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    /// Locked: says that the directory is in use.
    _owner: File,
}

impl Place {
    /// Makes a directory without `data`, and removes those of servers whose
    /// test is gone.
    pub(super) fn make(installation: &Installation) -> Result<Self, ServerError> {
        let base = base()?;
        let _lock = lock(&base.join("lock")).map_err(ServerError::system("lock the servers"))?;
        sweep(&base);
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = base.join(format!("{}-{number}", std::process::id()));
        let made = make_owned(&directory, installation);
        made.map_err(ServerError::system("make a directory for a server"))?;
        let owner = lock(&directory.join("owner"));
        let owner = owner.map_err(ServerError::system("lock a directory for a server"))?;
        Ok(Self {
            directory,
            _owner: owner,
        })
    }

    /// The same, with the files of a server that was never used.
    pub(super) fn populated(installation: &Installation) -> Result<Self, ServerError> {
        let place = Self::make(installation)?;
        let base = base()?;
        let template = template::ensure(installation, &base)?;
        template::copy(installation, &template, &place.data())?;
        Ok(place)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed now, the next server's start removes.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The directory of this user's servers.
fn base() -> Result<PathBuf, ServerError> {
    let user = user_id(None)?.ok_or(ServerError::NoAccount)?;
    let base = std::env::temp_dir().join(format!("windlass-postgres-{user}"));
    match DirBuilder::new().mode(0o755).create(&base) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(ServerError::system("make the directory of servers")(error));
        }
        _ => {}
    }
    let found = fs::symlink_metadata(&base);
    let found = found.map_err(ServerError::system("look at the directory of servers"))?;
    if found.uid() == user && found.is_dir() {
        Ok(base)
    } else {
        let path = base.display().to_string();
        Err(ServerError::Foreign { path })
    }
}

/// Makes a directory into which PostgreSQL's programs may write.
pub(super) fn make_owned(directory: &Path, installation: &Installation) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(directory)?;
    match installation.account() {
        Some(account) => chown(directory, Some(account.user), Some(account.group)),
        None => Ok(()),
    }
}

/// Opens a file and waits until no other process has it locked.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    file.lock()?;
    Ok(file)
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

/// Removes the directories of servers that nobody holds any more.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    let directories = entries.filter_map(Result::ok).map(|entry| entry.path());
    for directory in directories.filter(|path| path.join("owner").is_file()) {
        let abandoned = open(&directory.join("owner")).is_ok_and(|owner| owner.try_lock().is_ok());
        if abandoned {
            // Best effort: another sweep comes.
            let _ = fs::remove_dir_all(&directory);
        }
    }
}

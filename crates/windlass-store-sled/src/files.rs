//! The directory of a store: the names in it, and what can be learnt from it
//! before sled sees it. sled repairs what it opens, and what it takes for
//! empty it makes anew; so what is no store of ours is refused here.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::mark::{Note, State};

/// A directory of a store.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    /// The directory at `path`, by a name that is the same for every process,
    /// whatever link or relative path it was given.
    pub(crate) fn locate(path: &Path) -> Result<Self, Failure> {
        if let Ok(directory) = fs::canonicalize(path) {
            return Ok(Self { directory });
        }
        let Some(name) = path.file_name() else {
            let context = format!("`{}` names no directory", path.display());
            return Err(Failure::environment(context));
        };
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let parent = fs::canonicalize(parent).map_err(|cause| {
            let context = format!("directory `{}` cannot be used", parent.display());
            Failure::system(context, cause)
        })?;
        Ok(Self {
            directory: parent.join(name),
        })
    }

    /// The files of a store in a directory of this very name.
    pub(crate) const fn within(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory itself.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// sled's log, which holds all data.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("db")
    }

    /// Our mark.
    pub(crate) fn mark(&self) -> PathBuf {
        self.directory.join("windlass")
    }

    /// The file whose lock says that a store is open.
    pub(crate) fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// The path, for messages.
    pub(crate) fn display(&self) -> std::path::Display<'_> {
        self.directory.display()
    }

    /// Refuses what cannot be a store, judged from outside; whether there is
    /// anything at all.
    pub(crate) fn survey(&self) -> Result<bool, Failure> {
        let path = self.display();
        let metadata = match fs::metadata(&self.directory) {
            Ok(metadata) => metadata,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(cause) => {
                return Err(Failure::system(
                    format!("`{path}` cannot be looked at"),
                    cause,
                ));
            }
        };
        if !metadata.is_dir() {
            return Err(Failure::environment(format!("`{path}` is not a directory")));
        }
        if self.is_empty()? {
            let context = format!("`{path}` was emptied or never held a store");
            return Err(Failure::corrupt(context));
        }
        if !self.mark().exists() {
            let context = format!("`{path}` is not a store of Windlass: it has no mark");
            return Err(Failure::environment(context));
        }
        Ok(true)
    }

    fn is_empty(&self) -> Result<bool, Failure> {
        let names = fs::read_dir(&self.directory);
        let mut names = names.map_err(|cause| {
            Failure::system(format!("`{}` cannot be read", self.display()), cause)
        })?;
        Ok(names.next().is_none())
    }

    /// Refuses a log that is not as long as it must be.
    pub(crate) fn survey_log(&self, note: Note) -> Result<(), Failure> {
        let log = self.log();
        let found = match fs::metadata(&log) {
            Ok(metadata) => metadata.len(),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::corrupt(format!("`{}` is missing", log.display())));
            }
            Err(cause) => {
                let context = format!("`{}` cannot be looked at", log.display());
                return Err(Failure::system(context, cause));
            }
        };
        let expected = match note.state {
            State::Open => 1,
            State::Closed { file_bytes } => file_bytes,
        };
        if found < expected {
            let log = log.display();
            return Err(Failure::corrupt(format!(
                "`{log}` was cut: {found} of at least {expected} bytes are left"
            )));
        }
        Ok(())
    }

    /// Removes what sled left behind when it died while it wrote a snapshot.
    /// It would take that for the newest one, and refuse to open.
    pub(crate) fn remove_unfinished_snapshots(&self) -> Result<(), Failure> {
        for path in self.all()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                let removed = fs::remove_file(&path);
                removed.map_err(|cause| {
                    Failure::system(format!("`{}` cannot be removed", path.display()), cause)
                })?;
            }
        }
        Ok(())
    }

    /// Lets nobody but the owner read what sled has created since.
    pub(crate) fn restrict_all(&self) -> Result<(), Failure> {
        #[cfg(unix)]
        for path in self.all()? {
            use std::os::unix::fs::PermissionsExt;
            let mode = if path.is_dir() { 0o700 } else { 0o600 };
            let set = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
            set.map_err(|cause| {
                let context = format!("permissions of `{}` cannot be set", path.display());
                Failure::system(context, cause)
            })?;
        }
        Ok(())
    }

    /// Everything directly in the directory.
    fn all(&self) -> Result<Vec<PathBuf>, Failure> {
        let names = fs::read_dir(&self.directory);
        let paths = names.and_then(|names| names.map(|name| Ok(name?.path())).collect());
        paths
            .map_err(|cause| Failure::system(format!("`{}` cannot be read", self.display()), cause))
    }

    /// Makes everything in the directory durable, names included.
    pub(crate) fn sync_all(&self) -> Result<(), Failure> {
        for path in self.all()? {
            sync(&path)?;
        }
        sync(&self.directory)
    }

    /// Bytes of sled's log.
    pub(crate) fn log_bytes(&self) -> u64 {
        fs::metadata(self.log()).map_or(0, |metadata| metadata.len())
    }
}

/// Makes a file, or the names in a directory, durable.
pub(crate) fn sync(path: &Path) -> Result<(), Failure> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|cause| Failure::system(format!("`{}` cannot be synced", path.display()), cause))
}

/// Lets the file be made for its owner alone.
pub(crate) fn restrict(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

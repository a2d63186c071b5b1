//! The files of a store: their names, and what can be learnt from them
//! without opening them.
//!
//! Closing any handle to a database file drops the locks that SQLite holds on
//! it for the whole process, so a file that may be open is only ever looked
//! at with `stat`.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Failure;

/// A file, whatever its name: the device and the number on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// The path of a database and of everything beside it.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    database: PathBuf,
}

impl Files {
    /// The files of the database at `path`, by a name that is the same for
    /// every process, whatever link or relative path it was given.
    pub(crate) fn locate(path: &Path) -> Result<Self, Failure> {
        if let Ok(database) = fs::canonicalize(path) {
            return Ok(Self { database });
        }
        let Some(name) = path.file_name() else {
            return Err(Failure::environment(format!(
                "`{}` names no file",
                path.display()
            )));
        };
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let parent = fs::canonicalize(parent).map_err(|cause| {
            Failure::system(
                format!("directory `{}` cannot be used", parent.display()),
                cause,
            )
        })?;
        Ok(Self {
            database: parent.join(name),
        })
    }

    /// The database itself.
    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    /// The directory all files are in.
    pub(crate) fn directory(&self) -> &Path {
        self.database.parent().unwrap_or(Path::new("/"))
    }

    /// The file beside the database whose name ends with `suffix`.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.database);
        name.push(suffix);
        name.into()
    }

    /// Bytes of write-ahead log on the disk.
    pub(crate) fn wal_bytes(&self) -> u64 {
        fs::metadata(self.beside("-wal")).map_or(0, |metadata| metadata.len())
    }

    /// What tells the database's file from every other, also one that is put
    /// in its place; `None` where there is no file, or no telling.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let metadata = fs::metadata(&self.database).ok()?;
        #[cfg(unix)]
        let identity = Some(Identity(
            std::os::unix::fs::MetadataExt::dev(&metadata),
            std::os::unix::fs::MetadataExt::ino(&metadata),
        ));
        #[cfg(not(unix))]
        let identity = metadata.is_file().then_some(Identity(0, 0));
        identity
    }

    /// Refuses what cannot be a database of ours, judged from outside;
    /// whether there is a file at all.
    pub(crate) fn survey(&self) -> Result<bool, Failure> {
        if let Some(metadata) = self.metadata()? {
            return self.survey_database(&metadata).map(|()| true);
        }
        let Some(orphan) = self.orphan() else {
            return Ok(false);
        };
        // Another process may have made the database since the first look,
        // and a log beside it.
        if self.metadata()?.is_some() {
            return Ok(true);
        }
        Err(Failure::corrupt(format!(
            "`{}` is there without its database",
            orphan.display()
        )))
    }

    fn metadata(&self) -> Result<Option<Metadata>, Failure> {
        match fs::metadata(&self.database) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Failure::system(
                format!("`{}` cannot be looked at", self.display()),
                cause,
            )),
        }
    }

    fn survey_database(&self, metadata: &Metadata) -> Result<(), Failure> {
        let refuse = |what: &str| Err(Failure::environment(format!("`{}` {what}", self.display())));
        if metadata.is_dir() {
            return refuse("is a directory");
        }
        if !metadata.is_file() {
            return refuse("is not a regular file");
        }
        if metadata.permissions().readonly() {
            return refuse("is read-only");
        }
        if metadata.len() == 0 {
            return Err(Failure::corrupt(format!(
                "`{}` was emptied: it has 0 bytes",
                self.display()
            )));
        }
        Ok(())
    }

    fn orphan(&self) -> Option<PathBuf> {
        ["-wal", "-journal"]
            .iter()
            .map(|suffix| self.beside(suffix))
            .find(|path| path.exists())
    }

    /// Makes the names in the directory durable.
    pub(crate) fn sync_directory(&self) -> Result<(), Failure> {
        let directory = self.directory();
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|cause| {
                Failure::system(
                    format!("directory `{}` cannot be synced", directory.display()),
                    cause,
                )
            })
    }

    /// The path of the database, for messages.
    pub(crate) fn display(&self) -> std::path::Display<'_> {
        self.database.display()
    }
}

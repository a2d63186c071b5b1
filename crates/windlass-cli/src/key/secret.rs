//! Where a secret goes that is shown once: to standard output, or to a file
//! that only its owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde_json::json;
use windlass::access::ApiKey;

use super::show;
use crate::failure::{CommandError, Failure};
use crate::output::Output;

/// Only its owner can read it.
const MODE: u32 = 0o600;

/// Where the secret goes. A file is made before the secret is, so that there
/// is somewhere to put it, and goes again if nothing was put there.
pub(super) struct Place(Option<Empty>);

impl Place {
    /// # Errors
    ///
    /// [`CommandError::File`] if there is such a file, or none can be made.
    pub(super) fn new(path: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(MODE);
        match options.open(&path) {
            Ok(file) => Ok(Self(Some(Empty { path, file }))),
            Err(source) => Err(CommandError::File { path, source }.into()),
        }
    }

    /// Writes the secret to the file, if it goes to one, and to the disk.
    pub(super) fn keep(&self, secret: &str) -> Result<(), Failure> {
        let Some(Empty { path, file }) = &self.0 else {
            return Ok(());
        };
        write(file, secret).map_err(|source| {
            let path = path.clone();
            CommandError::File { path, source }.into()
        })
    }

    /// Shows the key, and the secret unless it is in the file.
    pub(super) fn tell(&self, key: &ApiKey, secret: &str, output: &Output) -> Result<(), Failure> {
        let file = self
            .0
            .as_ref()
            .map(|empty| empty.path.display().to_string());
        let shown = file.is_none().then_some(secret);
        let object = json!({ "key": key, "secret": shown, "secret_file": file });
        output.answer(&object, || show::made(key, shown, file.as_deref()))
    }
}

/// A file to be filled; removed if it was not.
struct Empty {
    path: PathBuf,
    file: File,
}

impl Drop for Empty {
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|found| found.len() == 0) {
            // What is left behind is empty, and nobody else can read it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write(mut file: &File, secret: &str) -> io::Result<()> {
    file.write_all(secret.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

//! Finds and reads the files of a recording.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::ReadError;
use crate::limits::{DIRECTORY_DEPTH_MAX, FILES_MAX, INPUT_BYTES_MAX};
use crate::model::{Recording, Run};
use crate::reading::{File, ReadOptions};

/// How every frame of Zstandard begins (RFC 8878, section 3.1.1).
const ZSTANDARD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Recording {
    /// Reads a file of recorded runs, or every file of a directory and of
    /// the directories in it, in the order of their paths.
    ///
    /// A file may be compressed with Zstandard; that and its format are
    /// judged by its content, never by its name. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`ReadError`], naming the first file that cannot be read. A recording
    /// is read whole or not at all.
    pub fn read(path: &Path, options: &ReadOptions) -> Result<Self, ReadError> {
        Self::read_within(path, options, INPUT_BYTES_MAX)
    }

    fn read_within(path: &Path, options: &ReadOptions, bytes_max: u64) -> Result<Self, ReadError> {
        let mut intake = Intake {
            root: path,
            options,
            bytes_max,
            bytes_left: bytes_max,
            seen: HashMap::new(),
        };
        let mut runs = Vec::new();
        for file in files(path)? {
            runs.append(&mut intake.take(&file)?);
        }
        Ok(Self { runs })
    }
}

/// Reads files one after the other within what is allowed for all of them.
struct Intake<'a> {
    root: &'a Path,
    options: &'a ReadOptions,
    bytes_max: u64,
    bytes_left: u64,
    /// The file of each content.
    seen: HashMap<String, PathBuf>,
}

impl Intake<'_> {
    fn take(&mut self, path: &Path) -> Result<Vec<Run>, ReadError> {
        let bytes = self.bytes(path)?;
        let digest = hexadecimal(&Sha256::digest(&bytes));
        if let Some(other) = self.seen.insert(digest.clone(), path.to_owned()) {
            return Err(ReadError::SameContent {
                path: path.to_owned(),
                other,
            });
        }
        let text = std::str::from_utf8(&bytes).map_err(|source| ReadError::NotText {
            path: path.to_owned(),
            source,
        })?;
        File {
            path,
            name: self.name(path),
            text,
            digest,
        }
        .runs(self.options)
    }

    /// The content of a file, decompressed; stops reading where there is too
    /// much of it.
    fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, ReadError> {
        let failed = |source| ReadError::Io {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let reader = open(path).map_err(failed)?;
        reader
            .take(self.bytes_left.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self.bytes_left.checked_sub(length) {
            Some(left) => self.bytes_left = left,
            None => {
                return Err(ReadError::TooLarge {
                    path: path.to_owned(),
                    max: self.bytes_max,
                });
            }
        }
        Ok(bytes)
    }

    fn name(&self, path: &Path) -> String {
        let below = path
            .strip_prefix(self.root)
            .ok()
            .filter(|rest| !rest.as_os_str().is_empty());
        let name = below.map(Path::as_os_str).or_else(|| path.file_name());
        name.unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned()
    }
}

/// The text of a file that is no recording, through the decompressor if it
/// needs one.
pub(crate) fn text(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let reader = open(path).map_err(failed)?;
    let taken = reader.take(INPUT_BYTES_MAX).read_to_end(&mut bytes);
    taken.map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| ReadError::NotText {
        path: path.to_owned(),
        source: error.utf8_error(),
    })
}

/// A reader of a file's content, through the decompressor if it needs one.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = fs::File::open(path)?;
    let mut beginning = Vec::new();
    file.by_ref().take(4).read_to_end(&mut beginning)?;
    let compressed = beginning == ZSTANDARD_MAGIC;
    let whole = io::Cursor::new(beginning).chain(file);
    if compressed {
        return Ok(Box::new(zstd::stream::read::Decoder::new(whole)?));
    }
    Ok(Box::new(whole))
}

/// The file itself, or the files below a directory, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let mut found = Vec::new();
    match kind(path)? {
        Kind::File => found.push(path.to_owned()),
        Kind::Directory => walk(path, DIRECTORY_DEPTH_MAX, &mut found)?,
        Kind::Other => {
            return Err(ReadError::Kind {
                path: path.to_owned(),
            });
        }
    }
    if found.is_empty() {
        return Err(ReadError::NoFiles {
            path: path.to_owned(),
        });
    }
    found.sort();
    Ok(found)
}

fn walk(directory: &Path, depth_left: usize, found: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    let failed = |source| ReadError::Io {
        path: directory.to_owned(),
        source,
    };
    if depth_left == 0 {
        return Err(ReadError::TooDeep {
            path: directory.to_owned(),
        });
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match kind(&path)? {
            Kind::File => found.push(path),
            Kind::Directory => walk(&path, depth_left - 1, found)?,
            Kind::Other => return Err(ReadError::Kind { path }),
        }
        if found.len() > FILES_MAX {
            return Err(ReadError::TooManyFiles {
                path: directory.to_owned(),
            });
        }
    }
    Ok(())
}

enum Kind {
    File,
    Directory,
    Other,
}

/// What is at `path`, links followed. Never opens it: a pipe would wait for
/// somebody to write.
fn kind(path: &Path) -> Result<Kind, ReadError> {
    let metadata = fs::metadata(path).map_err(|source| ReadError::Io {
        path: path.to_owned(),
        source,
    })?;
    Ok(match metadata {
        file if file.is_file() => Kind::File,
        directory if directory.is_dir() => Kind::Directory,
        _ => Kind::Other,
    })
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"[{"task_id": 0, "trial": 0, "traj": []}]"#;

    fn read_within(path: &Path, bytes_max: usize) -> Result<Recording, String> {
        let bytes_max = u64::try_from(bytes_max).unwrap();
        let read = Recording::read_within(path, &ReadOptions::default(), bytes_max);
        read.map_err(|error| {
            error
                .to_string()
                .replace(&path.display().to_string(), "PATH")
        })
    }

    #[test]
    fn what_unpacks_to_more_than_is_allowed_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("runs.json");
        let long = format!("{RUN}{}", " ".repeat(1_000_000));
        fs::write(&path, zstd::encode_all(long.as_bytes(), 3).unwrap()).unwrap();
        let refused = Err("with `PATH` there are more than 1000 bytes of runs".to_owned());
        assert_eq!(read_within(&path, 1_000), refused);
        assert_eq!(
            read_within(&path, long.len()).map(|read| read.runs.len()),
            Ok(1)
        );
    }

    #[test]
    fn the_limit_holds_for_all_files_together() {
        let directory = tempfile::tempdir().unwrap();
        for (name, blank) in [("a", ""), ("b", " ")] {
            fs::write(directory.path().join(name), format!("{RUN}{blank}")).unwrap();
        }
        let size = 2 * RUN.len() + 1;
        assert_eq!(
            read_within(directory.path(), size).map(|read| read.runs.len()),
            Ok(2)
        );
        let refused = format!(
            "with `PATH/b` there are more than {} bytes of runs",
            size - 1
        );
        assert_eq!(read_within(directory.path(), size - 1), Err(refused));
    }
}

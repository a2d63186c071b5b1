//! Whether a backup is what was written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::manifest::{self, Manifest, PartFigures, StoreFigures};
use super::writing::{count, owned};
use super::{BackupError, Observe, Stage, Step};
use crate::transfer::{self, Moved, TransferError, hex};

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 * 1_024;

/// Reads all of a backup and holds it to its manifest: every file's length and
/// hash, every frame's, and what the content amounts to. Changes nothing, and
/// needs no store. The calling task waits.
///
/// # Errors
///
/// [`BackupError::NoBackup`] where there is no manifest, `Damaged` or `Content`
/// naming the file that is not what was written, `UnknownFormat` for a backup
/// of a later release, `Read`.
pub fn verify(path: &Path, observe: Observe<'_>) -> Result<Manifest, BackupError> {
    let manifest = manifest_of(path)?;
    for figures in &manifest.stores {
        open_verified(path, figures, observe)?;
    }
    Ok(manifest)
}

/// The manifest of a backup, which is what was written; of the files nothing is
/// known yet.
pub(super) fn manifest_of(path: &Path) -> Result<Manifest, BackupError> {
    let file = path.join(manifest::FILE);
    let opened = match File::open(&file) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            let path = path.to_owned();
            return Err(BackupError::NoBackup { path });
        }
        opened => opened.map_err(BackupError::read(&file))?,
    };
    let mut bytes = Vec::new();
    let read = opened.take(manifest::BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(BackupError::read(&file))?;
    Manifest::decode(&bytes)
}

/// Opens a file of a backup, reads all of it, and gives it back at its
/// beginning if it is what the manifest says.
pub(super) fn open_verified(
    path: &Path,
    figures: &StoreFigures,
    observe: Observe<'_>,
) -> Result<File, BackupError> {
    let name = &figures.file;
    // The manifest is sealed; this is against one that somebody made.
    if *name != figures.store.file() {
        return Err(BackupError::damaged(name, "it has a name that none has"));
    }
    let path = path.join(name);
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(BackupError::damaged(name, "it is missing"));
        }
        opened => opened.map_err(BackupError::read(&path))?,
    };
    if length != figures.file_bytes {
        let why = "it has another length than the manifest says";
        return Err(BackupError::damaged(name, why));
    }
    let mut reading = Reading::new(file);
    let found = reading
        .through(figures, observe)
        .map_err(|error| match error {
            TransferError::Read(error) => BackupError::read(&path)(error),
            source => BackupError::Content {
                file: name.clone(),
                source: Box::new(source),
            },
        })?;
    found.hold_to(figures)?;
    let mut file = reading.file.into_inner();
    file.rewind().map_err(BackupError::read(&path))?;
    Ok(file)
}

/// A file that is read, and the hash of all that came out of it.
struct Reading {
    file: BufReader<File>,
    hash: Sha256,
}

impl Reading {
    fn new(file: File) -> Self {
        Self {
            file: BufReader::with_capacity(READ_BYTES, file),
            hash: Sha256::new(),
        }
    }

    fn through(
        &mut self,
        figures: &StoreFigures,
        observe: Observe<'_>,
    ) -> Result<Found, TransferError> {
        let mut parts = BTreeMap::new();
        let mut progress = |moved: Moved| {
            observe(Step {
                stage: Stage::Verifying,
                slot: figures.store,
                moved,
                file_bytes: Some(figures.file_bytes),
            });
        };
        let mut visit = |key: &[u8], value: &[u8]| count(&mut parts, key, value);
        let (moved, digest) = transfer::read_through(self, &mut visit, &mut progress)?;
        Ok(Found {
            sha256: hex(&self.hash.clone().finalize()),
            moved,
            digest,
            parts,
        })
    }
}

impl Read for Reading {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(bytes)?;
        self.hash.update(&bytes[..length]);
        Ok(length)
    }
}

/// What is in a file.
struct Found {
    sha256: String,
    moved: Moved,
    digest: String,
    parts: BTreeMap<&'static str, PartFigures>,
}

impl Found {
    fn hold_to(&self, figures: &StoreFigures) -> Result<(), BackupError> {
        let counts = (self.moved.entries, self.moved.bytes);
        let differs = [
            (
                self.sha256 != figures.sha256,
                "it has another hash than the manifest says",
            ),
            (
                self.digest != figures.digest,
                "its content has another hash than the manifest says",
            ),
            (
                counts != (figures.entries, figures.bytes) || owned(&self.parts) != figures.parts,
                "its content is not as much as the manifest says",
            ),
        ];
        match differs.into_iter().find(|(differs, _)| *differs) {
            Some((_, why)) => Err(BackupError::damaged(&figures.file, why)),
            None => Ok(()),
        }
    }
}

//! Everything that was done to the files of a store, in one order.
//!
//! What SQLite does comes from the VFS. What the store does beside SQLite
//! when it makes a new database is not seen there; it is recorded by the
//! model of a birth below, at the moment the database is first opened by its
//! own name:
//!
//! 1. the file of the name `PATH.init-…` is synced,
//! 2. `PATH` becomes a second name for it,
//! 3. the directory is synced,
//! 4. the first name, and those of SQLite's files beside it, are removed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;
use windlass_store::Version;

use crate::disk::{Below, Call, Code, Disk, Done, FileId};
use crate::medium::Medium;

/// One thing done to the files, or said by the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A name now stands for a file, which is empty if it is new.
    Link { name: String, file: FileId },
    /// A name stands for nothing any more.
    Unlink { name: String },
    /// All names so far are on the disk.
    SyncDirectory,
    /// Bytes were written.
    Write {
        file: FileId,
        offset: usize,
        bytes: Box<[u8]>,
    },
    /// A file was cut or extended.
    Truncate { file: FileId, size: usize },
    /// Everything written to a file so far is on the disk.
    Sync { file: FileId },
    /// A sync failed and the system forgot that there was something to write:
    /// no later sync brings it to the disk, though it can still be read.
    SyncForgotten { file: FileId },
    /// A sync failed and what was not on the disk is gone, also for readers.
    SyncReverted { file: FileId },
    /// The test said something.
    Mark(Mark),
}

/// What the test says about the batches of a writer, whose numbers follow
/// from their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The next batch may be applied from here on.
    Submitted { writer: usize },
    /// It was acknowledged, under this version if that is known yet.
    Acknowledged {
        writer: usize,
        version: Option<Version>,
    },
}

/// A disk that does what it is asked and writes it down.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    tape: Mutex<Tape>,
}

#[derive(Debug, Default)]
struct Tape {
    events: Vec<Event>,
    /// What each name stands for; `None` once it was removed.
    names: BTreeMap<String, Option<FileId>>,
    /// The system's number of each file, as far as it was seen.
    inodes: Vec<Option<u64>>,
}

impl Recorder {
    /// A recorder for files of these names that are already on the disk. They
    /// are numbered in the order given.
    pub(crate) fn over<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut tape = Tape::default();
        for name in names {
            let file = tape.number_file(None);
            tape.names.insert(name.clone(), Some(file));
        }
        Self {
            tape: Mutex::new(tape),
        }
    }

    /// Writes down what the test has to say.
    pub(crate) fn mark(&self, mark: Mark) {
        self.tape().events.push(Event::Mark(mark));
    }

    /// What was recorded so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.tape().events.clone()
    }

    /// How much was recorded so far.
    pub(crate) fn len(&self) -> usize {
        self.tape().events.len()
    }

    /// Ends the recording.
    pub(crate) fn finish(&self) -> Vec<Event> {
        std::mem::take(&mut self.tape().events)
    }

    /// Writes only some of the bytes that SQLite wanted written.
    pub(crate) fn write_part(
        &self,
        file: FileId,
        offset: usize,
        part: &[u8],
        below: &mut dyn Below,
    ) {
        let mut tape = self.tape();
        if below.write(offset, part) == ffi::SQLITE_OK {
            let bytes = part.into();
            tape.events.push(Event::Write {
                file,
                offset,
                bytes,
            });
        }
    }

    /// Lets a sync fail in one way or the other: `event` says which.
    pub(crate) fn fail_sync(&self, event: Event, below: &mut dyn Below) {
        let mut tape = self.tape();
        if let Event::SyncReverted { file } = event {
            Medium::after(&tape.events).revert(file, below);
        }
        tape.events.push(event);
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tape {
    fn number_file(&mut self, inode: Option<u64>) -> FileId {
        self.inodes.push(inode);
        FileId(self.inodes.len() - 1)
    }

    /// The file that was opened by `name`.
    fn identify(&mut self, name: String, inode: Option<u64>) -> FileId {
        if let Some(Some(file)) = self.names.get(&name) {
            return *file;
        }
        let Some((cradle, file)) = self.cradle(&name, inode) else {
            let file = self.number_file(inode);
            self.link(name, file);
            return file;
        };
        self.events.push(Event::Sync { file });
        self.link(name, file);
        self.events.push(Event::SyncDirectory);
        self.unlink(cradle);
        file
    }

    /// The name and file that a database of this name was built under, if it
    /// was born and not made by SQLite.
    fn cradle(&self, name: &str, inode: Option<u64>) -> Option<(String, FileId)> {
        let prefix = format!("{name}.init-");
        let built = |(name, file): (&String, &Option<FileId>)| {
            let file = file.filter(|file| self.inodes[file.0] == inode)?;
            name.starts_with(&prefix).then(|| (name.clone(), file))
        };
        self.names.iter().find_map(built)
    }

    fn link(&mut self, name: String, file: FileId) {
        self.names.insert(name.clone(), Some(file));
        self.events.push(Event::Link { name, file });
    }

    fn unlink(&mut self, name: String) {
        self.names.insert(name.clone(), None);
        self.events.push(Event::Unlink { name });
    }

    fn note_directory(&mut self, done: Done) {
        if done.directory_synced {
            self.events.push(Event::SyncDirectory);
        }
    }
}

/// The last part of a path: all files of a store are in one directory.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Disk for Recorder {
    fn open(&self, path: &Path, go: &mut dyn FnMut() -> Done) -> Result<FileId, Code> {
        let mut tape = self.tape();
        let done = go();
        if done.code == ffi::SQLITE_OK {
            let inode = fs::metadata(path).ok().map(|metadata| metadata.ino());
            Ok(tape.identify(name_of(path), inode))
        } else {
            Err(done.code)
        }
    }

    fn delete(&self, path: &Path, go: &mut dyn FnMut() -> Done) -> Code {
        let mut tape = self.tape();
        let done = go();
        if done.code == ffi::SQLITE_OK {
            tape.unlink(name_of(path));
            tape.note_directory(done);
        }
        done.code
    }

    fn look(&self, go: &mut dyn FnMut() -> Done) -> Code {
        go().code
    }

    /// What changes a file is made one at a time, so that the order written
    /// down is the one in which it happened.
    fn call(&self, file: FileId, call: Call<'_>, below: &mut dyn Below) -> Code {
        let event = match call {
            Call::Write { offset, bytes } => Event::Write {
                file,
                offset,
                bytes: bytes.into(),
            },
            Call::Truncate { size } => Event::Truncate { file, size },
            Call::Sync => Event::Sync { file },
            Call::Read | Call::Size | Call::Lock | Call::MapMemory | Call::LockMemory => {
                return below.go().code;
            }
        };
        let mut tape = self.tape();
        let done = below.go();
        if done.code == ffi::SQLITE_OK {
            tape.events.push(event);
            tape.note_directory(done);
        }
        done.code
    }
}

//! What stands between SQLite and its files: something that decides about
//! every call.

use std::ffi::c_int;
use std::path::Path;

/// A result code of SQLite, extended.
pub(crate) type Code = c_int;

/// A file, whatever its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(pub(crate) usize);

/// What SQLite asks of a file that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    /// Reads some bytes.
    Read,
    /// Writes `bytes` at `offset`.
    Write { offset: usize, bytes: &'a [u8] },
    /// Makes the file `size` bytes long.
    Truncate { size: usize },
    /// Waits until everything written is on the disk.
    Sync,
    /// Asks for the size.
    Size,
    /// Takes a lock on the file.
    Lock,
    /// Maps a piece of the memory that processes share.
    MapMemory,
    /// Takes a lock on that memory.
    LockMemory,
}

/// How a call to the default VFS ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) code: Code,
    /// Whether it made the names in the directory durable.
    pub(crate) directory_synced: bool,
}

/// The file below, during one call.
pub(crate) trait Below {
    /// Makes the call as SQLite asked for it.
    fn go(&mut self) -> Done;
    /// Writes something else.
    fn write(&mut self, offset: usize, bytes: &[u8]) -> Code;
    /// Cuts or extends the file.
    fn truncate(&mut self, size: usize) -> Code;
}

/// What decides about every call. Must not panic: its caller is C.
pub(crate) trait Disk: Send + Sync {
    /// A file is to be opened, and made if it is missing and `go` makes it.
    fn open(&self, path: &Path, go: &mut dyn FnMut() -> Done) -> Result<FileId, Code>;
    /// A name is to be removed.
    fn delete(&self, path: &Path, go: &mut dyn FnMut() -> Done) -> Code;
    /// It is asked whether there is a file of some name.
    fn look(&self, go: &mut dyn FnMut() -> Done) -> Code;
    /// Something is asked of an open file.
    fn call(&self, file: FileId, call: Call<'_>, below: &mut dyn Below) -> Code;
}

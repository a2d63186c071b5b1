//! A SQLite VFS whose syncs take a given time, as on a disk behind a network.
//!
//! It is the system's own VFS but for `xSync`: whatever file that one opens
//! gets a table of methods in which the sync is followed by a wait until it
//! has taken [`SYNC_TIME`] in all.
//!
//! # Safety
//!
//! Each block rests on these:
//!
//! - The system's VFS and the copy made of it live as long as the process.
//! - A file that the system's `xOpen` opened holds a valid pointer to its
//!   methods until its `xClose`, and SQLite calls it at no other time.
//! - The tables that stand in for those methods are never freed, and begin
//!   with the methods themselves, so a pointer to one is a pointer to both.

#![expect(
    unsafe_code,
    reason = "SQLite takes a file system only as a table of C functions"
)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::ffi;

use crate::clock;
use crate::error::BenchError;

/// The name to open databases with.
pub const NAME: &str = "windlass-slow-disk";

/// How long each sync takes at least.
pub const SYNC_TIME: Duration = Duration::from_millis(1);

const C_NAME: &CStr = c"windlass-slow-disk";

type Sync = unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int;
type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    *const c_char,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;

/// The methods of a file with a slow sync. SQLite knows only the first field,
/// and hands a pointer to it back.
#[repr(C)]
#[derive(Debug)]
struct Slowed {
    methods: ffi::sqlite3_io_methods,
    sync: Sync,
}

static SYSTEM_OPEN: OnceLock<Open> = OnceLock::new();

/// One table for each that the system's VFS has, by its address. There are
/// two: for files that are locked and for files that are not.
static SLOWED: Mutex<BTreeMap<usize, &'static Slowed>> = Mutex::new(BTreeMap::new());

/// Registers the VFS under [`NAME`]; again and again does no harm.
///
/// # Errors
///
/// [`BenchError::Unfair`] if SQLite has no VFS of the system or refuses ours.
pub fn register() -> Result<(), BenchError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    if *REGISTERED.get_or_init(register_once) {
        Ok(())
    } else {
        Err(BenchError::Unfair("the slow disk cannot be set up".into()))
    }
}

fn register_once() -> bool {
    // SAFETY: a null name asks for the default VFS, which lives as long as
    // the process.
    let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    if system.is_null() {
        return false;
    }
    // SAFETY: just found, and never changed after its registration but for
    // its place in SQLite's list, which is not looked at.
    let mut vfs = unsafe { ptr::read(system) };
    let Some(open) = vfs.xOpen.replace(open_slow) else {
        return false;
    };
    if SYSTEM_OPEN.set(open).is_err() {
        return false;
    }
    vfs.zName = C_NAME.as_ptr();
    vfs.pNext = ptr::null_mut();
    let vfs = Box::leak(Box::new(vfs));
    // SAFETY: the structure is whole and lives as long as the process; every
    // function in it but `open_slow` is the system's own, and reads nothing
    // of the structure that differs.
    unsafe { ffi::sqlite3_vfs_register(vfs, 0) == ffi::SQLITE_OK }
}

/// Lets the system open the file, then makes its syncs slow.
///
/// # Safety
///
/// Called by SQLite with what it promises for `xOpen`.
unsafe extern "C" fn open_slow(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let Some(open) = SYSTEM_OPEN.get() else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: the arguments are passed on as they came.
    let opened = unsafe { open(vfs, name, file, flags, flags_out) };
    // SAFETY: after a successful `xOpen` the file has its methods, which are
    // a constant of the system's VFS; after a failed one it may have none.
    let methods = unsafe { (*file).pMethods };
    if opened != ffi::SQLITE_OK || methods.is_null() {
        return opened;
    }
    // SAFETY: as above.
    let original = unsafe { ptr::read(methods) };
    let Some(sync) = original.xSync else {
        return opened;
    };
    let mut tables = SLOWED.lock().unwrap_or_else(PoisonError::into_inner);
    let slowed = tables.entry(methods.addr()).or_insert_with(|| {
        let methods = ffi::sqlite3_io_methods {
            xSync: Some(sync_slow),
            ..original
        };
        Box::leak(Box::new(Slowed { methods, sync }))
    });
    // SAFETY: the table lives as long as the process, and the system's
    // functions never compare the pointer with their own table.
    unsafe { (*file).pMethods = ptr::from_ref(*slowed).cast() };
    opened
}

/// Syncs, then waits until [`SYNC_TIME`] has passed.
///
/// # Safety
///
/// Called by SQLite with what it promises for `xSync`.
unsafe extern "C" fn sync_slow(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let start = clock::now();
    // SAFETY: only a file whose methods lie at the start of a `Slowed` has
    // this function for its sync.
    let slowed = unsafe { &*(*file).pMethods.cast::<Slowed>() };
    // SAFETY: the arguments are passed on as they came, to the function that
    // the system gave the file.
    let synced = unsafe { (slowed.sync)(file, flags) };
    clock::sleep(SYNC_TIME.saturating_sub(start.elapsed()));
    synced
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, OpenFlags};

    use super::*;

    #[test]
    fn every_synced_commit_takes_its_time_and_is_there() {
        register().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("slow.db");
        let connection =
            Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), NAME).unwrap();
        connection
            .pragma_update(None, "journal_mode", "wal")
            .unwrap();
        connection
            .pragma_update(None, "synchronous", "extra")
            .unwrap();
        connection.execute("CREATE TABLE t (a)", []).unwrap();
        let start = clock::now();
        for number in 0..10 {
            connection
                .execute("INSERT INTO t VALUES (?1)", [number])
                .unwrap();
        }
        let elapsed = start.elapsed();
        assert!(elapsed >= SYNC_TIME * 10, "{elapsed:?}");
        let fast = Connection::open(&path).unwrap();
        let count: i64 = fast
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 10);
    }
}

//! A SQLite VFS that lets a [`Disk`] decide about every call.
//!
//! Files are those of the default VFS, which stays responsible for locks and
//! shared memory; this one stands in between. It knows nothing of recording
//! or failing: it turns pointers into references, and that is all the unsafe
//! code there is.
//!
//! # Safety
//!
//! The argument of each block rests on these invariants:
//!
//! - A [`Shim`] is never freed, so SQLite's pointer to it stays good.
//! - A file object of ours holds a valid [`Open`] from a successful `xOpen`
//!   to its `xClose`; SQLite makes no other call outside that time.
//! - SQLite calls the methods of one file object from one thread at a time.

#![expect(
    unsafe_code,
    reason = "a VFS is a table of C functions; SQLite has no safe interface for it"
)]

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::size_of;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::ffi;

use crate::disk::{Below, Call, Code, Disk, Done, FileId};

/// A VFS that is registered for as long as the process lives.
pub(crate) struct Vfs {
    name: CString,
    disk: Mutex<Arc<dyn Disk>>,
}

struct Shim {
    vfs: Vfs,
    default: *mut ffi::sqlite3_vfs,
}

/// The file object that SQLite makes room for.
#[repr(C)]
struct File {
    /// First, so that SQLite's pointer is also one to this.
    base: ffi::sqlite3_file,
    open: *mut Open,
}

/// An open file. Holds its own disk, so a VFS can serve another meanwhile.
struct Open {
    disk: Arc<dyn Disk>,
    /// `None` for a temporary file, of which nothing outlives the process.
    id: Option<FileId>,
    /// The file object of the default VFS, in `_memory`.
    below: *mut ffi::sqlite3_file,
    _memory: Vec<u64>,
}

type OpenDirectory = unsafe extern "C" fn(*const c_char, *mut c_int) -> c_int;

/// What the unix VFS calls to open a directory, always to sync it.
static OPEN_DIRECTORY: OnceLock<OpenDirectory> = OnceLock::new();

thread_local! {
    static DIRECTORY_OPENED: Cell<bool> = const { Cell::new(false) };
}

impl Vfs {
    /// Registers a VFS under a new name. It is never taken back, so tests
    /// register a few and let them serve one disk after another.
    pub(crate) fn register(disk: Arc<dyn Disk>) -> &'static Self {
        static REGISTERED: AtomicU32 = AtomicU32::new(0);
        let number = REGISTERED.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("power-{number}")).expect("no zero byte in it");
        // SAFETY: the call has no preconditions; the default VFS lives as long
        // as the process.
        let default = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!default.is_null(), "SQLite has a default VFS");
        watch_directories(default);
        let vfs = Self {
            name,
            disk: Mutex::new(disk),
        };
        let shim: &'static Shim = Box::leak(Box::new(Shim { vfs, default }));
        // SAFETY: `default` points to a valid VFS that nobody changes. The
        // functions kept from it (names, randomness, time) are those of the
        // unix VFS, which do not look at the VFS they are called with.
        let mut table = unsafe { *default };
        table.szOsFile = c_int::try_from(size_of::<File>()).expect("a few words");
        table.zName = shim.vfs.name.as_ptr();
        table.pAppData = std::ptr::from_ref(shim).cast_mut().cast();
        table.xOpen = Some(open);
        table.xDelete = Some(delete);
        table.xAccess = Some(access);
        // SAFETY: the table is leaked, as SQLite needs it from now on, and all
        // its pointers are valid for as long.
        let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(table)), 0) };
        assert_eq!(code, ffi::SQLITE_OK, "the VFS is registered");
        &shim.vfs
    }

    /// The name to open a database through it.
    pub(crate) fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    /// Lets `disk` decide about every file opened from now on.
    pub(crate) fn serve(&self, disk: Arc<dyn Disk>) {
        *self.disk.lock().unwrap_or_else(PoisonError::into_inner) = disk;
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Has the unix VFS tell when it opens a directory, which it does only to
/// sync it. So nothing about when it does is assumed.
fn watch_directories(default: *mut ffi::sqlite3_vfs) {
    OPEN_DIRECTORY.get_or_init(|| {
        let name = c"openDirectory".as_ptr();
        // SAFETY: the default VFS is the unix one, of version 3, whose entry
        // of this name has this type.
        unsafe {
            let (get, set) = ((*default).xGetSystemCall, (*default).xSetSystemCall);
            let (get, set) = get.zip(set).expect("the unix VFS has version 3");
            let original = get(default, name).expect("the unix VFS opens directories");
            let ours = std::mem::transmute::<OpenDirectory, unsafe extern "C" fn()>(open_directory);
            assert_eq!(set(default, name, Some(ours)), ffi::SQLITE_OK);
            std::mem::transmute::<unsafe extern "C" fn(), OpenDirectory>(original)
        }
    });
}

unsafe extern "C" fn open_directory(name: *const c_char, out: *mut c_int) -> c_int {
    DIRECTORY_OPENED.set(true);
    // Registration is over before any file is opened through a VFS of ours,
    // but other connections of the process come through here as well.
    let original = OPEN_DIRECTORY.wait();
    // SAFETY: called with what the unix VFS gave, as it would have called it.
    unsafe { original(name, out) }
}

/// Makes a call to the default VFS and says whether it synced the directory.
fn watched(go: impl FnOnce() -> Code) -> Done {
    DIRECTORY_OPENED.set(false);
    let code = go();
    Done {
        code,
        directory_synced: DIRECTORY_OPENED.take() && code == ffi::SQLITE_OK,
    }
}

/// The path behind a name that SQLite gave.
///
/// # Safety
///
/// `name` is a C string, valid for as long as the result is used.
unsafe fn path<'a>(name: *const c_char) -> &'a Path {
    use std::os::unix::ffi::OsStrExt;
    // SAFETY: as the caller promises.
    let name = unsafe { CStr::from_ptr(name) };
    Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()))
}

/// The shim behind a VFS of ours.
///
/// # Safety
///
/// `vfs` was registered by [`Vfs::register`].
unsafe fn shim<'a>(vfs: *mut ffi::sqlite3_vfs) -> &'a Shim {
    // SAFETY: `pAppData` of our table points to a leaked `Shim`.
    unsafe { &*(*vfs).pAppData.cast::<Shim>() }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let ours = file.cast::<File>();
    // SAFETY: SQLite calls with our VFS, and `file` has room for a `File`.
    // Without methods a file that failed to open is not closed.
    let shim = unsafe {
        (*ours).base.pMethods = std::ptr::null();
        shim(vfs)
    };
    // SAFETY: `default` is valid for as long as the process lives.
    let size = unsafe { (*shim.default).szOsFile };
    let words = usize::try_from(size).expect("a size").div_ceil(8);
    let mut memory = vec![0_u64; words];
    let below = memory.as_mut_ptr().cast::<ffi::sqlite3_file>();
    // SAFETY: `below` has the room the default VFS asks for, zeroed and
    // aligned; the other arguments are SQLite's own.
    let mut go = || watched(|| unsafe { open_below(shim.default, name, below, flags, out) });
    let disk = shim.vfs.disk();
    let id = if name.is_null() {
        let code = go().code;
        if code == ffi::SQLITE_OK {
            Ok(None)
        } else {
            Err(code)
        }
    } else {
        // SAFETY: a name that is not null is a C string.
        disk.open(unsafe { path(name) }, &mut go).map(Some)
    };
    match id {
        Ok(id) => {
            let open = Box::new(Open {
                disk,
                id,
                below,
                _memory: memory,
            });
            // SAFETY: as above; `close` takes the box back.
            unsafe {
                (*ours).open = Box::into_raw(open);
                (*ours).base.pMethods = &raw const METHODS;
            }
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

/// Opens a file of the default VFS; leaves nothing behind if that fails.
///
/// # Safety
///
/// As for `xOpen` of `default`.
unsafe fn open_below(
    default: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    below: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> Code {
    // SAFETY: as the caller promises; a file whose methods are set must be
    // closed even if opening it failed.
    unsafe {
        let open = (*default).xOpen.expect("every VFS has it");
        let code = open(default, name, below, flags, out);
        if code != ffi::SQLITE_OK && !(*below).pMethods.is_null() {
            method((*(*below).pMethods).xClose)(below);
        }
        code
    }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_directory: c_int,
) -> c_int {
    // SAFETY: SQLite calls with our VFS and a C string.
    let (shim, path) = unsafe { (shim(vfs), path(name)) };
    // SAFETY: the default VFS gets what SQLite gave.
    let mut go = || unsafe {
        let delete = (*shim.default).xDelete.expect("every VFS has it");
        watched(|| delete(shim.default, name, sync_directory))
    };
    shim.vfs.disk().delete(path, &mut go)
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls with our VFS.
    let shim = unsafe { shim(vfs) };
    // SAFETY: the default VFS gets what SQLite gave.
    let mut go = || unsafe {
        let access = (*shim.default).xAccess.expect("every VFS has it");
        watched(|| access(shim.default, name, flags, out))
    };
    shim.vfs.disk().look(&mut go)
}

/// The methods of a file. Version 2: no memory-mapped reading, which would
/// pass the disk by.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map_memory),
    xShmLock: Some(lock_memory),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap_memory),
    xFetch: None,
    xUnfetch: None,
};

type Methods = ffi::sqlite3_io_methods;

fn method<F>(method: Option<F>) -> F {
    method.expect("the unix VFS has every method of version 2")
}

/// The file below ours, with its methods.
///
/// # Safety
///
/// `file` was opened by [`open`] and not closed.
unsafe fn below<'a>(file: *mut ffi::sqlite3_file) -> (&'a Methods, *mut ffi::sqlite3_file) {
    // SAFETY: as the caller promises; a file that the default VFS opened has
    // methods until it is closed.
    unsafe {
        let below = (*(*file.cast::<File>()).open).below;
        (&*(*below).pMethods, below)
    }
}

/// One call to a file below.
struct Passage<'a> {
    methods: &'a Methods,
    file: *mut ffi::sqlite3_file,
    go: &'a mut dyn FnMut(&Methods, *mut ffi::sqlite3_file) -> Code,
}

impl Below for Passage<'_> {
    fn go(&mut self) -> Done {
        watched(|| (self.go)(self.methods, self.file))
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Code {
        let (offset, amount) = (c_offset(offset), c_int::try_from(bytes.len()));
        let amount = amount.expect("less than 2 GiB");
        // SAFETY: the file is open and `bytes` has `amount` bytes.
        unsafe { method(self.methods.xWrite)(self.file, bytes.as_ptr().cast(), amount, offset) }
    }

    fn truncate(&mut self, size: usize) -> Code {
        // SAFETY: the file is open.
        unsafe { method(self.methods.xTruncate)(self.file, c_offset(size)) }
    }
}

fn c_offset(offset: usize) -> i64 {
    i64::try_from(offset).expect("files are shorter than 2^63 bytes")
}

/// Lets the disk decide about a call, which `go` makes.
///
/// # Safety
///
/// `file` was opened by [`open`] and not closed.
unsafe fn decide(
    file: *mut ffi::sqlite3_file,
    call: Call<'_>,
    go: &mut dyn FnMut(&Methods, *mut ffi::sqlite3_file) -> Code,
) -> Code {
    // SAFETY: as the caller promises.
    let (open, (methods, file)) = unsafe { (&*(*file.cast::<File>()).open, below(file)) };
    match open.id {
        Some(id) => open.disk.call(id, call, &mut Passage { methods, file, go }),
        None => go(methods, file),
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once; `open` made the box.
    unsafe {
        let (methods, below) = below(file);
        let code = method(methods.xClose)(below);
        drop(Box::from_raw((*file.cast::<File>()).open));
        (*file).pMethods = std::ptr::null();
        code
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        decide(file, Call::Read, &mut |methods, file| {
            method(methods.xRead)(file, into, amount, offset)
        })
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    let length = usize::try_from(amount).expect("SQLite writes no negative amount");
    // SAFETY: SQLite gives `amount` readable bytes.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
    let place = usize::try_from(offset).expect("no negative offset");
    let call = Call::Write {
        offset: place,
        bytes,
    };
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        decide(file, call, &mut |methods, file| {
            method(methods.xWrite)(file, from, amount, offset)
        })
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let call = Call::Truncate {
        size: usize::try_from(size).expect("no negative size"),
    };
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        decide(file, call, &mut |methods, file| {
            method(methods.xTruncate)(file, size)
        })
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        decide(file, Call::Sync, &mut |methods, file| {
            method(methods.xSync)(file, flags)
        })
    }
}

unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        decide(file, Call::Size, &mut |methods, file| {
            method(methods.xFileSize)(file, out)
        })
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        decide(file, Call::Lock, &mut |methods, file| {
            method(methods.xLock)(file, level)
        })
    }
}

unsafe extern "C" fn map_memory(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        decide(file, Call::MapMemory, &mut |methods, file| {
            method(methods.xShmMap)(file, region, size, extend, out)
        })
    }
}

unsafe extern "C" fn lock_memory(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let mut go = |methods: &Methods, file| {
        // SAFETY: SQLite's arguments, for a file that is open.
        unsafe { method(methods.xShmLock)(file, offset, count, flags) }
    };
    // SAFETY: `file` is open.
    unsafe {
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            let (methods, below) = below(file);
            return go(methods, below);
        }
        decide(file, Call::LockMemory, &mut go)
    }
}

// What follows touches no data and is passed on untouched.

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        let (methods, below) = below(file);
        method(methods.xUnlock)(below, level)
    }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        let (methods, below) = below(file);
        method(methods.xCheckReservedLock)(below, out)
    }
}

unsafe extern "C" fn control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        let (methods, below) = below(file);
        method(methods.xFileControl)(below, operation, argument)
    }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `file` is open.
    unsafe {
        let (methods, below) = below(file);
        method(methods.xSectorSize)(below)
    }
}

unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `file` is open.
    unsafe {
        let (methods, below) = below(file);
        method(methods.xDeviceCharacteristics)(below)
    }
}

unsafe extern "C" fn barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: `file` is open.
    unsafe {
        let (methods, below) = below(file);
        method(methods.xShmBarrier)(below);
    }
}

unsafe extern "C" fn unmap_memory(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: SQLite's arguments, for a file that is open.
    unsafe {
        let (methods, below) = below(file);
        method(methods.xShmUnmap)(below, delete)
    }
}

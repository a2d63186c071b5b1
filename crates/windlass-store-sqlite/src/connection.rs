//! Connections, opened one way only.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use windlass_store::Incarnation;

use crate::error::Failure;
use crate::files::Files;
use crate::limits::{PAGE_CACHE_KIB, SQLITE_VERSION_MIN, WHOLE_LOOKS_MAX};
use crate::options::Options;
use crate::schema::{self, Header};

/// Refuses a linked SQLite that can corrupt a write-ahead log.
pub(crate) fn assert_version() -> Result<(), Failure> {
    if rusqlite::version_number() >= SQLITE_VERSION_MIN {
        return Ok(());
    }
    let found = rusqlite::version();
    Err(Failure::environment(format!(
        "the linked SQLite is {found}; at least 3.51.3 is needed"
    )))
}

/// Opens `path`, which must exist, and sets what every connection needs. The
/// file may still be anybody's.
pub(crate) fn open(path: &std::path::Path, options: &Options) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match options.vfs.as_deref() {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)
            .map_err(|cause| unknown(vfs, cause)),
        None => Connection::open_with_flags(path, flags).map_err(Failure::from),
    }?;
    configure(&connection, options)?;
    if connection.is_readonly("main")? {
        return Err(Failure::environment(format!(
            "`{}` is read-only",
            path.display()
        )));
    }
    assert_synchronous(&connection, options)?;
    Ok(connection)
}

/// SQLite has no result code for a VFS that was never registered.
fn unknown(vfs: &str, cause: rusqlite::Error) -> Failure {
    if cause.sqlite_error_code() == Some(ErrorCode::Unknown) {
        return Failure::environment(format!("no SQLite VFS is registered as `{vfs}`"));
    }
    cause.into()
}

/// Opens the database of a store that exists, and refuses every other file.
pub(crate) fn open_store(
    files: &Files,
    options: &Options,
) -> Result<(Connection, Header), Failure> {
    let connection = open(files.database(), options)?;
    let header = schema::recognize(&connection)?;
    assert_wal(&connection)?;
    assert_whole(&connection, files)?;
    Ok((connection, header))
}

/// Opens the database again, and refuses another store in its place.
pub(crate) fn open_again(
    files: &Files,
    options: &Options,
    incarnation: Incarnation,
) -> Result<Connection, Failure> {
    let (connection, header) = open_store(files, options)?;
    if header.incarnation() == incarnation {
        return Ok(connection);
    }
    Err(Failure::corrupt(
        "another store was put in the place of this one",
    ))
}

/// Switches the database to a write-ahead log. Whether that reached the file
/// is only seen by [`assert_wal`] on a new connection.
pub(crate) fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    set(connection, "journal_mode = WAL")
}

/// Refuses a database without a write-ahead log.
pub(crate) fn assert_wal(connection: &Connection) -> Result<(), Failure> {
    let mode: String = query(connection, "journal_mode")?;
    if mode == "wal" {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "the journal mode of the file is `{mode}`; expected `wal`"
    )))
}

/// Makes a connection refuse every write.
pub(crate) fn forbid_writes(connection: &Connection) -> Result<(), Failure> {
    Ok(set(connection, "query_only = ON")?)
}

/// Makes writes through `connection` fail that would need more than `bytes`
/// of database.
pub(crate) fn limit(connection: &Connection, bytes: u64) -> Result<(), Failure> {
    let pages = (bytes / page_bytes(connection)?).max(1);
    Ok(set(connection, &format!("max_page_count = {pages}"))?)
}

fn configure(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    // Only a fallback: writers take turns before they ask SQLite.
    connection.busy_timeout(options.busy_time_max)?;
    connection.set_prepared_statement_cache_capacity(32);
    set(
        connection,
        &format!("synchronous = {}", options.durability.level()),
    )?;
    set(connection, &format!("cache_size = -{PAGE_CACHE_KIB}"))?;
    // The writer decides when the log is copied into the database.
    set(connection, "wal_autocheckpoint = 0")?;
    set(connection, "cell_size_check = ON")?;
    set(connection, "trusted_schema = OFF")?;
    // Without effect but on macOS, where a plain fsync stops short of the disk.
    set(connection, "fullfsync = ON")?;
    set(connection, "checkpoint_fullfsync = ON")
}

fn assert_synchronous(connection: &Connection, options: &Options) -> Result<(), Failure> {
    let (expected, found) = (
        options.durability.level(),
        query::<i64>(connection, "synchronous")?,
    );
    if found == expected {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "SQLite runs with `synchronous` {found}; expected {expected}"
    )))
}

/// Bytes of a page of the database; at least 512.
pub(crate) fn page_bytes(connection: &Connection) -> Result<u64, Failure> {
    Ok(query::<u32>(connection, "page_size")?.into())
}

/// Makes a database that is still empty note where each page belongs, so that
/// free ones can be cut off later. Once it has a page it is too late.
pub(crate) fn prepare_to_shrink(connection: &Connection) -> rusqlite::Result<()> {
    set(connection, "auto_vacuum = INCREMENTAL")
}

/// Whether free pages of the database can be cut off.
pub(crate) fn can_shrink(connection: &Connection) -> Result<bool, Failure> {
    const INCREMENTAL: i64 = 2;
    Ok(query::<i64>(connection, "auto_vacuum")? == INCREMENTAL)
}

/// Refuses a new database that does not note where each page belongs.
pub(crate) fn assert_can_shrink(connection: &Connection) -> Result<(), Failure> {
    if can_shrink(connection)? {
        return Ok(());
    }
    let context = "SQLite does not keep `auto_vacuum` of a new file";
    Err(Failure::environment(context))
}

/// Pages that are free, and all.
pub(crate) fn free_pages(connection: &Connection) -> Result<(u64, u64), Failure> {
    let free = query::<u32>(connection, "freelist_count")?;
    let all = query::<u32>(connection, "page_count")?;
    Ok((free.into(), all.into()))
}

/// Cuts off at most `pages` free pages, within the caller's transaction.
pub(crate) fn cut_off(connection: &Connection, pages: u64) -> rusqlite::Result<()> {
    set(connection, &format!("incremental_vacuum({pages})"))
}

/// How long `connection` waits for a lock.
pub(crate) fn patience(connection: &Connection) -> rusqlite::Result<Duration> {
    let milliseconds: u32 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0))?;
    Ok(Duration::from_millis(milliseconds.into()))
}

/// Refuses a file that is shorter than its database.
///
/// Another process may grow and shrink it meanwhile: with an empty log before
/// and after, and the same count, every page counted is in the file.
fn assert_whole(connection: &Connection, files: &Files) -> Result<(), Failure> {
    let page_bytes = page_bytes(connection)?;
    let count = || query::<u32>(connection, "page_count");
    for _ in 0..WHOLE_LOOKS_MAX {
        let pages = count()?;
        if files.wal_bytes() > 0 {
            return Ok(());
        }
        let found = std::fs::metadata(files.database()).map_or(0, |metadata| metadata.len());
        let expected = u64::from(pages).saturating_mul(page_bytes);
        if found >= expected {
            return Ok(());
        }
        if count()? == pages && files.wal_bytes() == 0 {
            return Err(Failure::corrupt(format!(
                "the file was truncated: {found} of {expected} bytes are left"
            )));
        }
    }
    // It changes all the time, so somebody works with it.
    Ok(())
}

/// Runs a pragma to its end, whatever rows it gives: one that is stepped only
/// once can fail unnoticed.
pub(crate) fn set(connection: &Connection, pragma: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA {pragma}"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn query<T: rusqlite::types::FromSql>(connection: &Connection, pragma: &str) -> Result<T, Failure> {
    Ok(connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?)
}

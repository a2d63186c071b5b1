//! How a database comes to be: whole, or not at all.
//!
//! It is built under a name of its own (`PATH.init-<random>`), closed, read
//! back, synced, and only then linked to `PATH`, which fails if somebody was
//! faster. So whatever is found at `PATH` once was whole, and an empty file
//! there is damage, never a fresh store.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::checkpoint;
use crate::connection::{
    self, assert_can_shrink, assert_wal, prepare_to_shrink, set, switch_to_wal,
};
use crate::error::Failure;
use crate::files::Files;
use crate::limits::{STALE_BIRTH_SECONDS, STALE_BIRTHS_REMOVED_MAX};
use crate::options::Options;
use crate::schema::{self, APPLICATION_ID, Header};

/// Makes the database unless there is one. Safe against any number of others
/// doing the same.
pub(crate) fn ensure(files: &Files, options: &Options) -> Result<(), Failure> {
    if files.survey()? {
        return Ok(());
    }
    let cradle = Cradle::make(files)?;
    build(&cradle.path, options)?;
    read_back(&cradle.path, options)?;
    File::open(&cradle.path)
        .and_then(|file| file.sync_all())
        .map_err(|cause| Failure::system("a new database cannot be synced", cause))?;
    link(&cradle.path, files)?;
    files.sync_directory()?;
    remove_abandoned(files, &cradle);
    Ok(())
}

/// The file a database is built in; removed when dropped.
struct Cradle {
    path: PathBuf,
    made: SystemTime,
}

impl Cradle {
    fn make(files: &Files) -> Result<Self, Failure> {
        let path = files.beside(&format!(
            ".init-{:016x}",
            Header::draw()?.incarnation().number()
        ));
        let fail =
            |cause| Failure::system(format!("`{}` cannot be created", path.display()), cause);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        restrict(&mut options);
        let file = options.open(&path).map_err(fail)?;
        let made = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map_err(fail)?;
        Ok(Self { path, made })
    }
}

impl Drop for Cradle {
    fn drop(&mut self) {
        remove_with_siblings(&self.path);
    }
}

/// Lets the file be made for its owner alone. SQLite gives its log the same
/// permissions.
pub(crate) fn restrict(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

fn build(path: &Path, options: &Options) -> Result<(), Failure> {
    let connection = connection::open(path, options)?;
    fill(&connection, &Header::draw()?)?;
    // Closing would do this as well, but keeps its errors to itself; and the
    // file is going to be linked without its log.
    checkpoint::empty(&connection)?;
    connection.close().map_err(|(_, cause)| cause.into())
}

fn fill(connection: &Connection, header: &Header) -> rusqlite::Result<()> {
    prepare_to_shrink(connection)?;
    set(connection, &format!("application_id = {APPLICATION_ID}"))?;
    switch_to_wal(connection)?;
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    schema::create(connection, header)?;
    transaction.commit()
}

/// After an I/O error during the switch a connection believes in a log that
/// the file knows nothing of, so another one has to confirm it.
fn read_back(path: &Path, options: &Options) -> Result<(), Failure> {
    let connection = connection::open(path, options)?;
    schema::recognize(&connection)?;
    assert_wal(&connection)?;
    assert_can_shrink(&connection)?;
    connection.close().map_err(|(_, cause)| cause.into())
}

fn link(path: &Path, files: &Files) -> Result<(), Failure> {
    match fs::hard_link(path, files.database()) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) if cause.kind() == io::ErrorKind::Unsupported => {
            let context = "the file system has no hard links, which a new store needs";
            Err(Failure::environment(context).caused_by(cause))
        }
        Err(cause) => Err(Failure::system(
            format!("`{}` cannot be created", files.display()),
            cause,
        )),
    }
}

/// Removes what births left behind that died long ago. Ages are compared with
/// the new file's own, so no clock is read. Failing to is harmless.
fn remove_abandoned(files: &Files, cradle: &Cradle) {
    let Ok(entries) = fs::read_dir(files.directory()) else {
        return;
    };
    let stale = |path: &PathBuf| {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        let age = modified
            .ok()
            .and_then(|modified| cradle.made.duration_since(modified).ok());
        age.is_some_and(|age| age > Duration::from_secs(STALE_BIRTH_SECONDS))
    };
    let prefix = files.beside(".init-");
    let abandoned = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.as_os_str()
                .as_encoded_bytes()
                .starts_with(prefix.as_os_str().as_encoded_bytes())
        })
        .filter(stale);
    for path in abandoned.take(STALE_BIRTHS_REMOVED_MAX) {
        let _ = fs::remove_file(path);
    }
}

fn remove_with_siblings(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
}

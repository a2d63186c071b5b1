//! Opens what a power cut left, as the store does after a reboot, and looks.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use windlass_store::{Batch, Commit, Entry, KeyRange, Store, StoreError, StoreExt};
use windlass_store_sqlite::{Options, SqliteStore};

use crate::history::{DATABASE, Image, runtime, scratch, write_image};
use crate::ledger::{Finding, Ledger};

/// A place to open one image after the other.
pub(crate) struct Inspection {
    directory: TempDir,
    runtime: Runtime,
}

/// How closely an image is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Opened, every entry read and judged, closed.
    Brief,
    /// Also checked by SQLite, written to and opened once more.
    Thorough,
}

impl Inspection {
    pub(crate) fn new() -> Self {
        Self {
            directory: scratch(),
            runtime: runtime(),
        }
    }

    /// What is in the store that `image` is, if it is one the ledger allows.
    pub(crate) fn inspect(
        &self,
        image: &Image,
        ledger: &Ledger,
        care: Care,
    ) -> Result<Vec<Entry>, Finding> {
        self.clear();
        write_image(self.directory.path(), image);
        let path = self.path();
        let entries = self
            .runtime
            .block_on(read(&path))
            .map_err(Finding::Refused)?;
        ledger.judge(&entries)?;
        if care == Care::Thorough {
            check_file(&path)?;
            self.runtime.block_on(check_use(&path, &entries))?;
        }
        Ok(entries)
    }

    /// Every entry of the store that `image` is.
    pub(crate) fn read(&self, image: &Image) -> Result<Vec<Entry>, StoreError> {
        self.clear();
        write_image(self.directory.path(), image);
        self.runtime.block_on(read(&self.path()))
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(DATABASE)
    }

    /// Removes every file. The store that was open on them is closed.
    fn clear(&self) {
        let files = std::fs::read_dir(self.directory.path()).expect("our own directory");
        for file in files {
            let path = file.expect("our own directory").path();
            std::fs::remove_file(path).expect("a file of our own directory");
        }
    }
}

fn options() -> Options {
    Options {
        reader_threads: 1,
        ..Options::default()
    }
}

async fn read(path: &Path) -> Result<Vec<Entry>, StoreError> {
    let store = SqliteStore::open(path, options()).await?;
    let entries = store.scan_all(KeyRange::all()).await;
    store.close().await?;
    entries
}

/// Lets SQLite check the file. Nobody has it open.
fn check_file(path: &Path) -> Result<(), Finding> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(path, flags).expect("the file was just open");
    let checked = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    let said = checked.unwrap_or_else(|error| error.to_string());
    if said == "ok" {
        Ok(())
    } else {
        Err(Finding::Unsound(said))
    }
}

/// Commits to the store and sees that nothing else changed.
async fn check_use(path: &Path, entries: &[Entry]) -> Result<(), Finding> {
    let probe = "probe/key";
    let committed = commit(path, probe).await.map_err(Finding::Unusable)?;
    let Commit::Applied(version) = committed else {
        unreachable!("a batch without checks cannot conflict");
    };
    let mut found = read(path).await.map_err(Finding::Refused)?;
    let place = found.iter().position(|entry| entry.key == probe);
    let entry = place.map(|place| found.remove(place));
    assert_eq!(entry.map(|entry| entry.version), Some(version));
    assert_eq!(found, entries, "a commit changed what it did not write");
    Ok(())
}

async fn commit(path: &Path, probe: &'static str) -> Result<Commit, StoreError> {
    let store = SqliteStore::open(path, options()).await?;
    let committed = store.commit(Batch::new().put(probe, "value")).await;
    store.close().await?;
    committed
}

//! The store's fixture for the conformance suite.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use windlass_store::Store;
use windlass_store_sqlite::{Options, SqliteStore};
use windlass_store_testing::{Fixture, FixtureError, Tamper};

/// Stores in files of one temporary directory.
pub(crate) struct Files {
    directory: TempDir,
    made: usize,
    options: Options,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    /// Stores that are opened with these options.
    pub(crate) fn with(options: Options) -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory can be made"),
            made: 0,
            options,
        }
    }

    fn current(&self) -> PathBuf {
        self.directory
            .path()
            .join(format!("store-{}.db", self.made))
    }

    async fn open(&self) -> Result<Arc<dyn Store>, FixtureError> {
        let store = SqliteStore::open(self.current(), self.options.clone()).await?;
        Ok(Arc::new(store))
    }
}

#[async_trait]
impl Fixture for Files {
    async fn fresh(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        self.made += 1;
        self.open().await
    }

    async fn reopen(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        self.open().await
    }

    async fn contender(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        self.open().await
    }

    async fn tamper(&mut self, tamper: Tamper) -> Result<(), FixtureError> {
        damage(&self.current(), &tamper).map_err(FixtureError::setup)
    }
}

/// Damages the closed store at `path`.
fn damage(path: &Path, tamper: &Tamper) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    match tamper {
        Tamper::ValueBit { key, bit } => flip(path, "value", key, *bit)?,
        Tamper::KeyBit { key, bit } => flip(path, "key", key, *bit)?,
        Tamper::Truncate => {
            let file = fs::OpenOptions::new().write(true).open(path)?;
            file.set_len(file.metadata()?.len() / 2)?;
        }
        Tamper::Empty => fs::write(path, [])?,
        Tamper::Foreign => fs::write(path, "the file of another program\n".repeat(1_000))?,
    }
    Ok(())
}

fn flip(path: &Path, column: &str, key: &[u8], bit: usize) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    let select = format!("SELECT {column} FROM entry WHERE key = ?1");
    let mut bytes: Vec<u8> = connection.query_row(&select, [key], |row| row.get(0))?;
    bytes[bit / 8] ^= 1 << (bit % 8);
    let update = format!("UPDATE entry SET {column} = ?1 WHERE key = ?2");
    assert_eq!(connection.execute(&update, params![bytes, key])?, 1);
    Ok(())
}

//! The store's fixture for the conformance suite.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use windlass_store::Store;
use windlass_store_sled::{Options, SledStore};
use windlass_store_testing::{Fixture, FixtureError, Tamper};

/// Stores in directories of one temporary directory.
pub(crate) struct Directories {
    directory: TempDir,
    made: usize,
}

impl Directories {
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory can be made"),
            made: 0,
        }
    }

    fn current(&self) -> PathBuf {
        self.directory.path().join(format!("{}.sled", self.made))
    }

    async fn open(&self) -> Result<Arc<dyn Store>, FixtureError> {
        let store = SledStore::open(self.current(), Options::default()).await?;
        Ok(Arc::new(store))
    }
}

#[async_trait]
impl Fixture for Directories {
    async fn fresh(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        self.made += 1;
        self.open().await
    }

    async fn reopen(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        self.open().await
    }

    async fn contender(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        Err(FixtureError::not_applicable(
            "the files of sled belong to one process",
        ))
    }

    async fn tamper(&mut self, tamper: Tamper) -> Result<(), FixtureError> {
        damage(&self.current(), &tamper).map_err(FixtureError::setup)
    }
}

type Done = Result<(), Box<dyn Error + Send + Sync>>;

/// Damages the closed store at `path`.
pub(crate) fn damage(path: &Path, tamper: &Tamper) -> Done {
    let log = path.join("db");
    match tamper {
        Tamper::ValueBit { key, bit } => with_row(path, key, |key, mut value| {
            // The value stands after form, stamp and checksum.
            value[13 + bit / 8] ^= 1 << (bit % 8);
            (key, value)
        })?,
        Tamper::KeyBit { key, bit } => with_row(path, key, |mut key, value| {
            key[1 + bit / 8] ^= 1 << (bit % 8);
            (key, value)
        })?,
        Tamper::Truncate => {
            let file = fs::OpenOptions::new().write(true).open(log)?;
            file.set_len(file.metadata()?.len() / 2)?;
        }
        Tamper::Empty => fs::write(log, [])?,
        Tamper::Foreign => fs::write(log, "the file of another program\n".repeat(400_000))?,
    }
    Ok(())
}

/// Puts another row in the place of that of a key, behind the store's back.
fn with_row(
    path: &Path,
    key: &[u8],
    change: impl FnOnce(Vec<u8>, Vec<u8>) -> (Vec<u8>, Vec<u8>),
) -> Done {
    let db = open_raw(path)?;
    let key = [&[2], key].concat();
    let value = db.remove(&key)?.ok_or("the key is there")?;
    let (key, value) = change(key, value.to_vec());
    db.insert(key, value)?;
    db.flush()?;
    Ok(())
}

/// Opens the files of a closed store with sled alone.
pub(crate) fn open_raw(path: &Path) -> sled::Result<sled::Db> {
    let config = sled::Config::new()
        .path(path)
        .segment_size(8 * 1_024 * 1_024);
    config.flush_every_ms(None).open()
}

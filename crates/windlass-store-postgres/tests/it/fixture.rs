//! The store's fixture for the conformance suite.

use std::sync::Arc;

use async_trait::async_trait;
use windlass_store::Store;
use windlass_store_postgres::PostgresStore;
use windlass_store_testing::{Fixture, FixtureError, Tamper};

use crate::common::Place;

/// Stores in schemas of one server.
pub(crate) struct Schemas {
    current: Place,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        Self::beside(Place::new())
    }

    /// Stores beside a place.
    pub(crate) const fn beside(current: Place) -> Self {
        Self { current }
    }

    async fn open(&self) -> Result<Arc<dyn Store>, FixtureError> {
        let store = PostgresStore::connect(self.current.options()).await?;
        Ok(Arc::new(store))
    }
}

#[async_trait]
impl Fixture for Schemas {
    async fn fresh(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        self.current = self.current.beside();
        self.open().await
    }

    async fn reopen(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        self.open().await
    }

    async fn contender(&mut self) -> Result<Arc<dyn Store>, FixtureError> {
        self.open().await
    }

    async fn tamper(&mut self, tamper: Tamper) -> Result<(), FixtureError> {
        let sql = match tamper {
            Tamper::ValueBit { key, bit } => flip("value", &key, bit),
            Tamper::KeyBit { key, bit } => flip("key", &key, bit),
            Tamper::Truncate => {
                let reason = "the server keeps the files";
                return Err(FixtureError::not_applicable(reason));
            }
            Tamper::Empty => "TRUNCATE {schema}.store, {schema}.entry".to_owned(),
            Tamper::Foreign => "DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}; \
                                CREATE TABLE {schema}.entry (name text)"
                .to_owned(),
        };
        self.current.sql(&sql);
        Ok(())
    }
}

/// SQL that flips one bit of a column, counted as the suite does.
fn flip(column: &str, key: &[u8], bit: usize) -> String {
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "UPDATE {{schema}}.entry SET {column} = set_bit({column}, {bit}, 1 - get_bit({column}, {bit})) \
         WHERE key = '\\x{hex}'"
    )
}

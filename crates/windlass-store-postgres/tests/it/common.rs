//! A server, and stores on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use windlass_store::{Batch, Commit, Store, StoreError, StoreErrorKind, StoreExt, Version};
use windlass_store_postgres::{Options, PostgresStore};
use windlass_store_testing::postgres::Server;

/// A schema of its own on the server of this process.
pub(crate) struct Place {
    server: Arc<Server>,
    /// How the server is reached.
    address: String,
    schema: String,
}

impl Place {
    /// A place on the server that the tests of this process share.
    pub(crate) fn new() -> Self {
        let server = Server::shared().unwrap_or_else(|error| panic!("{error}"));
        Self::on(Arc::clone(&server), server.url())
    }

    /// A place on a server of its own, with settings.
    pub(crate) fn alone(settings: &[(&str, &str)]) -> Self {
        let server = Server::start(settings).unwrap_or_else(|error| panic!("{error}"));
        let address = server.url();
        Self::on(Arc::new(server), address)
    }

    /// Another place on the same server.
    pub(crate) fn beside(&self) -> Self {
        Self::on(Arc::clone(&self.server), self.address.clone())
    }

    /// A place on a server that is reached through another address.
    pub(crate) fn on(server: Arc<Server>, address: String) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            server,
            address,
            schema: format!("test_{number}"),
        }
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn url(&self) -> String {
        format!("{}?schema={}", self.address, self.schema)
    }

    pub(crate) fn options(&self) -> Options {
        Options::from_url(&self.url()).expect("the address is one")
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        self.open_with(self.options()).await
    }

    pub(crate) async fn open_with(&self, options: Options) -> PostgresStore {
        PostgresStore::connect(options)
            .await
            .unwrap_or_else(|error| panic!("the store opens: {error:?}"))
    }

    /// SQL with the place's schema for `{schema}`.
    pub(crate) fn with_schema(&self, sql: &str) -> String {
        sql.replace("{schema}", &self.schema)
    }

    /// Runs SQL in which `{schema}` stands for the place's schema.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let sql = self.with_schema(sql);
        let said = self.server.query(&sql);
        said.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// Commits, and expects it to apply.
pub(crate) async fn apply(store: &dyn Store, batch: Batch) -> Version {
    match store.commit(batch).await {
        Ok(Commit::Applied(version)) => version,
        other => panic!("expected the batch to apply, got {other:?}"),
    }
}

/// The value of a key.
pub(crate) async fn value(store: &dyn Store, key: &str) -> Option<Bytes> {
    let entry = store.get(Bytes::copy_from_slice(key.as_bytes())).await;
    entry.expect("the key can be read").map(|entry| entry.value)
}

/// The kind of an error that was expected.
pub(crate) fn kind<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> StoreErrorKind {
    match answer {
        Ok(value) => panic!("expected an error, got {value:?}"),
        Err(error) => error.kind(),
    }
}

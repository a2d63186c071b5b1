//! The store of Windlass for more than one machine, on PostgreSQL.
//!
//! One schema of a database, any number of processes. Everything waiting is
//! committed by one call of a function on the server, so callers share a
//! round trip and a flush; reads of several ranges are one statement. What
//! was acknowledged is as durable as the server makes it.
//!
//! This crate does not know what a session is, takes no configuration from
//! its surroundings, and gives out no connection: SQL is not an interface,
//! though the tables can be read with `psql`. It has no TLS: where the way to
//! the server is not trusted, a tunnel or a local pooler has to be between.
//!
//! Read first: [`PostgresStore`] and [`Options`]; then `sql/format_1.sql` (the
//! tables and the function), `plan.rs` (what it is sent) and `committer.rs`
//! (what its answers mean).
//!
//! ```no_run
//! use windlass_store::{Batch, Expect, Store, StoreExt};
//! use windlass_store_postgres::{Options, PostgresStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::from_url("postgres://agents@db.internal/agents?schema=windlass")?;
//! let store = PostgresStore::connect(options).await?;
//! let batch = Batch::new().check("acme/greeting", Expect::Absent).put("acme/greeting", "hello");
//! let _applied = store.commit(batch).await?;
//! let entry = store.get("acme/greeting".into()).await?.expect("just put");
//! assert_eq!(entry.value.as_ref(), b"hello");
//! store.close().await?;
//! # Ok(())
//! # }
//! ```

mod clock;
mod committer;
mod connect;
mod error;
mod export;
mod health;
mod hints;
mod limits;
mod numbers;
mod options;
mod plan;
mod prepared;
mod queue;
mod reader;
mod scan;
mod schema;
mod shared;
mod store;

pub use health::Health;
pub use options::{Migrations, Options, UnsafeServers};
pub use schema::{Status, Step, check, migrate};
pub use store::PostgresStore;

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

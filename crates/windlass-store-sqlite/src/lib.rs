//! The default durable store of Windlass, on SQLite.
//!
//! One file (with SQLite's `-wal` and `-shm`, and three empty lock files
//! beside it), any number of processes on one machine. Everything waiting is
//! committed in one transaction by one writer thread, so callers share a disk
//! flush; reads run on threads of their own and never wait for the writer.
//! An acknowledged commit survives power loss (`synchronous=EXTRA`), unless
//! [`Durability::Process`] is asked for.
//!
//! This crate does not know what a session is, takes no configuration from
//! its surroundings, and gives out no connection: SQL is not an interface,
//! though the file can be read with the `sqlite3` shell.
//!
//! Read first: [`SqliteStore`] and [`Options`]; then `writer.rs` (group
//! commit), `reader.rs` (grouped reads) and `birth.rs` (how a file comes to
//! be).
//!
//! ```
//! use windlass_store::{Batch, Expect, Store, StoreExt};
//! use windlass_store_sqlite::{Options, SqliteStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let store = SqliteStore::open(directory.path().join("agents.db"), Options::default()).await?;
//! let batch = Batch::new().check("acme/greeting", Expect::Absent).put("acme/greeting", "hello");
//! let _applied = store.commit(batch).await?;
//! let entry = store.get("acme/greeting".into()).await?.expect("just put");
//! assert_eq!(entry.value.as_ref(), b"hello");
//! store.close().await?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod apply;
mod birth;
mod checkpoint;
mod clock;
mod connection;
mod copier;
mod error;
mod export;
mod files;
mod gate;
mod group;
mod health;
mod here;
mod holes;
mod limits;
mod options;
mod queue;
mod reader;
mod scan;
mod schema;
mod shared;
mod space;
mod store;
mod turns;
mod writer;

pub use health::Health;
pub use options::{Copies, Durability, Options, Reads, Sharing};
pub use store::SqliteStore;

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

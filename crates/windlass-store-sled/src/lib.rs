//! An embedded durable store of Windlass in pure Rust, on sled.
//!
//! One directory, one process. Everything waiting is committed in one
//! transaction by one writer thread, so callers share a disk flush; reads run
//! on threads of their own, show what is on the disk, and wait for the writer
//! only while it changes memory. An acknowledged commit survives power loss.
//!
//! sled 0.34 is used as an ordered map with atomic batches, and for nothing
//! else: versions, consistent reads, exports, durability and the detection of
//! damage are this crate's own. `docs/adr/0006-sled.md` says why.
//!
//! This crate does not know what a session is, takes no configuration from its
//! surroundings, and gives out no handle of sled.
//!
//! Read first: [`SledStore`] and [`Options`]; then `writer.rs` (group commit),
//! `space.rs` (what readers see), `row.rs` (how entries lie in sled), and
//! `mark.rs` and `verify.rs` (how damage is noticed).
//!
//! ```
//! use windlass_store::{Batch, Expect, Store, StoreExt};
//! use windlass_store_sled::{Options, SledStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let store = SledStore::open(directory.path().join("agents.sled"), Options::default()).await?;
//! let batch = Batch::new().check("acme/greeting", Expect::Absent).put("acme/greeting", "hello");
//! let _applied = store.commit(batch).await?;
//! let entry = store.get("acme/greeting".into()).await?.expect("just put");
//! assert_eq!(entry.value.as_ref(), b"hello");
//! store.close().await?;
//! # Ok(())
//! # }
//! ```

mod birth;
mod claim;
mod engine;
mod error;
mod export;
mod files;
mod group;
mod health;
mod ledger;
mod limits;
mod mark;
mod options;
mod queue;
mod reader;
mod row;
mod shared;
mod space;
mod store;
mod verify;
mod writer;

pub use health::Health;
pub use options::{Durability, Options};
pub use store::SledStore;

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

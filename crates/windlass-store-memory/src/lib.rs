//! The in-memory reference store of Windlass.
//!
//! [`MemoryStore`] keeps every promise of [`Store`] that does not outlive a
//! process, in the least code that does so: what another store answers can be
//! compared with it, and whatever needs a store in a test can have this one.
//! What it holds ends with [`Store::close`] or with the process.
//!
//! This crate does not know any file, runtime or clock. Calls never wait for
//! anything but a short lock.
//!
//! Read first: [`MemoryStore`].
//!
//! ```
//! use windlass_store::{Batch, Commit, Expect, Store, StoreExt};
//! use windlass_store_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), windlass_store::StoreError> {
//! let store = MemoryStore::new()?;
//! let batch = Batch::new().check("acme/a", Expect::Absent).put("acme/a", "1");
//! let Commit::Applied(version) = store.commit(batch).await? else { panic!("nobody else is here") };
//!
//! let entry = store.get("acme/a".into()).await?.expect("it was just put");
//! assert_eq!((entry.value, entry.version), ("1".into(), version));
//! # Ok(())
//! # }
//! ```

mod space;
mod store;

pub use store::{EXPORTS_MAX, MemoryStore};

#[cfg(doc)]
use windlass_store::Store;

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

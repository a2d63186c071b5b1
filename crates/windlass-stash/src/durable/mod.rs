//! The form that survives a restart: written through a store, shared by
//! processes.
//!
//! Every change is one conditional commit that is durable before it is
//! answered; what one process changed, the very next call of another sees.
//! The rules are those of the form in memory.
//!
//! Read first: [`Stashes`] (all of a store), [`Execution`] (what can be done),
//! [`Options`]. How rows lie is in `keys.rs` and `record.rs`, what a commit
//! holds in `plan.rs`, the driver in `cell.rs`.
//!
//! ```
//! use std::sync::Arc;
//! use windlass_core::{ManualEnv, Millis};
//! use windlass_stash::Key;
//! use windlass_stash::durable::{Options, Stashes};
//! use windlass_store_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = Arc::new(MemoryStore::new()?);
//! let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
//! let stashes = Stashes::new(store, env, Options::default())?;
//!
//! let stash = stashes.stash(&"acme".parse()?, &"s1".parse()?);
//! let search = stash.execution(Some("search".parse()?));
//! let key: Key = "results".parse()?;
//! search.put(&key, &["a", "b"], None).await?;
//!
//! let found = search.get(&key).await?.expect("it was just put");
//! assert_eq!(found.as_json(), r#"["a","b"]"#);
//! let other = stash.execution(Some("mail".parse()?));
//! let refused = other.get(&key).await.unwrap_err();
//! assert_eq!(refused.to_string(), "the entry belongs to another group");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Retries
//!
//! A change made under an operation id ([`Execution::once`]) can be repeated
//! for a day: it gives the first answer and takes effect once, also after a
//! crash, in another process, and when the entry has gone since. What was
//! refused is decided again.
//!
//! Without one, a put, a delete and a touch may simply be repeated, and
//! `put_if_absent` and `compare_and_swap` make a repetition safe where others
//! write too: one that was done already finds its own version, or a mismatch
//! to look at. An increment whose outcome is unknown must not be repeated
//! blindly then.

mod cell;
pub mod check;
mod engine;
mod execution;
mod keys;
pub mod limits;
mod once;
mod options;
mod parts;
mod plan;
mod record;
mod remember;
mod repeat;
mod stashes;
mod state;
mod tenant;
mod upkeep;

pub use execution::Execution;
pub use once::Once;
pub use options::Options;
pub use stashes::{Stash, Stashes};
pub use tenant::TenantUsage;
pub use upkeep::{ReapReport, Unreadable};

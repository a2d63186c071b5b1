//! Scratch data that the calls of one agent session share.
//!
//! A stash maps keys to JSON values, each with a time to live and an owner: a
//! group of tools, or nobody. What one group puts, no other can read, replace
//! or see; what has expired is gone at once and holds no quota; two figures,
//! the bytes of the values and the memory they are charged with, are exact
//! after every outcome.
//!
//! This crate does not know which store it runs on, has no clock and no
//! runtime (time comes through [`windlass_core::Env`]), and knows nothing of
//! the other parts.
//!
//! Read first: [`MemoryStash`] (a stash in memory, synchronous),
//! [`Execution`] (what can be done with it), [`Config`] (its limits),
//! [`StashError`] (how it refuses). The rules themselves are in `rules`; the
//! form in memory and the durable one apply what they decide.
//!
//! ```
//! use std::sync::Arc;
//! use windlass_core::{Coded, ManualEnv, Millis};
//! use windlass_stash::{Config, Key, MemoryStash};
//!
//! let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
//! let stash = MemoryStash::new(env.clone(), Config::default())?;
//! let search = stash.execution(Some("search".parse()?));
//! let shell = stash.execution(Some("shell".parse()?));
//!
//! let key: Key = "page-1".parse()?;
//! let stored = search.put(&key, &["cedar", "oak"], Some(60_000))?;
//! let value = search.get(&key)?.expect("it was put");
//! assert_eq!(value.parse::<Vec<&str>>()?, ["cedar", "oak"]);
//!
//! let refused = shell.get(&key).unwrap_err();
//! assert_eq!(refused.code(), "cross_group_access");
//! let swapped = search.compare_and_swap(&key, stored.version, &["ash"], None)?;
//! assert_eq!(stash.usage().live.value_bytes, swapped.size);
//!
//! env.advance_ms(3_600_000);
//! assert_eq!(shell.get(&key)?, None, "its time is over");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod audit;
pub mod config;
#[cfg(feature = "durable")]
pub mod durable;
pub mod error;
#[cfg(feature = "durable")]
mod fingerprint;
mod key;
pub mod limits;
mod memory;
mod metadata;
mod operations;
mod request;
mod rules;
mod sync;
mod value;

pub use audit::{Audit, Event, Outcome, Verb};
pub use config::{Config, Quota};
pub use error::{Problem, QuotaMeter, StashError, StepError};
pub use key::Key;
pub use memory::{Execution, MemoryStash};
pub use metadata::{Entry, Figures, Metadata, Usage};
pub use request::{
    Answer, Condition, Increment, KeyPage, KeyQuery, Number, Operation, Put, Removed,
};
pub use value::Value;

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

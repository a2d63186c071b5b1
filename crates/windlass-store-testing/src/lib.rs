//! What it takes to trust a store: the conformance suite of the storage
//! trait, a model, and wrappers that are worse than any real store.
//!
//! A new store gets one test for each promise P1 to P19 of
//! [`Store`](windlass_store::Store) from a [`Fixture`] and one line:
//!
//! ```
//! # use windlass_store::{Store, StoreError};
//! # use windlass_store_testing::Strict;
//! # fn open() -> Result<Strict<dyn Store>, StoreError> { Err(StoreError::closed("open")) }
//! use windlass_store_testing::{Volatile, conformance};
//!
//! // In tests/it/conformance.rs of a store without files:
//! conformance!(Volatile::new(open), not_applicable: [11, 17, 18]);
//! # fn main() {}
//! ```
//!
//! This crate does not know any concrete store: it is handed a constructor.
//! It is for tests; nothing here is fast.
//!
//! Read first: [`Fixture`] and [`conformance!`] for whoever writes a store;
//! [`Strict`], [`Faulty`] and [`Pausing`] for whoever builds on one; [`Model`]
//! for what a store is.

mod audited;
mod counting;
mod crowd;
mod damaged;
mod faulty;
mod fixture;
mod gather;
mod history;
mod legal;
mod model;
mod pausing;
#[cfg(feature = "postgres")]
pub mod postgres;
mod promises;
mod random;
mod serial;
mod slow;
mod strict;
pub mod suite;
mod verb;
mod verdict;

pub use audited::audited;
pub use counting::{Counting, Counts};
pub use crowd::{Heard, come_and_go};
pub use damaged::{Damage, Damaged};
pub use faulty::{Fault, Faulty};
pub use fixture::{Fixture, FixtureError, Tamper, Volatile};
pub use history::{HISTORY_CASES, HISTORY_STEPS, REGRESSION_SEEDS, random_histories};
pub use model::Model;
pub use pausing::{Pause, Paused, Pausing};
pub use random::Random;
pub use serial::explains;
pub use slow::Slow;
pub use strict::{Strict, StrictOptions};
pub use suite::{PROMISES, Promise};
pub use verb::{Moment, Verb};
pub use verdict::{Broken, Outcome};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

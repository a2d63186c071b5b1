//! Scratch data that the calls of one agent session share.

pub mod audit;
pub mod config;
#[cfg(feature = "durable")]
pub mod durable;
pub mod error;
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

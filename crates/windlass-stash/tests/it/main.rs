//! Tests of the stash in memory, and of the rules that both forms share.

mod auditing;
#[cfg(feature = "durable")]
mod durable;
mod errors;
mod expiring;
mod groups;
mod limits;
mod listing;
mod model;
mod numbers;
mod settings;
mod steps;
mod support;
mod values;

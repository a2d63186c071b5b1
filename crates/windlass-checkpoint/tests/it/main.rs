//! Tests of checkpoints over the strict store.

mod commits;
mod model;
mod names;
mod support;

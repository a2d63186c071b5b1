//! Tests of checkpoints over the strict store.

mod commits;
mod names;
mod support;

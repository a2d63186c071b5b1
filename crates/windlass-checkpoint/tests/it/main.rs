//! Tests of checkpoints over the strict store.

mod collecting;
mod commits;
mod model;
mod names;
mod support;

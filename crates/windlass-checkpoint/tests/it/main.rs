//! Tests of checkpoints over the strict store.

mod names;

//! Tests of checkpoints over the strict store.

mod attaching;
mod collecting;
mod commits;
mod garbage;
mod history;
mod model;
mod names;
mod pages;
mod relatives;
mod support;

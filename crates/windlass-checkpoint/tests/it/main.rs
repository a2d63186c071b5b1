//! Tests of checkpoints over the strict store.

mod attaching;
mod collecting;
mod commits;
mod ending;
mod garbage;
mod history;
mod layout;
mod model;
mod names;
mod pages;
mod reachable;
mod relatives;
mod support;

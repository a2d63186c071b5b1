//! Tests of keys and tenants, over a store in memory that makes the least of
//! its contract.

mod damaged;
mod deaths;
mod erasing;
mod errors;
mod granting;
mod keys;
mod layout;
mod listing;
mod operations;
mod proving;
mod support;
mod sweeping;
mod tenants;

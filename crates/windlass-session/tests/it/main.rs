//! Tests of sessions, over a store in memory that makes the least of its
//! contract.

mod late;
mod races;
mod reading;
mod support;

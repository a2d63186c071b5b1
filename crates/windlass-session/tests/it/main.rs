//! Tests of sessions, over a store in memory that makes the least of its
//! contract.

mod agents;
mod creating;
mod late;
mod listing;
mod order;
mod races;
mod reading;
mod sharing;
mod support;

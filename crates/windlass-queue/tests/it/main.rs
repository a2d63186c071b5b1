//! Tests of the queue, over a store in memory that makes the least of its
//! contract.

mod claiming;
mod dead;
mod drops;
mod errors;
mod fencing;
mod history;
mod layout;
mod model;
mod support;
mod turns;
mod twice;
mod upkeep;
mod waiting;

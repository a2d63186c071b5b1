//! Tests of sessions, over a store in memory that makes the least of its
//! contract.

mod agents;
mod allowing;
mod budget;
mod chaos;
mod creating;
mod delegating;
mod drops;
mod errors;
mod forest;
mod groups;
mod late;
mod layout;
mod listing;
mod model;
mod musts;
mod operations;
mod order;
mod races;
mod rating;
mod reading;
mod retention;
mod revisions;
mod sharing;
mod support;
mod trees;

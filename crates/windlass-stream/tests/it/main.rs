//! Everything that streams promise, over a store that makes the least of its
//! own contract.

mod ahead;
mod appending;
mod chunking;
mod clocks;
mod credentials;
mod cursors;
mod cuts;
mod digests;
mod durable;
mod errors;
mod following;
mod latency;
mod layout;
mod long_rows;
mod names;
mod races;
mod reading;
mod scanning;
mod slots;
mod steps;
mod subscriptions;
mod support;
mod tuning;
mod upkeep;

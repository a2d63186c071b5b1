//! Everything that streams promise, over a store that makes the least of its
//! own contract.

mod chunking;
mod digests;
mod names;
mod slots;
mod tuning;

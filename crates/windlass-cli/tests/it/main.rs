//! The command as its users meet it: as a process.

#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

mod access;
mod audit;
mod backups;
mod bench;
mod cache;
mod checkpoints;
mod checks;
mod client;
mod documents;
mod generated;
mod outlets;
mod outputs;
mod postgres;
mod queues;
mod refusals;
mod remote;
mod replay;
mod settings;
mod sled;
mod soak;
mod stashing;
mod stopping;
mod streams;
mod transcripts;
mod transfer;
mod upkeep;

//! How fast the engine is, beside what it is compared with.
//!
//! `windlass-benches sessions` measures the table of sessions, `stash` that of
//! the stash, `cache`, `checkpoints`, `queue` and `streams` those of these parts,
//! `stores` that of the stores, `backup` that of backups and checks, `footprint` that of how large stores become; `failover` is
//! a drill. This crate is not published, and nothing depends on it. It reads
//! `/proc`, so it runs on Linux.
//!
//! Read first: [`harness`] (how sides are compared), then [`sessions`],
//! [`stash`] and [`stores`] (what is compared).

pub mod backup;
pub mod cache;
pub mod checkpoints;
pub mod clock;
pub mod drills;
pub mod error;
pub mod footprint;
pub mod harness;
pub mod peers;
pub mod queue;
pub mod server;
pub mod sessions;
pub mod slow_disk;
pub mod stash;
pub mod stores;
pub mod streams;

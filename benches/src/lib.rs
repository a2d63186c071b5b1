//! How fast the engine is, beside what it is compared with.
//!
//! `windlass-benches sessions` measures the table of sessions, `stash` that of
//! the stash, `stores` that of the stores, `footprint` shows how
//! large stores become; `failover` is a drill. This crate is
//! not published, and nothing depends on it. It reads `/proc`, so it runs on
//! Linux.
//!
//! Read first: [`harness`] (how sides are compared), then [`sessions`],
//! [`stash`] and [`stores`] (what is compared).

pub mod clock;
pub mod drills;
pub mod error;
pub mod footprint;
pub mod harness;
pub mod server;
pub mod sessions;
pub mod slow_disk;
pub mod stash;
pub mod stores;

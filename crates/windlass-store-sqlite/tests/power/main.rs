//! What the store keeps when the power is cut, and what it answers when the
//! disk fails.
//!
//! Everything that SQLite does to its files goes through a VFS (`vfs.rs`)
//! that records it (`recording.rs`). From a recording, `medium.rs` knows at
//! each moment what is on the disk for certain and what may be; `cuts.rs`
//! draws images from that and opens them with the ordinary store. Every
//! checker is shown to notice what it is there for.

#![cfg(unix)]

mod cuts;
mod disk;
mod facts;
mod fate;
mod history;
mod inspection;
mod io_faults;
mod ledger;
mod ledger_rules;
mod medium;
mod medium_rules;
mod power_loss;
mod recording;
mod saboteur;
mod settings;
mod trial;
mod vfs;
mod workload;

//! Two tiers: one in memory, in front of one in a store.
//!
//! The store has everything, the memory a part of it; so the rules of both
//! are simple. What is in memory is also in the store, and never newer. A
//! change is made in the store first, by one run at a time (`desk`), and in
//! memory when the store has acknowledged it. A read that finds nothing in
//! memory asks the store, unless a filter knows that there is nothing.
//!
//! | module | what is in it |
//! |---|---|
//! | `cache` | what callers do |
//! | `open` | the beginning and the end |
//! | `fetch` | reads of the store |
//! | `ahead` | blobs that are written in pieces, before their records |
//! | `packing` | blobs that are stored shorter than they are |
//! | `invalidate`, `sweep`, `orphans` | what goes |
//! | `desk`, `draft`, `acts`, `load`, `heads`, `room` | changes, and the commits they share |
//! | `filter`, `below`, `learn` | which names there are |
//! | `above`, `uses` | what is done to the first tier, and asked of it |
//! | `keys`, `record`, `past` | the rows, and reading on past damaged ones |

mod above;
mod action;
mod acts;
mod ahead;
mod below;
mod cache;
mod counters;
mod desk;
mod draft;
mod fetch;
mod filter;
mod heads;
mod invalidate;
mod keys;
mod learn;
mod load;
mod open;
mod options;
mod orphans;
mod packing;
mod past;
mod record;
mod room;
mod shared;
mod sweep;
mod uses;

pub(crate) use below::Below;
pub use cache::TieredCache;
pub use counters::{BelowStats, TieredStats};
pub use options::{Compression, Options};
pub use orphans::{OrphanPosition, OrphanReport, Orphaned};
pub use sweep::TieredReport;

//! Streams: append-only output that is read on after any cut.

use serde::{Deserialize, Serialize};

/// What upkeep did for streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamsReport {
    /// Steps taken.
    pub scanned: u64,
    /// Cursors forgotten.
    pub cursors_removed: u64,
    /// Expired streams removed.
    pub streams_removed: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// Records that cannot be read, by the keys that led to them, and why; they
    /// are left alone.
    pub unreadable: Vec<(String, String)>,
}

//! The store below the engine, for operators.

use serde::{Deserialize, Serialize};

use crate::audit::AuditReport;
use crate::queue::QueueReport;
use crate::session::Unreadable;
use crate::state::{AttachmentReport, GarbageReport, PackReport};
use crate::stream::StreamsReport;

#[cfg(feature = "schema")]
use crate::schema::Identifier;

/// The state of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Health {
    /// The database behind the store and its version.
    pub database: String,
    /// Whether an acknowledged change survives a power failure.
    pub survives_power_loss: bool,
    /// Whether it is known what the last commit did; while it is not, reads
    /// fail as unavailable.
    pub settled: bool,
    /// Bytes of write-ahead log on the disk, where the store has one.
    #[cfg_attr(feature = "schema", schema(required))]
    pub wal_bytes: Option<u64>,
    /// For how long the oldest read has been running, in milliseconds.
    #[cfg_attr(feature = "schema", schema(required))]
    pub oldest_reader_ms: Option<u64>,
}

/// What the store remembers of its backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BackupStatus {
    /// The last that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastBackup>,
    /// The last that failed, if that was later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedBackup>,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LastBackup {
    /// Its name.
    pub name: String,
    /// When it was begun, in Unix milliseconds. What was acknowledged before is
    /// in it.
    pub begun_at: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Entries in it.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Bytes of its files.
    pub file_bytes: u64,
    /// Whether it was read back.
    pub verified: bool,
}

/// A backup that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FailedBackup {
    /// When, in Unix milliseconds.
    pub at: u64,
    /// The code of the error.
    pub code: String,
}

/// How far to count what has come due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct DueQuery {
    /// Entries to count at most: 1 to 100,000; 1,000 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        param(minimum = 1, maximum = 100_000, default = 1_000)
    )]
    pub limit: Option<u64>,
}

/// How much upkeep has come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Due {
    /// Entries counted.
    pub entries: u64,
    /// Whether there may be more beyond the limit of the count.
    pub more: bool,
}

/// Asks for a bounded amount of upkeep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Maintain {
    /// Steps for each part at most: 1 to 100,000; 1,000 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schema(minimum = 1, maximum = 100_000, default = 1_000)
    )]
    pub limit: Option<u64>,
}

/// What one round of upkeep did, part by part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Maintained {
    /// Sessions that expired or whose retention ended.
    pub sessions: SweepReport,
    /// Stash entries that expired, and what interrupted puts left behind.
    pub stashes: ReapReport,
    /// States that were packed, and commits that are no longer kept.
    #[serde(default)]
    pub checkpoints: PackReport,
    /// Attachments that no commit has taken.
    #[serde(default)]
    pub attachments: AttachmentReport,
    /// Contents that no state needs any more.
    #[serde(default)]
    pub garbage: GarbageReport,
    /// What queues remembered long enough.
    #[serde(default)]
    pub queue: QueueReport,
    /// Streams and cursors that expired.
    #[serde(default)]
    pub streams: StreamsReport,
    /// Events of the audit that were kept long enough.
    #[serde(default)]
    pub audit: AuditReport,
}

/// What a round of upkeep did for sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SweepReport {
    /// Steps taken.
    pub scanned: u64,
    /// Sessions marked expired.
    pub expired: u64,
    /// Sessions marked ended because one above them was.
    pub closed: u64,
    /// Sessions removed with everything that belonged to them.
    pub removed: u64,
    /// Operation records dropped.
    pub operations_removed: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// Sessions whose records cannot be read; they are left alone.
    pub unreadable: Vec<Unreadable>,
}

/// What a round of upkeep did for stashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReapReport {
    /// Steps taken.
    pub scanned: u64,
    /// Expired entries removed.
    pub removed: u64,
    /// The value bytes they had.
    pub bytes: u64,
    /// Pieces of values removed that no entry points at.
    pub pieces_removed: u64,
    /// Operation ids forgotten.
    pub operations_removed: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// Stashes that cannot be read; they are left alone.
    pub unreadable: Vec<UnreadableStash>,
}

/// A stash whose records cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UnreadableStash {
    /// Whose it is.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: String,
    /// Of which session.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub session: String,
    /// What is wrong.
    pub why: String,
}

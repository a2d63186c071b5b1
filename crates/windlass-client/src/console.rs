//! What a person looks at who runs agents: what is going on, what is refused
//! and why, what is stuck; and figures of the server over time.

use serde::{Deserialize, Serialize};

use crate::cache::CacheView;
use crate::session::{Readings, Status};
use crate::store::{BackupStatus, Health};

#[cfg(feature = "schema")]
use crate::schema::UnixMs;

/// What one process of the server counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProcessCounts {
    /// Calls of tools that were granted.
    pub uses: u64,
    /// Operations that a rule refused.
    pub refused: u64,
}

/// How many sessions there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SessionCounts {
    /// Active now.
    pub active: u64,
    /// Stored, ended ones included until their retention is over.
    pub stored: u64,
    /// Whether there are at least so many: counting ended early, or left out
    /// what cannot be read.
    pub at_least: bool,
    /// Records that were left out since they cannot be read.
    #[serde(default)]
    pub unreadable: u64,
}

/// What share of something is left: 1 of all of it, 0 of nothing; null of what
/// is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Shares {
    /// Of calls.
    #[cfg_attr(feature = "schema", schema(required))]
    pub calls: Option<f64>,
    /// Of tokens.
    #[cfg_attr(feature = "schema", schema(required))]
    pub tokens: Option<f64>,
    /// Of the cost.
    #[cfg_attr(feature = "schema", schema(required))]
    pub cost_micros: Option<f64>,
    /// Of the time.
    #[cfg_attr(feature = "schema", schema(required))]
    pub time: Option<f64>,
}

/// An active session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunningSession {
    /// Its id.
    pub id: String,
    /// On whose behalf it runs.
    pub agent: String,
    /// What it is for.
    pub intent: String,
    /// The session that delegated to it.
    #[cfg_attr(feature = "schema", schema(required))]
    pub parent: Option<String>,
    /// Where it is in its life.
    pub status: Status,
    /// When it was created.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub created_at: u64,
    /// When it last changed.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub changed_at: u64,
    /// When its time is over.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub expires_at: u64,
    /// The number of its last call.
    pub calls_made: u64,
    /// Its meters.
    pub budget: Readings,
    /// What share of them is left.
    pub left: Shares,
    /// Calls it was granted since the process started.
    pub uses: u64,
}

/// A kind of refusal since the process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RefusedKind {
    /// What was asked for.
    pub action: String,
    /// The error code.
    pub code: String,
    /// How often.
    pub count: u64,
    /// When last.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub last_at: u64,
    /// The session that was last meant, if one was.
    #[cfg_attr(feature = "schema", schema(required))]
    pub session: Option<String>,
    /// The tool that was last meant, if one was.
    #[cfg_attr(feature = "schema", schema(required))]
    pub tool: Option<String>,
}

/// How much work there is in all queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WorkCounts {
    /// In line, or to be in line later, and not claimed.
    pub ready: u64,
    /// Held by somebody.
    pub claimed: u64,
    /// Not tried any more.
    pub dead: u64,
    /// For how long the oldest of what stands in line has stood there, in
    /// milliseconds; null if nothing does.
    #[cfg_attr(feature = "schema", schema(required))]
    pub oldest_ms: Option<u64>,
    /// Sessions whose queues were looked at.
    pub sessions: u64,
    /// Whether there is at least so much: there are queues that were not looked
    /// at, or cannot be read.
    pub at_least: bool,
    /// Queues that were left out since they cannot be read.
    #[serde(default)]
    pub unreadable: u64,
}

/// Reads of streams that are open in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ReadCounts {
    /// By principals of the tenant.
    pub reading: u64,
    /// How many may be open in this process, of all tenants.
    pub reading_max: u64,
}

/// What kind of thing is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StuckKind {
    /// Work that is not tried any more.
    DeadWork,
    /// Work that stands in line while nobody holds any.
    WorkWaiting,
    /// A meter of which a tenth or less is left.
    BudgetNearlySpent,
    /// A session of whose time a tenth or less is left.
    TimeNearlyOver,
    /// A task of upkeep that failed the last time.
    TaskFailing,
    /// Upkeep that has been due for long.
    UpkeepOverdue,
    /// A store of which it is not known what its last commit did.
    StoreUnsettled,
    /// A backup that failed after the last good one.
    BackupFailed,
}

/// Something that is stuck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stuck {
    /// What kind of thing.
    pub kind: StuckKind,
    /// The session it is of, if it is of one.
    #[cfg_attr(feature = "schema", schema(required))]
    pub session: Option<String>,
    /// Since when, where that is known.
    #[cfg_attr(feature = "schema", schema(required, value_type = Option<UnixMs>))]
    pub since: Option<u64>,
    /// How many there are, where there can be several.
    #[cfg_attr(feature = "schema", schema(required))]
    pub count: Option<u64>,
    /// In a few words for people.
    pub detail: String,
}

/// What is going on in a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TenantOverview {
    /// When it was looked.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// The code of the error for which it could not be looked again, if it could
    /// not: what is stored is shown as it was seen at `at`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schema(required))]
    pub failed: Option<String>,
    /// When the process started that was asked.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub started_at: u64,
    /// What it counted of the tenant since then.
    pub counted: ProcessCounts,
    /// How many sessions there are.
    pub sessions: SessionCounts,
    /// Active sessions, those used last first: at most 20.
    pub running: Vec<RunningSession>,
    /// What was refused since the process started, the last first: at most 50
    /// kinds.
    pub refused: Vec<RefusedKind>,
    /// What is in queues; null for who may not read them.
    #[cfg_attr(feature = "schema", schema(required))]
    pub work: Option<WorkCounts>,
    /// What is read of streams; null for who may not read them.
    #[cfg_attr(feature = "schema", schema(required))]
    pub streams: Option<ReadCounts>,
    /// What is stuck: at most 50.
    pub stuck: Vec<Stuck>,
}

/// What one process came to with a task of upkeep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskFigures {
    /// What it is called.
    pub task: String,
    /// Steps it took.
    pub steps: u64,
    /// How often it failed.
    pub failures: u64,
    /// Entries that were due and left at the end of the last round.
    pub overdue: u64,
    /// When the first of these came due.
    #[cfg_attr(feature = "schema", schema(required, value_type = Option<UnixMs>))]
    pub oldest_at: Option<u64>,
}

/// What one process came to with upkeep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UpkeepFigures {
    /// Whether it does upkeep now.
    pub holds: bool,
    /// Rounds in which no task failed.
    pub rounds: u64,
    /// Rounds in which one did.
    pub rounds_failed: u64,
    /// Each task.
    pub tasks: Vec<TaskFigures>,
}

/// What one process has open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HttpFigures {
    /// Requests answered since it started.
    pub requests: u64,
    /// Open connections.
    pub connections: u64,
    /// Open streams.
    pub streams: u64,
    /// How many may be open.
    pub streams_max: u64,
    /// Bytes set aside for bodies being received.
    pub bodies_bytes: u64,
}

/// How the process is that was asked, and the store below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Service {
    /// When it was looked.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// When the process started.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub started_at: u64,
    /// Its version.
    pub version: String,
    /// Whether it is stopping.
    pub draining: bool,
    /// The store; null if that cannot be told.
    #[cfg_attr(feature = "schema", schema(required))]
    pub store: Option<Health>,
    /// Its backups; null if their record cannot be read.
    #[cfg_attr(feature = "schema", schema(required))]
    pub backup: Option<BackupStatus>,
    /// Upkeep.
    pub maintenance: UpkeepFigures,
    /// The cache; null without one.
    #[cfg_attr(feature = "schema", schema(required))]
    pub cache: Option<CacheView>,
    /// What is open.
    pub http: HttpFigures,
    /// Reads of streams.
    pub reads: ReadCounts,
    /// What was counted of all tenants.
    pub counted: ProcessCounts,
    /// Bytes of memory that the process has; null where the system does not
    /// say.
    #[cfg_attr(feature = "schema", schema(required))]
    pub memory_bytes: Option<u64>,
    /// What is stuck: at most 50.
    pub stuck: Vec<Stuck>,
}

/// Which part of the history to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Only samples later than this, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Only these series, by their names with commas between; all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(max_length = 1024))]
    pub series: Option<String>,
}

/// One series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Series {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub unit: String,
}

/// Figures of one process of the server over time, kept while it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MetricsHistory {
    /// Milliseconds between two samples.
    pub interval_ms: u64,
    /// For how long a sample is kept, in milliseconds; 0 if none is taken.
    pub retention_ms: u64,
    /// When the process started.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub started_at: u64,
    /// The series that are shown.
    pub series: Vec<Series>,
    /// When the samples were taken, the oldest first.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<UnixMs>))]
    pub at: Vec<u64>,
    /// The values of each series at these times; null where there was nothing
    /// to measure.
    pub values: Vec<Vec<Option<f64>>>,
}

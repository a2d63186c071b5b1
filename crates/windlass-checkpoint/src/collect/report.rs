//! What a collection did.

use serde::Serialize;

/// What a collection did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CollectReport {
    /// Commits and attachments from which it marked.
    pub roots: u64,
    /// Rows looked at.
    pub scanned: u64,
    /// Rows of contents that stay, as far as they were looked at.
    pub kept: u64,
    /// Rows of contents that were deleted; in a dry run, those that would be.
    pub deleted: u64,
    /// Bytes of these rows, as they were stored.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether there is, or may be, more to do.
    pub truncated: bool,
    /// Why it did less than it might have.
    pub reasons: Vec<Reason>,
}

/// Why a collection did less than it might have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Something that marking has to read cannot be read, so nothing of the
    /// lineage was deleted.
    Unreadable {
        /// Which record or blob, with its name.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another collection of the lineage was under way.
    AnotherRun,
    /// There is more garbage than one run takes.
    TooMuch,
    /// It is not done: the limit of its steps was reached.
    Limit,
}

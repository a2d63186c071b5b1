//! Every limit of collections, with its unit in its name.

/// Rows that one run condemns at most; the next run takes the others.
pub(super) const CONDEMNED_MAX: usize = 65_536;
/// Rows that one commit condemns, or pardons.
pub(super) const CONDEMNED_AT_ONCE: usize = 256;
/// Rows that one commit deletes: each has two checks, and a commit 128 at
/// most.
pub(super) const DELETED_AT_ONCE: usize = 63;
/// Rows that one read gives by their names.
pub(super) const READ_AT_ONCE: usize = windlass_store::limits::READ_SCANS_MAX;
/// Manifests that are read at once.
pub(super) const MANIFESTS_AT_ONCE: usize = 64;

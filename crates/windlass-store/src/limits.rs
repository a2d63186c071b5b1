//! Every limit of the storage trait, with its unit in its name. All stores
//! enforce the same ones, before anything happens.

/// Longest key.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Longest value, before it is sealed.
pub const VALUE_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// Most checks in one batch.
pub const BATCH_CHECKS_MAX: usize = 128;
/// Most writes in one batch.
pub const BATCH_WRITES_MAX: usize = 1_024;
/// Most bytes of keys and values in one batch, checks included.
pub const BATCH_BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// Most scans in one read.
pub const READ_SCANS_MAX: usize = 16;
/// Most entries over all pages of one read.
pub const READ_ENTRIES_MAX: usize = 1_000;
/// Most bytes of keys and values over all pages of one read; the first entry
/// of a read is given whatever its size.
pub const READ_BYTES_MAX: usize = 8 * 1_024 * 1_024;
/// Most subscriptions one store keeps at a time; one more ends at once.
pub const SUBSCRIPTIONS_MAX: usize = 1_024;

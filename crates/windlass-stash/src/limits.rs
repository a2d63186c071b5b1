//! Every limit of the stash, with its unit in its name.

/// Longest key, in characters (which are bytes: keys are ASCII).
pub const KEY_CHARS_MAX: usize = 256;
/// Live keys where nothing else is configured.
pub const KEYS_DEFAULT: u64 = 256;
/// Most live keys that can be configured.
pub const KEYS_MAX: u64 = 1_000_000;
/// Largest value where nothing else is configured: 16 MiB.
pub const VALUE_BYTES_DEFAULT: u64 = 16 * 1_024 * 1_024;
/// Largest value that can be configured: 1 GiB.
pub const VALUE_BYTES_MAX: u64 = 1_024 * 1_024 * 1_024;
/// All values together where nothing else is configured: 128 MiB.
pub const TOTAL_BYTES_DEFAULT: u64 = 128 * 1_024 * 1_024;
/// Largest sum of values, and largest memory, that can be configured: 1 TiB.
pub const TOTAL_BYTES_MAX: u64 = 1_024 * 1_024 * 1_024 * 1_024;
/// Time to live where none is given: one hour.
pub const TTL_MS_DEFAULT: u64 = 60 * 60 * 1_000;
/// Longest time to live where nothing else is configured: 24 hours.
pub const TTL_MS_MAX_DEFAULT: u64 = 24 * 60 * 60 * 1_000;
/// Longest time to live that can be configured: a year.
pub const TTL_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1_000;
/// Most groups with a quota of their own in one configuration.
pub const GROUP_QUOTAS_MAX: usize = 1_024;
/// Most operations in one atomic step.
pub const STEP_OPERATIONS_MAX: usize = 256;
/// Most keys on one page of a listing.
pub const LIST_MAX: usize = 1_000;
/// What each entry is charged beside its value, key and group: its two records
/// in memory, the indexes that name it, and their share of empty slots.
pub const ENTRY_BYTES: u64 = 384;

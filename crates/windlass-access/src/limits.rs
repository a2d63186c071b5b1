//! Every limit of keys and tenants, with its unit in its name.

/// Most keys of one tenant, and most of operators; those that ended count
/// until upkeep drops them.
pub const KEYS_MAX: u64 = 10_000;
/// Longest label.
pub const LABEL_BYTES_MAX: usize = 128;
/// Most groups a key can name.
pub const GROUPS_MAX: usize = 64;
/// Most verbs and patterns of verbs a key can name.
pub const VERBS_MAX: usize = 64;
/// Shortest time to live of a key, where it has one: 1 s.
pub const TTL_MS_MIN: u64 = 1_000;
/// Longest time to live of a key, where it has one: ten years of 365 days.
pub const TTL_MS_MAX: u64 = 3_650 * DAY_MS;
/// Longest time for which the old secret of a rotated key still works.
pub const OVERLAP_MS_MAX: u64 = 30 * DAY_MS;
/// How long a key is kept after it expired or was revoked.
pub const RETENTION_MS: u64 = 30 * DAY_MS;
/// Most keys or tenants on one page.
pub const PAGE_MAX: usize = 1_000;

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// Races that may be lost for one record before the caller is told.
pub(crate) const ROUNDS_MAX: u32 = 64;
/// Rows of other parts that one round of upkeep passes over at most, unless
/// its own limit is higher.
pub(crate) const PASSED_ROWS_MAX: usize = 10_000;

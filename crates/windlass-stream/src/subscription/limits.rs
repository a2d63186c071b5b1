//! Every limit of subscriptions, with its unit in its name.

/// Subscriptions that a principal can have.
pub const SUBSCRIPTIONS_MAX: usize = 256;
/// Streams that one subscription can be linked to: all of them are removed in
/// one commit.
pub const LINKS_MAX: usize = 1_000;
/// Streams that one wake tells of; what is pending comes first.
pub const WAKE_STREAMS_MAX: usize = 256;
/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// Longest URL of a webhook, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// Longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Longest name of a worker, in bytes.
pub const WORKER_BYTES_MAX: usize = 128;
/// Least time of a worker's lease, in milliseconds.
pub const LEASE_TTL_MS_MIN: u64 = 1_000;
/// Longest time of a worker's lease, in milliseconds: ten minutes.
pub const LEASE_TTL_MS_MAX: u64 = 600_000;
/// Time of a worker's lease if nothing is said, in milliseconds.
pub const LEASE_TTL_MS_DEFAULT: u64 = 30_000;
/// Wait after the first failed delivery, in milliseconds; doubled with each
/// further one.
pub const RETRY_MS_MIN: u64 = 1_000;
/// Longest wait after a failed delivery, in milliseconds.
pub const RETRY_MS_MAX: u64 = 60_000;
/// How long a deleted subscription is remembered, so that its generations go
/// on if it is made again, in milliseconds: ten minutes.
pub const TOMBSTONE_MS: u64 = 600_000;

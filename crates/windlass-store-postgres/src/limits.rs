//! Every limit of this store, with its unit in its name.

/// The oldest server that is known to work, as the server counts versions.
pub(crate) const SERVER_VERSION_MIN: i32 = 140_000;

/// Most batches in one transaction.
pub(crate) const GROUP_BATCHES_MAX: usize = 2_048;
/// KiB of batches after which a transaction takes no further one.
pub(crate) const GROUP_KIB_MAX: usize = 16 * 1_024;
/// Most batches of one transaction that may follow each other on one key; the
/// next one waits for the next transaction.
pub(crate) const GROUP_WAVES_MAX: usize = 32;
/// KiB of accepted batches that wait or are being committed; further callers
/// wait to be accepted.
pub(crate) const WAITING_WRITES_KIB_MAX: usize = 64 * 1_024;
/// Reads of single keys that wait; further callers wait to be accepted.
pub(crate) const WAITING_READS_MAX: usize = 16_384;
/// How often a group is sent that the server refused for a deadlock or a
/// conflict of transactions.
pub(crate) const COMMIT_ATTEMPTS_MAX: usize = 16;
/// Numbers for versions that a store takes at a time.
pub(crate) const VERSION_NUMBERS: i64 = 1 << 20;

/// Most connections that commit, and that read.
pub(crate) const CONNECTIONS_MAX: usize = 64;
/// Most reads of single keys that one statement answers.
pub(crate) const POINT_READS_MAX: usize = 256;
/// Exports that may run at a time.
pub(crate) const EXPORTS_MAX: usize = 4;
/// How long after a failed attempt to connect the next one begins, in
/// milliseconds.
pub(crate) const RECONNECT_MS: u64 = 50;
/// How long hints for other processes are gathered before they are sent, in
/// milliseconds.
pub(crate) const HINT_MS: u64 = 20;
/// Longest name of a channel for hints.
pub(crate) const CHANNEL_BYTES_MAX: usize = 63;
/// Longest name of a schema.
pub(crate) const SCHEMA_BYTES_MAX: usize = 63;
/// Most limits of a scan whose page cannot be larger than a read may be, so
/// that the server need not add up sizes.
pub(crate) const SMALL_SCAN_LIMIT_MAX: usize = 3;

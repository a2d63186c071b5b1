//! Every limit of the durable form, with its unit in its name.

/// Stashes of which a process keeps the index where nothing else is
/// configured.
pub const CACHED_STASHES_DEFAULT: usize = 1_024;
/// Bytes of values that a process keeps, of all stashes together, where
/// nothing else is configured: 256 MiB.
pub const CACHED_VALUE_BYTES_DEFAULT: u64 = 256 * 1_024 * 1_024;
/// Longest value that lies in the row of its entry.
pub const INLINE_BYTES_MAX: u64 = 1_024;
/// Largest piece of a longer value: 1 MiB.
pub const PIECE_BYTES_MAX: usize = 1_024 * 1_024;
/// Most bytes of longer values that one change carries with it: 256 KiB. What
/// has more is written ahead of it.
pub const BESIDE_BYTES_MAX: u64 = 256 * 1_024;
/// How long pieces that were written ahead may wait for their change: an hour.
pub const LOOSE_MS: u64 = 60 * 60 * 1_000;
/// How long an operation id is remembered: 24 hours, and on until upkeep
/// comes.
pub const OPERATION_MS: u64 = 24 * 60 * 60 * 1_000;
/// Most that the operation ids of one stash may take, each with its first
/// answer: 64 MiB, which is more than 100,000 usual ones.
pub const OPERATIONS_BYTES_MAX: u64 = 64 * 1_024 * 1_024;
/// What an operation id is taken to cost beside its key and its answer.
pub const OPERATION_BYTES: u64 = 128;
/// Most bytes of values that were read which are kept with an answer; the
/// others are read again by their versions.
pub const ANSWER_VALUE_BYTES_MAX: u64 = 4 * 1_024;

/// Most longer values that one change carries with it.
pub(super) const BESIDE_VALUES_MAX: usize = 64;
/// Most writes of the changes that share one commit.
pub(super) const COMMIT_WRITES_MAX: usize = 960;
/// Most bytes of longer values that changes sharing one commit carry.
pub(super) const COMMIT_BESIDE_BYTES_MAX: u64 = 4 * 1_024 * 1_024;
/// Most changes of one commit whose values were written ahead, and operation
/// ids, together: each is a check.
pub(super) const COMMIT_CHECKS_MAX: usize = 96;
/// Operation ids that one commit of upkeep forgets, or those of one row.
pub(super) const BITE_OPERATIONS: u64 = 256;
/// Entries that one commit of a clearing or a reaping removes.
pub(super) const BITE_ENTRIES: u64 = 256;
/// Freed pieces that are deleted with the change; more are left to upkeep.
pub(super) const FREED_AT_ONCE_MAX: u64 = 2;
/// Pieces that one commit of upkeep deletes.
pub(super) const BITE_PIECES: usize = 512;
/// Rows of other parts that one round of upkeep passes over, or as many as it
/// may take steps.
pub(super) const PASSED_ROWS_MAX: usize = 4_096;
/// Rounds a change may lose to others before it gives up.
pub(super) const ROUNDS_MAX: u32 = 64;

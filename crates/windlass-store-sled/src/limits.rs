//! Every limit of this store, with its unit in its name.

use std::time::Duration;

/// Size of a segment of sled's log, in bytes. Part of the stored format: sled
/// refuses to open a directory with another.
///
/// sled writes a page larger than a quarter of it into a file of its own that
/// it never syncs, so every page must stay below that; see
/// [`PIECE_BYTES`] and the longest key.
pub(crate) const SEGMENT_BYTES: usize = 8 * 1_024 * 1_024;
/// Longest part of a value in one row of sled. A leaf holds at most about
/// twenty rows.
pub(crate) const PIECE_BYTES: usize = 32 * 1_024;
/// Longest sealed value that stands in the row of its key.
pub(crate) const INLINE_BYTES_MAX: usize = 16 * 1_024;
/// The same for batches larger than [`LARGE_BATCH_BYTES`], so that what one
/// transaction of sled writes stays well below a segment.
pub(crate) const INLINE_BYTES_MAX_OF_LARGE_BATCH: usize = 512;
/// Bytes of keys and values above which a batch is large.
pub(crate) const LARGE_BATCH_BYTES: usize = 512 * 1_024;
/// Bytes of pieces that are written between two syncs.
pub(crate) const STAGE_BYTES: usize = 1_024 * 1_024;
/// Pieces of replaced values that are removed between two syncs.
pub(crate) const SWEEP_PIECES: usize = 128;
/// Pieces of replaced values that may wait for their removal before it is
/// waited for.
pub(crate) const SWEEP_BACKLOG_PIECES: usize = 4_096;

/// Most batches in one group.
pub(crate) const GROUP_BATCHES_MAX: usize = 4_096;
/// KiB of batches after which a group takes no further one.
pub(crate) const GROUP_KIB_MAX: u32 = 1_024;
/// Bytes of heads that a group may replace; it takes no further batch then.
pub(crate) const GROUP_REPLACED_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// KiB of accepted batches that wait or are being committed; further callers
/// wait to be accepted.
pub(crate) const WAITING_WRITES_KIB_MAX: u32 = 64 * 1_024;
/// Reads that wait; further callers wait to be accepted.
pub(crate) const WAITING_READS_MAX: usize = 16_384;

/// Exports that may be open at a time.
pub(crate) const EXPORTS_MAX: usize = 8;
/// Bytes of keys and values after which a step of an export ends.
pub(crate) const EXPORT_STEP_BYTES: usize = 1_024 * 1_024;

/// Pause between two attempts to get a lock.
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(2);
/// How long closing waits for sled's threads to let go of its files, in
/// seconds. They take some milliseconds.
pub(crate) const LET_GO_SECONDS_MAX: u64 = 30;

/// Most reader threads.
pub(crate) const READERS_MAX: usize = 64;

/// Births that never finished which one birth removes.
pub(crate) const STALE_BIRTHS_REMOVED_MAX: usize = 64;
/// How much older than a new directory another birth's must be to count as
/// abandoned, in seconds.
pub(crate) const STALE_BIRTH_SECONDS: u64 = 600;

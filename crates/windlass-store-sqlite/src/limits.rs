//! Every limit of this store, with its unit in its name.

/// The oldest SQLite that may be linked: 3.51.2 and before can corrupt a
/// write-ahead log that two connections reset.
pub(crate) const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Most batches in one transaction.
pub(crate) const GROUP_BATCHES_MAX: usize = 4_096;
/// KiB of batches after which a transaction takes no further one.
pub(crate) const GROUP_KIB_MAX: u32 = 16 * 1_024;
/// KiB of accepted batches that wait or are being committed; further callers
/// wait to be accepted.
pub(crate) const WAITING_WRITES_KIB_MAX: u32 = 64 * 1_024;
/// Reads that wait; further callers wait to be accepted.
pub(crate) const WAITING_READS_MAX: usize = 16_384;
/// Most reads that one transaction answers.
pub(crate) const READ_GROUP_MAX: usize = 256;
/// Bytes of keys and values after which a read transaction answers no further
/// read: nobody waits long for it to end.
pub(crate) const READ_GROUP_BYTES: usize = 8 * 1_024 * 1_024;
/// Checks of a batch that are looked at, from the last, for one that can be
/// made by the write itself.
pub(crate) const FUSED_CHECKS_TRIED_MAX: usize = 8;

/// How long emptying the write-ahead log may keep everybody waiting, in
/// milliseconds.
pub(crate) const TRUNCATE_MS_MAX: u64 = 50;
/// How long the read transactions of the process are waited for before the
/// write-ahead log is emptied, in milliseconds. New ones do not begin then, so
/// only a machine that is overloaded needs so long.
pub(crate) const GATE_MS_MAX: u64 = 1_000;
/// Growth of the write-ahead log, in bytes, after which emptying it is tried
/// again where a reader stood in the way.
pub(crate) const TRUNCATE_RETRY_BYTES: u64 = 16 * 1_024 * 1_024;
/// What is left of the log for the writer to copy where the most is copied
/// beside it, as one in so many frames that are copied at a time.
pub(crate) const COPY_LEFT_SHARE: u64 = 8;
/// How often what was added meanwhile is copied beside it first.
pub(crate) const COPIES_BESIDE_MAX: u32 = 4;
/// How often a writer whose last commit failed tries to open the file again,
/// in milliseconds.
pub(crate) const REOPEN_MS: u64 = 250;

/// Most free pages that one transaction gives back: what a commit that arrives
/// meanwhile has to wait for.
pub(crate) const VACUUM_PAGES_MAX: u64 = 256;
/// Most rows that one transaction moves; each changes its own page and one of
/// the index of keys.
pub(crate) const MOVED_ROWS_MAX: i64 = 256;
/// Bytes of key and value above which a row is not moved: of so large ones few
/// fit into a page in any case.
pub(crate) const MOVED_ROW_BYTES_MAX: i64 = 2_048;
/// Most holes that one gap between rows counts for: where more rows are gone,
/// their pages are as well.
pub(crate) const GAP_HOLES_MAX: usize = 63;
/// The share of holes, as one for so many rows, from which on rows are moved.
pub(crate) const HOLES_SHARE_TO_MOVE: usize = 4;
/// The same, from which on the table is gone through. There have to be more,
/// so that one that was gone through is not soon again.
pub(crate) const HOLES_SHARE_TO_START: usize = 3;
/// Places of the table that are looked at before it is gone through.
pub(crate) const SAMPLE_LOOKS: i64 = 16;
/// Rows looked at in each.
pub(crate) const SAMPLE_ROWS: i64 = 64;
/// Rows that have to be deleted, for each page that is kept free, before holes
/// are looked for again.
pub(crate) const DELETED_ROWS_PER_PAGE: u64 = 4;
/// The share of the file, as one in so many pages, that has to be free before
/// any of it is given back.
pub(crate) const FREE_SHARE_MIN: u64 = 8;
/// How long no commit must have come before free pages are looked for, in
/// milliseconds; in a store that was just opened, no read either.
pub(crate) const IDLE_MS: u64 = 10;
/// Most steps that move rows while a store is closed, and most transactions
/// that give pages back.
pub(crate) const CLOSING_BITES_MAX: usize = 32;
/// What is kept free at most, as one in so many pages in use.
pub(crate) const KEPT_SHARE: u64 = 16;
/// Free pages that a file keeps where nothing else is set, in bytes.
pub(crate) const FREE_BYTES_KEPT: u64 = 256 * 1_024;

/// Exports that may run at a time.
pub(crate) const EXPORTS_MAX: usize = 8;
/// Bytes of keys and values after which a step of an export ends.
pub(crate) const EXPORT_STEP_BYTES: usize = 1_024 * 1_024;

/// Most reader threads.
pub(crate) const READERS_MAX: usize = 64;
/// Memory that each connection may use for pages, in KiB.
pub(crate) const PAGE_CACHE_KIB: i64 = 16 * 1_024;

/// How often a file that others grow and shrink is looked at when it is
/// opened.
pub(crate) const WHOLE_LOOKS_MAX: usize = 16;

/// Files of a birth that never finished which one birth removes.
pub(crate) const STALE_BIRTHS_REMOVED_MAX: usize = 64;
/// How much older than a new file another birth's file must be to count as
/// abandoned, in seconds.
pub(crate) const STALE_BIRTH_SECONDS: u64 = 600;

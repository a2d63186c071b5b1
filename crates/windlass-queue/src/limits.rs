//! Every limit of the queue, with its unit in its name.

/// Most batches of work one call enqueues.
pub const ENQUEUE_MAX: usize = 100;
/// Most batches of work one claim takes.
pub const CLAIM_MAX: usize = 100;
/// Most bytes of payloads one claim takes, unless its first batch alone has
/// more.
pub const CLAIM_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// Most payloads of one batch of work.
pub const PAYLOADS_MAX: usize = 64;
/// Most bytes of payloads of one batch of work, with their kinds.
pub const PAYLOAD_BYTES_MAX: usize = 1_024 * 1_024;
/// Longest kind of a payload, and longest merge key.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest source key.
pub const SOURCE_KEY_BYTES_MAX: usize = 200;
/// Longest name of an owner of claims and leases.
pub const OWNER_BYTES_MAX: usize = 128;
/// Longest reason a failure may give.
pub const REASON_BYTES_MAX: usize = 512;
/// The priority that goes first; 0 goes last.
pub const PRIORITY_MAX: u8 = 9;
/// The priority where none is given.
pub const PRIORITY_DEFAULT: u8 = 4;
/// Most attempts a batch of work may have.
pub const ATTEMPTS_MAX: u32 = 1_000;
/// Attempts where none are given.
pub const ATTEMPTS_DEFAULT: u32 = 5;
/// Wait after the first failure where none is given.
pub const BACKOFF_MS_DEFAULT: u64 = 1_000;
/// Longest wait after a failure where none is given: ten minutes.
pub const BACKOFF_MS_MAX_DEFAULT: u64 = 10 * 60 * 1_000;
/// Longest wait after a failure, and longest delay of what is given back: 24
/// hours.
pub const DELAY_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// How far ahead work may be scheduled: 366 days.
pub const SCHEDULE_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;
/// Longest time to live of a claim or a lease: 24 hours.
pub const TTL_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Time to live of a session lease where none is given.
pub const LEASE_MS_DEFAULT: u64 = 30_000;
/// By how much the clocks of processes that share a store may differ.
pub const CLOCK_SKEW_MS_MAX: u64 = 5_000;
/// How long source keys of finished work and operation ids are kept: 24 hours.
pub const KEPT_MS: u64 = 24 * 60 * 60 * 1_000;
/// Sessions whose queues are kept in memory where nothing else is configured.
pub const CACHED_SESSIONS_DEFAULT: usize = 4_096;
/// How often a waiting process looks for the work of others where nothing else
/// is configured.
pub const POLL_MS_DEFAULT: u64 = 1_000;
/// Most batches of work on one page of a listing, and most sessions on one of
/// an overview.
pub const LIST_MAX: usize = 1_000;

/// Most work that one row holds.
pub(crate) const ROW_ITEMS_MAX: usize = 32;
/// Most bytes of payloads in one row, unless one batch alone has more.
pub(crate) const ROW_BYTES_MAX: usize = 32 * 1_024;
/// Rows of which the head may say that some of their work is gone.
pub(crate) const GONE_ROWS_MAX: usize = 8;
/// Runs of numbers that may be gone from one row.
pub(crate) const GONE_RUNS_MAX: usize = 8;
/// Most work of a session that is kept in memory.
pub(crate) const CACHED_ITEMS_MAX: usize = 128;
/// Most bytes of payloads of a session that are kept in memory.
pub(crate) const CACHED_BYTES_MAX: usize = 32 * 1_024;
/// Rows of the line that one read asks for.
pub(crate) const READ_ROWS: usize = 16;
/// Most operation ids, and most source keys, that one combined commit carries;
/// its checks are bounded.
pub(crate) const COMMIT_CHECKS_MAX: usize = 48;
/// Most bytes of payloads that one combined commit enqueues, unless one request
/// alone has more.
pub(crate) const COMMIT_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// Most batches of work that one combined commit touches, unless one request
/// alone has more.
pub(crate) const COMMIT_ITEMS_MAX: usize = 300;
/// Rounds a change may lose to others before it gives up.
pub(crate) const ROUNDS_MAX: u32 = 64;
/// Most rows one commit of a removal deletes.
pub(crate) const COMMIT_DELETES_MAX: usize = 512;
/// Notes that one commit of a removal deletes, with up to 48 operation records
/// each.
pub(crate) const NOTES_MAX: usize = 8;
/// Rows of other parts that one sweep passes over, or as many as it may take
/// steps.
pub(crate) const PASSED_ROWS_MAX: usize = 4_096;
/// Sessions with work among which claims of any session choose.
pub(crate) const CHOICES_MAX: usize = 64;

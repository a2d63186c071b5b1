//! Every limit of sessions, with its unit in its name.

/// Shortest time limit of a session.
pub const TIME_LIMIT_MS_MIN: u64 = 1_000;
/// Longest time limit of a session: 24 hours.
pub const TIME_LIMIT_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// Time limit where none is given: one hour.
pub const TIME_LIMIT_MS_DEFAULT: u64 = 60 * 60 * 1_000;
/// Most calls a budget may hold, top-ups included.
pub const CALLS_MAX: u64 = 1_000_000;
/// Calls of a budget where none are given.
pub const CALLS_DEFAULT: u64 = 1_000;
/// Most tokens, or micro-units of a currency, that a budget or a charge may
/// name. What is used is summed in 64 bits and stays at their end if it ever
/// gets there.
pub const AMOUNT_MAX: u64 = 1_000_000_000_000_000;
/// Shortest rate window.
pub const RATE_WINDOW_MS_MIN: u64 = 10_000;
/// Longest rate window.
pub const RATE_WINDOW_MS_MAX: u64 = 3_600_000;
/// Rate window where none is given.
pub const RATE_WINDOW_MS_DEFAULT: u64 = 60_000;
/// Most active sessions of an agent where no cap is given.
pub const CAP_DEFAULT: u64 = 10;
/// Most open reservations of a session at a time.
pub const RESERVATIONS_MAX: usize = 64;
/// How long a reservation stays open where nothing else is configured.
pub const RESERVATION_MS_DEFAULT: u64 = 10 * 60 * 1_000;
/// Longest declared intent.
pub const INTENT_BYTES_MAX: usize = 512;
/// Longest name of a tool or credential, and longest pattern.
pub const NAME_BYTES_MAX: usize = 256;
/// Most patterns in one list of allowed tools or credentials.
pub const PATTERNS_MAX: usize = 1_024;
/// Most credentials one use may name.
pub const CREDENTIALS_MAX: usize = 16;
/// Most uses in one batch.
pub const BATCH_USES_MAX: usize = 256;
/// Most bytes of names of tools and credentials in one batch: what a row of
/// the store can hold.
pub const BATCH_NAMES_BYTES_MAX: usize = 256 * 1_024;
/// Most sessions above a delegated one.
pub const DEPTH_MAX: usize = 5;
/// Most agents in a delegation chain.
pub const CHAIN_MAX: usize = 32;
/// How long ended sessions stay readable where nothing else is configured: 7
/// days.
pub const RETENTION_MS_DEFAULT: u64 = 7 * 24 * 60 * 60 * 1_000;
/// Longest retention that can be configured: ten years.
pub const RETENTION_MS_MAX: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;
/// How long past its session's end an operation id is kept: 24 hours.
pub const OPERATION_MS: u64 = 24 * 60 * 60 * 1_000;
/// Hot sessions kept in memory where nothing else is configured.
pub const CACHED_SESSIONS_DEFAULT: usize = 10_000;
/// Most sessions on one page of a listing, and most events on one of a
/// history.
pub const LIST_MAX: usize = 1_000;
/// Sessions that are not to be shown and that one page passes over before it
/// ends early.
pub const PASSED_SESSIONS_MAX: usize = 1_000;
/// Most steps of a turn in one session.
pub const TURN_STEPS_MAX: usize = 64;
/// Share of a meter, in percent, at or below which a receipt warns.
pub const LOW_PERCENT: u64 = 20;

/// Most operation ids one combined commit carries; its checks are bounded.
pub(crate) const COMMIT_OPERATIONS_MAX: usize = 96;
/// Most bytes of events one combined commit writes.
pub(crate) const COMMIT_EVENT_BYTES_MAX: usize = 512 * 1_024;
/// Rows of other parts that one sweep passes over, or as many as it may take
/// steps.
pub(crate) const PASSED_ROWS_MAX: usize = 4_096;
/// Rounds a change may lose to others before it gives up.
pub(crate) const ROUNDS_MAX: u32 = 64;
/// Most creations one commit carries.
pub(crate) const COMMIT_CREATES_MAX: usize = 48;
/// Most bytes of patterns that the creations of one commit carry, unless one
/// alone has more.
pub(crate) const COMMIT_CREATE_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// Most sessions of an agent that one commit closes.
pub(crate) const COMMIT_CLOSES_MAX: usize = 32;
/// Most ended children one commit takes back from: their heads and those of
/// all who lent are read at once.
pub(crate) const COMMIT_RETURNS_MAX: usize = 8;
/// Most rows one commit of a removal deletes.
pub(crate) const COMMIT_DELETES_MAX: usize = 512;

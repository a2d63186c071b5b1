//! Every limit of streams, with its unit in its name.

/// Bytes of a page, the unit in which chunks are sized.
pub const PAGE_BYTES: usize = 16 * 1_024;
/// Most pages of a chunk.
pub const CHUNK_PAGES_MAX: usize = 64;
/// Most bytes of a chunk, as framed.
pub const CHUNK_BYTES_MAX: usize = CHUNK_PAGES_MAX * PAGE_BYTES;
/// Longest row that is in a chunk, as framed and without its newline. A longer
/// one is stored in pieces.
pub const ROW_BYTES_MAX: usize = CHUNK_BYTES_MAX - 1;
/// Longest row, as framed and without its newline: 64 MiB.
pub const LONG_ROW_BYTES_MAX: usize = 64 * 1_024 * 1_024 - 1;
/// Most bytes of pieces that one commit carries, where they need not be copied.
pub(crate) const UPLOAD_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// Most pieces that one commit carries.
pub(crate) const UPLOAD_PIECES_MAX: usize = 32;
/// Most pieces that one read gives.
pub(crate) const PIECES_READ_MAX: usize = 64;
/// How long pieces may have no record before they are taken back, in
/// milliseconds: an hour.
pub const UPLOAD_MS: u64 = 3_600_000;
/// Most rows of a chunk.
pub const CHUNK_ROWS_MAX: usize = 100_000;
/// Longest time that rows may be held back, in milliseconds.
pub const LATENCY_MS_MAX: u64 = 60_000;
/// Longest time of a lease between two renewals, in milliseconds: a day.
pub const LEASE_TTL_MS_MAX: u64 = 86_400_000;
/// Least time between two looks of a reader that follows, in milliseconds.
pub const POLL_MS_MIN: u64 = 10;
/// Longest time between two looks of a reader that follows, in milliseconds.
pub const POLL_MS_MAX: u64 = 3_600_000;
/// Most open streams a cap can allow.
pub const CAP_MAX: usize = 1_000_000;
/// Lost races after which a change gives up.
pub(crate) const ROUNDS_MAX: u32 = 64;
/// Commits of one change whose outcome may be unknown at a time.
pub(crate) const DOUBTS_MAX: usize = 32;
/// Longest code of a stream that failed, in bytes.
pub const CODE_BYTES_MAX: usize = 64;
/// Longest message of a stream that failed, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 512;
/// How long an expired or cancelled cursor, and an expired stream, are answered
/// as such before they are not found, in milliseconds: ten minutes.
pub const TOMBSTONE_MS: u64 = 600_000;
/// How long the first answer to an operation id is kept, in milliseconds: 24
/// hours.
pub const OPERATION_MS: u64 = 86_400_000;
/// Most bytes of rows, as framed, that one commit of several chunks carries.
pub const STEP_BYTES_MAX: usize = 8 * CHUNK_BYTES_MAX;
/// Most chunks that one commit carries.
pub const STEP_CHUNKS_MAX: usize = 512;
/// Most streams that change as a part of one commit of somebody else.
pub const PLAN_STEPS_MAX: usize = 16;
/// Most bytes of rows, as framed, that change as a part of one commit of
/// somebody else.
pub const PLAN_BYTES_MAX: usize = CHUNK_BYTES_MAX;
/// Longest path of a stream, as it stands in a key.
pub const PATH_BYTES_MAX: usize = 512;
/// Longest content type, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// Longest name of a producer, in bytes.
pub const PRODUCER_ID_BYTES_MAX: usize = 256;
/// Longest sequence of a writer, in bytes.
pub const SEQUENCE_BYTES_MAX: usize = 256;
/// Most producers that are known of a stream; each is for as long as it stays.
pub const PRODUCERS_MAX: u64 = 10_000;
/// Most streams that a fork has rows of.
pub const FORK_SHARES_MAX: usize = 64;
/// How long an input that is not finished is kept after its last append, in
/// milliseconds: a day.
pub const INPUT_MS: u64 = 86_400_000;
/// Bytes of rows that are hashed at a time when an input ends.
pub(crate) const PIECE_BYTES_MAX: usize = CHUNK_BYTES_MAX;
/// Most chunks that are read at a time by path.
pub(crate) const PIECE_CHUNKS_MAX: usize = 256;
/// Longest request of a source, in bytes.
pub const SCAN_REQUEST_BYTES_MAX: usize = 4_096;
/// Bytes of rows behind which a source ends a page.
pub const SOURCE_PAGE_BYTES_MAX: usize = CHUNK_BYTES_MAX;
/// Most rows that a source is asked for at a time.
pub const SOURCE_PAGE_ROWS_MAX: usize = 256;
/// How far apart the clocks of two processes may be, in milliseconds.
pub const CLOCK_SKEW_MS_MAX: u64 = 5_000;
/// Most rows that one commit of upkeep deletes.
pub(crate) const COMMIT_DELETES_MAX: usize = 500;
/// Rows of other parts that a sweep passes over before it says that it was cut
/// short.
pub(crate) const PASSED_ROWS_MAX: usize = 4_096;

//! Every limit of streams, with its unit in its name.

/// Bytes of a page, the unit in which chunks are sized.
pub const PAGE_BYTES: usize = 16 * 1_024;
/// Most pages of a chunk.
pub const CHUNK_PAGES_MAX: usize = 64;
/// Most bytes of a chunk, as framed.
pub const CHUNK_BYTES_MAX: usize = CHUNK_PAGES_MAX * PAGE_BYTES;
/// Longest row, as framed and without its newline.
pub const ROW_BYTES_MAX: usize = CHUNK_BYTES_MAX - 1;
/// Most rows of a chunk.
pub const CHUNK_ROWS_MAX: usize = 100_000;
/// Longest time that rows may be held back, in milliseconds.
pub const LATENCY_MS_MAX: u64 = 60_000;
/// Longest time of a lease between two renewals, in milliseconds: a day.
pub const LEASE_TTL_MS_MAX: u64 = 86_400_000;
/// Most open streams a cap can allow.
pub const CAP_MAX: usize = 1_000_000;

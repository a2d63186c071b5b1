//! Every limit of checkpoints, with its unit in its name.

/// Least size from which contents are compressed in the balanced profile.
pub const COMPRESS_BYTES_BALANCED: u32 = 4 * 1_024;
/// Least size from which contents are compressed in the compact profile.
pub const COMPRESS_BYTES_COMPACT: u32 = 256;
/// Longest name of a part or a tag, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest kind of a part or a node, in bytes.
pub const KIND_BYTES_MAX: usize = 128;
/// Longest note of a commit, in bytes.
pub const NOTE_BYTES_MAX: usize = 512;
/// Most parts of a state, and most that one commit changes.
pub const PARTS_MAX: usize = 1_024;
/// Most nodes one commit appends.
pub const NODES_MAX: usize = 1_024;
/// Most nodes one commit makes tombstones.
pub const TOMBSTONES_MAX: usize = 4_096;
/// Most tags of a session.
pub const TAGS_MAX: usize = 1_024;
/// Most bytes of parts and nodes in one commit.
pub const PIECES_BYTES_MAX: usize = 256 * 1_024 * 1_024;
/// Largest content of a node that is stored with it; a larger one is a blob.
pub const NODE_INLINE_BYTES_MAX: usize = 64 * 1_024;
/// Most bytes of nodes that are stored in the row of their commit; the
/// contents of those beyond are blobs.
pub const ROW_NODES_BYTES_MAX: usize = 256 * 1_024;
/// Commits whose rows lie unpacked before the next one packs them.
pub const TAIL_ROWS_MAX: u64 = 64;
/// Bytes of such rows, as stored, from which they are packed earlier.
pub const TAIL_BYTES_MAX: u64 = 256 * 1_024;
/// Most bytes one batch carries, and most blobs: what is beyond is stored
/// ahead of its commit.
pub const COMMIT_BLOB_BYTES_MAX: usize = 256 * 1_024;
/// Most blobs in one batch.
pub const COMMIT_BLOBS_MAX: usize = 256;
/// Bytes of blobs in one batch that stores them ahead.
pub const STAGE_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// Races lost in a row before a caller is told to try again.
pub const ROUNDS_MAX: u32 = 64;
/// How long the first answer to a turn or an operation is kept.
pub const OPERATION_MS: u64 = 24 * 60 * 60 * 1_000;
/// Most separate stretches of nodes outside the graph of a state.
pub const HIDDEN_RANGES_MAX: usize = 65_536;
/// Commits in one row of packed ones, and nodes in one row of theirs, at
/// most.
pub const PACKED_COUNT_MAX: usize = 512;
/// Bytes of records or nodes in one such row, before it is compressed.
pub const PACKED_BYTES_MAX: usize = 256 * 1_024;
/// Rows of single commits that one read of the log takes, at most.
pub const LOG_ROWS_MAX: usize = 200;
/// Most commits, nodes or tags one call gives.
pub const PAGE_MAX: usize = 1_000;
/// Bytes of contents of nodes in one page; a node that is larger comes alone.
pub const PAGE_BYTES_MAX: usize = 12 * 1_024 * 1_024;
/// Rows of other parts that a sweep passes over before it stops, at least.
pub const PASSED_ROWS_MAX: usize = 10_000;
/// Rows of packed commits that one step of a sweep looks at.
pub const SWEPT_ROWS_MAX: usize = 16;
/// Rows that one commit of a removal deletes.
pub const REMOVED_ROWS_MAX: usize = 256;
/// Longest name of an attachment, in bytes.
pub const ATTACHMENT_NAME_BYTES_MAX: usize = 256;
/// Most bytes of an attachment: 4 GiB.
pub const ATTACHMENT_BYTES_MAX: u64 = 4 * 1_024 * 1_024 * 1_024;
/// Most bytes of an attachment in one row: 1 MiB.
pub const ATTACHMENT_PIECE_BYTES_MAX: usize = 1_024 * 1_024;
/// Such rows that are written, or read, at once.
pub const ATTACHMENT_PIECES_AT_ONCE: usize = 8;
/// Most attachments that one commit takes.
pub const TAKEN_ATTACHMENTS_MAX: usize = 16;
/// Most parts of one commit that refer to a blob instead of bringing one.
pub const REFERRED_PARTS_MAX: usize = 32;
/// Longest answer of others that is kept with a turn, in bytes.
pub const BESIDE_BYTES_MAX: usize = 4 * 1_024;

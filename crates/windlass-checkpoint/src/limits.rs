//! Every limit of checkpoints, with its unit in its name.

/// Least size from which contents are compressed in the balanced profile.
pub const COMPRESS_BYTES_BALANCED: u32 = 4 * 1_024;
/// Least size from which contents are compressed in the compact profile.
pub const COMPRESS_BYTES_COMPACT: u32 = 256;

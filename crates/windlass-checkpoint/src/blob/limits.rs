//! Every limit of blobs, with its unit in its name.

/// Largest content that is one row; what is larger is cut.
pub(crate) const WHOLE_BYTES_MAX: usize = 4 * 1_024;
/// Sizes of contents, and the size of chunks that cutting them aims at: that of
/// the first one that is larger. A content that grows past one of them is
/// stored anew as a whole, so there are few, and none that states are likely
/// to be kept at.
pub(crate) const TARGETS: [(usize, usize); 3] = [
    (384 * 1_024, 1_024),
    (6 * 1_024 * 1_024, 4 * 1_024),
    (usize::MAX, 16 * 1_024),
];
/// Largest chunk that is taken for one when it is read.
pub(crate) const CHUNK_BYTES_MAX: u64 = 1_024 * 1_024;
/// Fewest children of a list within a tree, except the last list of a level.
pub(crate) const LIST_CHILDREN_MIN: usize = 4;
/// Children of a list that its end aims at; a power of two.
pub(crate) const LIST_CHILDREN_TARGET: u8 = 16;
/// Most children of a list within a tree.
pub(crate) const LIST_CHILDREN_MAX: usize = 64;
/// Most children of the list at the top of a tree.
pub(crate) const TOP_CHILDREN_MAX: usize = 32;
/// Most lists of an earlier content that are read in order to find out what
/// it has in common with a new one.
pub(crate) const COMPARED_LISTS_MAX: usize = 1_024;
/// Bytes of contents that one read of a blob asks for.
pub(crate) const READ_AHEAD_BYTES: u64 = 4 * 1_024 * 1_024;

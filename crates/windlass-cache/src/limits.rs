//! Every limit of this crate, with its unit in its name.

/// Longest name of a namespace, in bytes.
pub const NAMESPACE_BYTES_MAX: usize = 128;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 128;
/// Most namespaces that hold anything at a time.
pub const NAMESPACES_MAX: usize = 256;
/// Most keys of an entry's metadata.
pub const METADATA_KEYS_MAX: usize = 32;
/// Most bytes of an entry's metadata, names and values together.
pub const METADATA_BYTES_MAX: usize = 4_096;
/// Most tags of an entry.
pub const TAGS_MAX: usize = 32;
/// Most dependencies of an entry.
pub const DEPENDENCIES_MAX: usize = 32;
/// Longest page of an enumeration, in keys.
pub const PAGE_KEYS_MAX: usize = 1_000;
/// What the first tier holds unless told otherwise, in bytes.
pub const L1_BYTES_DEFAULT: u64 = 256 << 20;
/// Least and most that the first tier can be told to hold, in bytes.
pub const L1_BYTES_RANGE: (u64, u64) = (64 << 10, 1 << 40);
/// Largest blob unless told otherwise, in bytes.
pub const BLOB_BYTES_DEFAULT: u64 = 8 << 20;
/// Largest blob that entries of [`crate::Admission::Auto`] are held for, as a
/// part of what one shard holds.
pub const AUTO_SHARE: u64 = 8;
/// How long a reader that was asked to renew a stale entry is given before
/// another one is asked, in milliseconds.
pub const REFRESH_MS: u64 = 10_000;
/// What an entry is thought to take unless told otherwise, in bytes.
pub const ENTRY_BYTES_GUESS_DEFAULT: u64 = 4 << 10;
/// What an entry is charged with beside its bytes: its own record, its rows
/// in the indexes and its place in the library.
pub const ENTRY_BYTES: u64 = 384;
/// What an entry is charged with for each of its tags and dependencies beside
/// the name: its place among the entries that share it.
pub const LINK_BYTES: u64 = 320;
/// What the second tier holds unless told otherwise, in bytes.
pub const L2_BYTES_DEFAULT: u64 = 4 << 30;
/// Least and most that the second tier can be told to hold, in bytes.
pub const L2_BYTES_RANGE: (u64, u64) = (64 << 10, 1 << 50);
/// How long the pieces of a blob whose put was given up may lie, in
/// milliseconds, unless told otherwise.
pub const GRACE_MS_DEFAULT: u64 = 3_600_000;
/// Longest name of a start of the machine, in bytes.
pub const BOOT_BYTES_MAX: usize = 128;
/// Largest blob that is stored with its record.
pub(crate) const INLINE_BYTES_MAX: u64 = 32 << 10;
/// Length of the blobs that it is tried to pack, in bytes: shorter ones take
/// little, and of longer ones a hit would take more time than reading them.
pub(crate) const PACKED_BYTES_MIN: usize = 1 << 10;
/// The same, at most.
pub(crate) const PACKED_BYTES_MAX: usize = 32 << 10;
/// The least that packing has to save, as one in so many bytes.
pub(crate) const PACKED_SAVES: usize = 8;
/// Bytes of each piece of a larger one.
pub(crate) const PIECE_BYTES: usize = 1 << 20;
/// Pieces that one commit writes.
pub(crate) const COMMIT_PIECES_MAX: usize = 4;
/// Most pieces that go in the commit that replaces their blob.
pub(crate) const GONE_PIECES_MAX: u64 = 64;
/// Most pieces of given up blobs that one commit deletes.
pub(crate) const ORPHAN_PIECES_MAX: usize = 500;
/// Writes after which a commit takes no further change.
pub(crate) const COMMIT_WRITES: usize = 500;
/// Bytes after which it does not.
pub(crate) const COMMIT_BYTES: usize = 8 << 20;
/// Rows of an index that are followed in one step.
pub(crate) const STEP_ROWS: usize = 64;
/// Bytes of values after which a step reads no further where something is
/// damaged.
pub(crate) const PAST_BYTES: usize = 8 << 20;
/// Names that are read in one step when a filter is made.
pub(crate) const STEP_NAMES: usize = 1_000;
/// Steps in which room is made for one put before it is refused.
pub(crate) const ROOM_STEPS_MAX: u32 = 32;
/// Steps that a sweep goes on with filters.
pub(crate) const LEARN_STEPS: u32 = 16;
/// How often a commit of unknown outcome, or a read, is tried.
pub(crate) const ROUNDS_MAX: u32 = 3;
/// Puts that are submitted together.
pub(crate) const TOGETHER_MAX: usize = 128;
/// Entries that wait for the first tier.
pub(crate) const PROMOTIONS_MAX: usize = 256;
/// Bytes of those.
pub(crate) const PROMOTION_BYTES_MAX: u64 = 16 << 20;
/// Entries that are taken up before one call asks the second tier.
pub(crate) const PROMOTED_PER_CALL: usize = 4;
/// Records that the desk remembers without their blobs.
pub(crate) const HEADS_MAX: usize = 1 << 13;
/// Most tags and dependencies of such a record.
pub(crate) const HEAD_TEXTS_MAX: usize = 4;
/// Entries of which a use is remembered that is not written.
pub(crate) const USES_MAX: usize = 1 << 14;
/// Stale entries of which it is remembered who renews them.
pub(crate) const RENEWALS_MAX: usize = 1 << 12;
/// Marks that tell promotions what was changed: a power of two.
pub(crate) const MARKS: usize = 1 << 12;
/// Most parts that are locked apart.
pub(crate) const SHARDS_MAX: u64 = 16;
/// Most entries that are taken under one lock.
pub(crate) const BITE_ENTRIES_MAX: u64 = 64;
/// Bytes after which a bite ends early: freeing large values takes time.
pub(crate) const BITE_BYTES_MAX: u64 = 4 << 20;
/// How often an entry of high priority is passed over when room is made.
pub(crate) const REPRIEVES: u8 = 3;

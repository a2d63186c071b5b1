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
/// Most parts that are locked apart.
pub(crate) const SHARDS_MAX: u64 = 16;
/// Most entries that are taken under one lock.
pub(crate) const BITE_ENTRIES_MAX: u64 = 64;
/// Bytes after which a bite ends early: freeing large values takes time.
pub(crate) const BITE_BYTES_MAX: u64 = 4 << 20;
/// How often an entry of high priority is passed over when room is made.
pub(crate) const REPRIEVES: u8 = 3;

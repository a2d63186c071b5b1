//! Every key of the second tier.
//!
//! All begin with one segment. Numbers have 20 digits; names of namespaces,
//! keys and tags stand unescaped at the end, followed by a byte of zero where
//! something comes after them: they have no control characters, so they sort
//! as they do everywhere else in the cache.

use bytes::Bytes;
use windlass_core::Millis;
use windlass_store::KeyRange;
use windlass_store::key::Key as Row;

use crate::names::{Key, Namespace, Tag};
use crate::policy::Priority;

/// The segment that all begin with.
const CACHE: &str = "cache";
/// What stands behind a name that something follows.
const END: u8 = 0;

/// Where the pieces of a large blob are.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub(super) struct ChainId {
    /// Which opening of the cache wrote them; 0 for nobody's.
    pub(super) incarnation: u64,
    /// Which of its chains.
    pub(super) number: u64,
}

fn table(name: &str) -> Row {
    Row::new(CACHE).text(name)
}

/// A row with a name in it.
fn named(prefix: &Bytes, name: &str, rest: &str) -> Bytes {
    let mut row = Vec::with_capacity(prefix.len() + name.len() + 1 + rest.len());
    row.extend_from_slice(prefix);
    row.extend_from_slice(name.as_bytes());
    if !rest.is_empty() {
        row.push(END);
        row.extend_from_slice(rest.as_bytes());
    }
    row.into()
}

/// What every change checks and rewrites.
pub(super) fn head() -> Bytes {
    table("head").finish()
}

/// The rows of all namespaces.
pub(super) fn spaces() -> KeyRange {
    KeyRange::prefix(table("space").below())
}

/// The row of a namespace.
pub(super) fn space(namespace: &Namespace) -> Bytes {
    named(&table("space").below(), namespace.as_str(), "")
}

/// The name of the namespace that a row is of.
pub(super) fn space_of(row: &[u8]) -> Option<Namespace> {
    let name = row.strip_prefix(spaces().start.as_ref())?;
    str::from_utf8(name).ok()?.parse().ok()
}

/// The rows of all generations that ended.
pub(super) fn ends() -> KeyRange {
    KeyRange::prefix(table("ended").below())
}

/// The row of one of them.
pub(super) fn ended(generation: u64) -> Bytes {
    table("ended").number(generation).finish()
}

/// The generation that a row is of.
pub(super) fn ended_of(row: &[u8]) -> Option<u64> {
    let number = row.strip_prefix(ends().start.as_ref())?;
    windlass_store::key::number(str::from_utf8(number).ok()?)
}

/// The records of a generation.
pub(super) fn entries(generation: u64) -> KeyRange {
    KeyRange::prefix(table("entry").number(generation).below())
}

/// The record of a key, or where those begin whose keys begin with a text.
pub(super) fn entry(generation: u64, key: &str) -> Bytes {
    named(&table("entry").number(generation).below(), key, "")
}

/// The key that a record of a generation is of.
pub(super) fn entry_of(generation: u64, row: &[u8]) -> Option<Key> {
    let key = row.strip_prefix(entries(generation).start.as_ref())?;
    str::from_utf8(key).ok()?.parse().ok()
}

/// The pieces of all blobs that a key has.
pub(super) fn blobs(generation: u64, key: &Key) -> KeyRange {
    let prefix = table("blob").number(generation).below();
    let mut row = Vec::with_capacity(prefix.len() + key.as_str().len() + 1);
    row.extend_from_slice(&prefix);
    row.extend_from_slice(key.as_str().as_bytes());
    row.push(END);
    KeyRange::prefix(row)
}

/// Those of one blob.
pub(super) fn chain(generation: u64, key: &Key, chain: ChainId) -> KeyRange {
    let mut row = blobs(generation, key).start.to_vec();
    let ChainId {
        incarnation,
        number,
    } = chain;
    row.extend_from_slice(format!("{incarnation:020}/{number:020}/").as_bytes());
    KeyRange::prefix(row)
}

/// One of them.
pub(super) fn piece(generation: u64, key: &Key, id: ChainId, number: u64) -> Bytes {
    let mut row = chain(generation, key, id).start.to_vec();
    row.extend_from_slice(format!("{number:020}").as_bytes());
    row.into()
}

/// The rows of all chains that are not yet, or no longer, anybody's.
pub(super) fn opens() -> KeyRange {
    KeyRange::prefix(table("open").below())
}

/// The row of such a chain.
pub(super) fn open(id: ChainId) -> Bytes {
    let row = table("open").number(id.incarnation);
    row.number(id.number).finish()
}

/// The chain that a row is of.
pub(super) fn open_of(row: &[u8]) -> Option<ChainId> {
    let rest = row.strip_prefix(opens().start.as_ref())?;
    let (incarnation, number) = str::from_utf8(rest).ok()?.split_once('/')?;
    Some(ChainId {
        incarnation: windlass_store::key::number(incarnation)?,
        number: windlass_store::key::number(number)?,
    })
}

/// The row by which an entry is found when its time comes.
pub(super) fn due(time: u64, stamp: u64) -> Bytes {
    table("due").number(time).number(stamp).finish()
}

/// All that is due by now.
pub(super) fn due_until(now: Millis) -> KeyRange {
    let first = table("due").below();
    let end = table("due").number(now.get().saturating_add(1)).finish();
    KeyRange::new(first, end)
}

/// Time and stamp of such a row.
pub(super) fn due_of(row: &[u8]) -> Option<(u64, u64)> {
    let rest = row.strip_prefix(table("due").below().as_ref())?;
    let (time, stamp) = str::from_utf8(rest).ok()?.split_once('/')?;
    let number = windlass_store::key::number;
    Some((number(time)?, number(stamp)?))
}

/// The row by which an entry is found when room is needed.
pub(super) fn rank(priority: Priority, stamp: u64) -> Bytes {
    ranked(priority).number(stamp).finish()
}

/// Those of one priority, the oldest first.
pub(super) fn ranks(priority: Priority) -> KeyRange {
    KeyRange::prefix(ranked(priority).below())
}

fn ranked(priority: Priority) -> Row {
    let class = match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    };
    table("rank").text(class)
}

/// The stamp in the last segment of a row.
pub(super) fn stamp_of(row: &[u8]) -> Option<u64> {
    let digits = windlass_store::key::NUMBER_DIGITS;
    let from = row.len().checked_sub(digits)?;
    windlass_store::key::number(str::from_utf8(&row[from..]).ok()?)
}

/// The row by which an entry is found through a tag.
pub(super) fn tag(generation: u64, tag: &Tag, stamp: u64) -> Bytes {
    let prefix = table("tag").number(generation).below();
    named(&prefix, tag.as_str(), &format!("{stamp:020}"))
}

/// Those of a tag that were put with a stamp up to this one.
pub(super) fn tagged(generation: u64, name: &Tag, last: u64) -> KeyRange {
    let end = tag(generation, name, last.saturating_add(1));
    KeyRange::new(tag(generation, name, 0), end)
}

/// The row by which an entry is found through what it depends on.
pub(super) fn dependent(generation: u64, name: &Key, stamp: u64) -> Bytes {
    let prefix = table("dep").number(generation).below();
    named(&prefix, name.as_str(), &format!("{stamp:020}"))
}

/// Those that depend on a name and were put with a stamp up to this one.
pub(super) fn dependents(generation: u64, name: &Key, last: u64) -> KeyRange {
    let end = dependent(generation, name, last.saturating_add(1));
    KeyRange::new(dependent(generation, name, 0), end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_back() {
        let (space_name, key) = ("a/ö%".parse().expect("a name"), "k/1".parse::<Key>());
        let key = key.expect("a key");
        let id = ChainId {
            incarnation: 3,
            number: 4,
        };
        assert_eq!(space_of(&space(&space_name)), Some(space_name));
        assert_eq!(entry_of(7, &entry(7, key.as_str())), Some(key.clone()));
        assert_eq!(open_of(&open(id)), Some(id));
        assert_eq!(ended_of(&ended(9)), Some(9));
        assert_eq!(due_of(&due(1, 2)), Some((1, 2)));
        assert_eq!(stamp_of(&rank(Priority::Low, 8)), Some(8));
        assert!(chain(7, &key, id).contains(&piece(7, &key, id, 1)));
        assert!(blobs(7, &key).contains(&piece(7, &key, id, 1)));
        let longer = "k/10".parse().expect("a key");
        assert!(!blobs(7, &key).contains(&piece(7, &longer, id, 1)));
    }

    #[test]
    fn the_longest_names_fit_into_a_key() {
        let key: Key = "ü".repeat(256).parse().expect("512 bytes");
        let id = ChainId {
            incarnation: u64::MAX,
            number: u64::MAX,
        };
        let rows = [
            piece(u64::MAX, &key, id, u64::MAX),
            dependent(u64::MAX, &key, u64::MAX),
            entry(u64::MAX, key.as_str()),
        ];
        let longest = rows.iter().map(Bytes::len).max();
        assert!(longest.expect("rows") <= windlass_store::limits::KEY_BYTES_MAX);
    }
}

//! Which kinds of rows the bytes of a store are in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::BenchError;

/// The rows of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// How many.
    pub rows: u64,
    /// Bytes of their keys; each is in the file twice.
    pub key_bytes: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
}

/// A store's file, and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// The sizes of the file and its log on disk.
    pub disk_bytes: u64,
    /// The same without pages that are free.
    pub used_bytes: u64,
    /// Pages that are free.
    pub free_bytes: u64,
    /// The rows by their kind.
    pub layers: BTreeMap<String, Layer>,
}

impl Layer {
    /// What it takes of the file, beside what pages take for themselves.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        2 * self.key_bytes + self.value_bytes
    }
}

impl Layers {
    /// What the rows of states take, without those of the sessions whose
    /// states they are.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        let states = self.layers.iter().filter(|(kind, _)| is_of_states(kind));
        states.map(|(_, layer)| layer.bytes()).sum()
    }

    /// A line for the whole, and one for each kind, the largest first.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<String> {
        let mut layers: Vec<_> = self.layers.iter().collect();
        layers.sort_by_key(|(_, layer)| std::cmp::Reverse(layer.bytes()));
        let all: u64 = self.layers.values().map(Layer::bytes).sum();
        let whole = format!(
            "{name}: {} bytes on disk, {} of pages in use, {} free; {all} of keys, twice, and values:",
            self.disk_bytes, self.used_bytes, self.free_bytes
        );
        let each = layers.into_iter().map(|(kind, layer)| {
            let (keys, values) = (layer.key_bytes, layer.value_bytes);
            let taken = layer.bytes();
            format!(
                "{name}:   {kind:<20} {taken:>9}  {:>6} rows, keys {keys}, values {values}",
                layer.rows
            )
        });
        std::iter::once(whole).chain(each).collect()
    }
}

/// What is in the SQLite store at `path`, which nobody has open.
///
/// # Errors
///
/// `Sqlite` if it cannot be read.
pub fn read(path: &Path) -> Result<Layers, BenchError> {
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let pragma = |name: &str| {
        let number = file.pragma_query_value(None, name, |row| row.get(0));
        number.map(unsigned)
    };
    let (page, free) = (pragma("page_size")?, pragma("freelist_count")?);
    let used = (pragma("page_count")? - free) * page;
    let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let log = length(&path.with_extension("db-wal"));
    let mut layers: BTreeMap<String, Layer> = BTreeMap::new();
    let mut rows = file.prepare("SELECT key, length(value) FROM entry")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (key, value): (Vec<u8>, i64) = (row.get(0)?, row.get(1)?);
        let layer = layers.entry(kind(&key)).or_default();
        layer.rows += 1;
        layer.key_bytes += u64::try_from(key.len()).unwrap_or(u64::MAX);
        layer.value_bytes += unsigned(value);
    }
    Ok(Layers {
        disk_bytes: length(path) + log,
        used_bytes: used + log,
        free_bytes: free * page,
        layers,
    })
}

/// Whether rows of this kind are of states and nothing else.
fn is_of_states(kind: &str) -> bool {
    let part = kind.strip_prefix("due ").unwrap_or(kind);
    let part = part.split(' ').next();
    part.is_some_and(|part| ["checkpoint", "lineage"].contains(&part))
}

/// A number that SQLite gives, which knows none without a sign.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// What kind of row a key is of: its part, and what it is in there.
fn kind(key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    let parts: Vec<&str> = key.split('/').collect();
    match parts[..] {
        ["due", _, part, ..] => format!("due {part}"),
        [_, "op", ..] => "session operation".to_owned(),
        [_, "created", ..] => "created".to_owned(),
        [_, part, _, what, ..] => format!("{part} {what}"),
        [_, part, ..] => part.to_owned(),
        _ => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_its_row_is() {
        let keys = [
            "due/00000001704067200000/stash/acme/s1",
            "acme/op/replay/s1:use:1",
            "acme/checkpoint/s1/head",
            "acme/session/s1/event/00000000000000000001",
            "acme/created/00000001704067200000/s1",
        ];
        let kinds = keys.map(|key| kind(key.as_bytes()));
        let expected = [
            "due stash",
            "session operation",
            "checkpoint head",
            "session event",
            "created",
        ];
        assert_eq!(kinds, expected);
        let states = expected.map(is_of_states);
        assert_eq!(states, [false, false, true, false, false]);
        assert!(is_of_states("lineage chunk") && is_of_states("due checkpoint"));
    }
}

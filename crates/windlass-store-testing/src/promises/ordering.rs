//! P6: the order of keys.

use std::collections::BTreeSet;

use bytes::Bytes;
use windlass_store::limits::KEY_BYTES_MAX;
use windlass_store::{Batch, KeyRange, Scan, Store};

use super::common::{apply, everything, exported};
use crate::Fixture;
use crate::gather::walk;
use crate::verdict::{Trial, ensure_equal};

pub(crate) async fn p06_keys_sort_as_unsigned_bytes(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    let keys = awkward_keys();
    // Put from the highest to the lowest, so that the order of arrival is no help.
    let batch = keys.iter().rev().fold(Batch::new(), |batch, key| {
        batch.put(key.clone(), key.clone())
    });
    apply(&*store, batch).await?;

    let sorted: Vec<Bytes> = keys.iter().cloned().collect();
    let paged = everything(&*store)
        .await?
        .into_iter()
        .map(|entry| entry.key)
        .collect();
    ensure_equal::<Vec<Bytes>>(&paged, &sorted, || "keys in ascending order".into())?;
    let exported = exported(&*store)
        .await?
        .into_iter()
        .map(|entry| entry.key)
        .collect();
    ensure_equal::<Vec<Bytes>>(&exported, &sorted, || "keys of an export".into())?;
    for range in ranges(&sorted) {
        in_order(&*store, &sorted, range).await?;
    }
    Ok(())
}

/// Keys that sort otherwise as signed bytes, as text, by length or when cut
/// at a zero byte.
fn awkward_keys() -> BTreeSet<Bytes> {
    let short: &[&[u8]] = &[
        b"",
        b"\0",
        b"\0\0",
        b"\0\x01",
        b"\x01",
        b"A",
        b"B",
        b"Z",
        b"a",
        b"a\0",
        b"a\0\0",
        b"a\0b",
        b"a\x01",
        b"a/",
        b"a/b",
        b"a0",
        b"aa",
        b"ab",
        b"a\x7f",
        b"a\x80",
        b"a\xff",
        b"a\xff\0",
        b"a\xff\xff",
        b"b",
        b"\xc3\xa4",
        b"10",
        b"9",
        b"\x7f",
        b"\x7f\xff",
        b"\x80",
        b"\x80\0",
        b"\xfe\xff",
        b"\xff",
        b"\xff\0",
        b"\xff\xfe",
        b"\xff\xff",
        b"\xff\xff\0",
        b"\xff\xff\xff",
    ];
    let mut keys: BTreeSet<Bytes> = short.iter().map(|key| Bytes::from_static(key)).collect();
    keys.insert(vec![b'a'; KEY_BYTES_MAX].into());
    keys.insert(vec![0xff; KEY_BYTES_MAX].into());
    keys.insert(vec![0; KEY_BYTES_MAX].into());
    keys
}

/// Ranges whose bounds are keys, lie between keys, or are out of order.
fn ranges(sorted: &[Bytes]) -> Vec<KeyRange> {
    let mut ranges = vec![
        KeyRange::all(),
        KeyRange::new("b", "a"),
        KeyRange::new("a", "a"),
    ];
    for key in sorted {
        ranges.push(KeyRange::prefix(key.clone()));
        ranges.push(KeyRange::point(key.clone()));
        ranges.push(KeyRange {
            start: key.clone(),
            end: None,
        });
        ranges.push(KeyRange::new(Bytes::new(), key.clone()));
        ranges.push(KeyRange::new("a", key.clone()));
    }
    ranges
}

async fn in_order(store: &dyn Store, sorted: &[Bytes], range: KeyRange) -> Trial {
    let end = range.end.clone();
    let inside = |key: &&Bytes| **key >= range.start && end.as_ref().is_none_or(|end| *key < end);
    let mut expected: Vec<Bytes> = sorted.iter().filter(inside).cloned().collect();
    let found = walk(store, Scan::new(range.clone()).keys()).await?;
    ensure_equal(&keys(found), &expected, || {
        format!("keys of {range:?}, ascending")
    })?;
    let found = walk(store, Scan::new(range.clone()).keys().descending()).await?;
    expected.reverse();
    ensure_equal(&keys(found), &expected, || {
        format!("keys of {range:?}, descending")
    })
}

fn keys(entries: Vec<windlass_store::Entry>) -> Vec<Bytes> {
    entries.into_iter().map(|entry| entry.key).collect()
}

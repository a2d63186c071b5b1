//! Reads of single keys that are answered together.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join_all;
use windlass_store::limits::VALUE_BYTES_MAX;
use windlass_store::{Batch, Entry, Scan, Store, StoreErrorKind, StoreExt};

use crate::common::{Place, apply, kind};

fn key(number: usize) -> String {
    format!("acme/{number:04}")
}

fn values(entries: &[Entry]) -> Vec<&[u8]> {
    entries.iter().map(|entry| entry.value.as_ref()).collect()
}

#[tokio::test]
async fn each_of_many_readers_gets_its_own_keys() {
    let place = Place::new();
    let store = place.open().await;
    let put = |batch: Batch, number: usize| batch.put(key(number), number.to_string());
    apply(&store, (0..500).step_by(2).fold(Batch::new(), put)).await;
    let scans: Vec<_> = (0..500)
        .map(|number| {
            [
                Scan::point(key(number)),
                Scan::point(key(number + 2)).keys(),
            ]
        })
        .collect();
    let answers = join_all(scans.iter().map(|scans| store.read(scans))).await;
    for (number, pages) in answers.into_iter().enumerate() {
        let pages = pages.expect("it can be read");
        let text = number.to_string();
        let (one, next): (Vec<&[u8]>, Vec<&[u8]>) = match (number % 2, number) {
            (0, 498) => (vec![text.as_bytes()], vec![]),
            (0, _) => (vec![text.as_bytes()], vec![b""]),
            _ => (vec![], vec![]),
        };
        assert_eq!(values(&pages[0].entries), one, "{number}");
        assert_eq!(values(&pages[1].entries), next, "{number}");
        assert!(!pages[0].more && !pages[1].more, "{number}: {pages:?}");
    }
}

/// More than may wait: the last ones wait to be accepted.
#[tokio::test]
async fn however_many_read_at_once_all_are_answered() {
    let place = Place::new();
    let store = place.open().await;
    apply(&store, Batch::new().put(key(1), "one")).await;
    for _ in 0..20_000 {
        // Asked, and at once not waited for any more.
        let asked = store.get(key(1).into()).now_or_never();
        assert!(asked.is_none(), "{asked:?}");
    }
    let found = join_all((0..20_000).map(|number| store.get(key(number % 2).into()))).await;
    for (number, entry) in found.into_iter().enumerate() {
        let there = entry.expect("it can be read").is_some();
        assert_eq!(there, number % 2 == 1, "{number}");
    }
}

/// Together they are more than the server sends at once.
#[tokio::test]
async fn large_values_are_all_given_to_those_who_wait_together() {
    let place = Place::new();
    let store = place.open().await;
    let value =
        |number: usize| Bytes::from(vec![b'a' + u8::try_from(number).unwrap(); VALUE_BYTES_MAX]);
    for number in 0..12 {
        apply(&store, Batch::new().put(key(number), value(number))).await;
    }
    let found = join_all((0..12).map(|number| store.get(key(number).into()))).await;
    for (number, entry) in found.into_iter().enumerate() {
        let entry = entry.expect("it can be read").expect("it was put");
        assert!(
            entry.value == value(number),
            "the value of {number} is another"
        );
    }
}

#[tokio::test]
async fn only_who_reads_the_damaged_key_is_told_of_damage() {
    let place = Place::new();
    let store = place.open().await;
    let put = |batch: Batch, number: usize| batch.put(key(number), number.to_string());
    apply(&store, (0..50).fold(Batch::new(), put)).await;
    place.sql("UPDATE {schema}.entry SET value = set_byte(value, 0, 0) WHERE key = 'acme/0007'");
    let found = join_all((0..50).map(|number| store.get(key(number).into()))).await;
    for (number, entry) in found.into_iter().enumerate() {
        if number == 7 {
            assert_eq!(kind(entry), StoreErrorKind::Corrupt);
        } else {
            let value = entry.expect("it can be read").map(|entry| entry.value);
            assert_eq!(value, Some(number.to_string().into()));
        }
    }
}

/// Damage in the server's file, which its index knows nothing of.
#[tokio::test]
async fn a_key_that_is_damaged_where_it_lies_is_not_taken_for_missing() {
    let place = Place::alone(&[]);
    let put = |batch: Batch, number: usize| batch.put(key(number), number.to_string());
    apply(&place.open().await, (0..50).fold(Batch::new(), put)).await;
    let file = place.sql("SELECT pg_relation_filepath('{schema}.entry')");
    place.sql("CHECKPOINT");
    place.server().stop().expect("the server ends");
    let file = place.server().data().join(file);
    let mut bytes = std::fs::read(&file).expect("the file is there");
    let wanted = key(7).into_bytes();
    let found = bytes
        .windows(wanted.len())
        .position(|window| window == wanted);
    bytes[found.expect("the key is in the file") + wanted.len() - 1] ^= 8;
    std::fs::write(&file, bytes).expect("the file can be written");
    place.server().start_again().expect("the server starts");
    let store = place.open().await;
    // Reads that wait at the same time share a statement.
    for found in join_all([7, 7].map(|number| store.get(key(number).into()))).await {
        assert_eq!(kind(found), StoreErrorKind::Corrupt);
    }
}

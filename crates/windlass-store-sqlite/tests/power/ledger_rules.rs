//! What the ledger says of stores that are and are not as they must be.

use bytes::Bytes;
use windlass_store::{Entry, Incarnation, Version, Write};

use crate::ledger::{Finding, Ledger};
use crate::recording::Mark;
use crate::workload;

fn version(number: u64) -> Version {
    Version::new(Incarnation::from_number(1), number)
}

fn entry(key: &str, value: &str, number: u64) -> Entry {
    Entry {
        key: Bytes::from(key.to_owned()),
        value: Bytes::from(value.to_owned()),
        version: version(number),
    }
}

/// A writer with two batches, of which the first is acknowledged and the
/// second in flight.
fn ledger() -> Ledger {
    let batch = |value: &str| {
        let put = |key: Bytes| Write::Put {
            key,
            value: Bytes::from(value.to_owned()),
        };
        vec![put(workload::counter(0)), put("writer/0/slot/0".into())]
    };
    let mut ledger = Ledger::new(&[vec![batch("one"), batch("two"), batch("three")]], &[]);
    ledger.note(Mark::Submitted { writer: 0 });
    ledger.note(Mark::Acknowledged {
        writer: 0,
        version: Some(version(1)),
    });
    ledger.note(Mark::Submitted { writer: 0 });
    ledger
}

fn judge(counter: &str, slot: &str, number: u64) -> Result<(), Finding> {
    ledger().judge(&[
        entry("writer/0/counter", counter, number),
        entry("writer/0/slot/0", slot, number),
    ])
}

#[test]
fn the_last_acknowledged_batch_and_the_one_in_flight_are_allowed() {
    for (value, number) in [("one", 1), ("two", 2)] {
        let verdict = judge(value, value, number);
        assert!(verdict.is_ok(), "{value}: {verdict:?}");
    }
}

#[test]
fn an_acknowledged_batch_that_is_missing_is_a_loss() {
    let verdict = ledger().judge(&[]);
    assert!(
        matches!(verdict, Err(Finding::Lost { found: 0, .. })),
        "{verdict:?}"
    );
}

#[test]
fn entries_of_different_batches_are_a_tear() {
    for (counter, slot) in [("one", "two"), ("two", "one")] {
        let verdict = judge(counter, slot, 1);
        assert!(matches!(verdict, Err(Finding::Torn { .. })), "{verdict:?}");
    }
}

#[test]
fn an_acknowledged_batch_under_another_version_is_a_tear() {
    let verdict = judge("one", "one", 2);
    assert!(matches!(verdict, Err(Finding::Torn { .. })), "{verdict:?}");
}

#[test]
fn a_batch_that_was_not_submitted_is_an_invention() {
    let verdict = judge("three", "three", 3);
    assert!(
        matches!(verdict, Err(Finding::Invented { .. })),
        "{verdict:?}"
    );
}

#[test]
fn a_key_of_nobody_is_a_stranger() {
    let verdict = ledger().judge(&[
        entry("writer/0/counter", "one", 1),
        entry("writer/0/slot/0", "one", 1),
        entry("writers", "", 1),
    ]);
    assert!(
        matches!(verdict, Err(Finding::Stranger { .. })),
        "{verdict:?}"
    );
}

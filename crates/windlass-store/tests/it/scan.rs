//! Scans, and how much one read gives.

use bytes::Bytes;
use proptest::prelude::*;
use windlass_store::limits::{KEY_BYTES_MAX, READ_BYTES_MAX, READ_ENTRIES_MAX, READ_SCANS_MAX};
use windlass_store::{KeyRange, Order, ReadBudget, Scan, StoreErrorKind, Take};

fn refusal(scans: &[Scan]) -> Option<String> {
    let error = Scan::validate(scans).err()?;
    assert_eq!(
        (error.kind(), error.operation()),
        (StoreErrorKind::Invalid, "read")
    );
    Some(error.context().to_owned())
}

fn scan() -> Scan {
    Scan::prefix("acme/")
}

#[test]
fn each_limit_allows_its_value_and_refuses_one_beyond() {
    let long = |length: usize| Scan::new(KeyRange::new("", vec![b'z'; length]));
    let cases = [
        (vec![scan()], vec![], "0 scans; 1 to 16 are allowed"),
        (
            vec![scan(); READ_SCANS_MAX],
            vec![scan(); READ_SCANS_MAX + 1],
            "17 scans; 1 to 16 are allowed",
        ),
        (
            vec![scan().limit(1)],
            vec![scan(), scan().limit(0)],
            "a limit of 0 entries; 1 to 1000 are allowed",
        ),
        (
            vec![scan().limit(READ_ENTRIES_MAX)],
            vec![scan(), scan().limit(READ_ENTRIES_MAX + 1)],
            "a limit of 1001 entries; 1 to 1000 are allowed",
        ),
        (
            vec![long(KEY_BYTES_MAX + 1)],
            vec![scan(), long(KEY_BYTES_MAX + 2)],
            "a bound has 1026 bytes; at most 1024 and one are allowed",
        ),
    ];
    for (allowed, beyond, reason) in cases {
        assert_eq!(refusal(&allowed), None, "at the limit of: {reason}");
        assert_eq!(refusal(&beyond).as_deref(), Some(reason));
    }
}

#[test]
fn a_scan_asks_for_everything_until_told_otherwise() {
    let range = KeyRange::prefix("acme/");
    let expected = Scan {
        range,
        limit: READ_ENTRIES_MAX,
        order: Order::Ascending,
        take: Take::Entries,
    };
    assert_eq!(scan(), expected);
    let changed = Scan {
        limit: 3,
        order: Order::Descending,
        take: Take::Keys,
        ..expected
    };
    assert_eq!(scan().limit(3).descending().keys(), changed);
    let point = Scan::point("acme/a");
    assert_eq!((point.limit, point.range), (1, KeyRange::point("acme/a")));
}

proptest! {
    #[test]
    fn the_scan_after_a_key_holds_what_lies_beyond_it(
        last in "[ab]{0,3}", key in "[ab]{0,3}", descending: bool,
    ) {
        let whole = Scan::new(KeyRange::new("a", "bb")).limit(7).keys();
        let whole = if descending { whole.descending() } else { whole };
        let last = Bytes::from(last);
        prop_assume!(whole.range.contains(&last));
        let rest = whole.clone().after(&last);
        let beyond = if descending { key.as_bytes() < &last[..] } else { key.as_bytes() > &last[..] };
        let inside = whole.range.contains(key.as_bytes());
        prop_assert_eq!(rest.range.contains(key.as_bytes()), inside && beyond);
        prop_assert_eq!((rest.limit, rest.order, rest.take), (7, whole.order, Take::Keys));
    }

    #[test]
    fn a_budget_is_never_exceeded_but_by_a_first_entry(sizes in prop::collection::vec(
        prop_oneof![1..100_usize, Just(READ_BYTES_MAX / 4), Just(READ_BYTES_MAX + 1)], 1..40,
    )) {
        let mut budget = ReadBudget::new();
        let taken: Vec<usize> = sizes.iter().copied().filter(|size| budget.admit(*size)).collect();
        let bytes: usize = taken.iter().sum();
        prop_assert_eq!(taken.first(), sizes.first(), "the first entry is always taken");
        prop_assert!(bytes <= READ_BYTES_MAX || taken.len() == 1, "{} bytes", bytes);
    }
}

#[test]
fn a_budget_ends_with_the_last_allowed_entry() {
    let mut budget = ReadBudget::new();
    for number in 0..READ_ENTRIES_MAX {
        assert!(budget.admit(1), "entry {number}");
    }
    assert!(!budget.admit(0), "one entry too many");
}

#[test]
fn a_budget_ends_with_the_last_allowed_byte() {
    let mut budget = ReadBudget::new();
    let taken = [READ_BYTES_MAX - 10, 11, 10, 0, 1].map(|size| budget.admit(size));
    assert_eq!(taken, [true, false, true, true, false]);
}

#[test]
fn after_an_oversized_first_entry_nothing_fits_that_has_a_size() {
    let mut budget = ReadBudget::new();
    let taken = [usize::MAX, 1, usize::MAX].map(|size| budget.admit(size));
    assert_eq!(taken, [true, false, false]);
}

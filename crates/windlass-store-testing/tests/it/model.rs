//! The model, against what the contract says in words.

use bytes::Bytes;
use windlass_store::limits::{READ_ENTRIES_MAX, VALUE_BYTES_MAX};
use windlass_store::{Batch, Commit, Entry, Expect, Incarnation, KeyRange, Scan, Version};
use windlass_store_testing::Model;

fn version(number: u64) -> Version {
    Version::new(Incarnation::from_number(1), number)
}

/// A model with keys `a`, `b` and `c`, of the versions 1, 2 and 3.
fn three() -> Model {
    let mut model = Model::new();
    for (key, number) in [("a", 1), ("b", 2), ("c", 3)] {
        let answer = model.commit(&Batch::new().put(key, "value"), version(number));
        assert_eq!(answer, Commit::Applied(version(number)));
    }
    model
}

fn keys(entries: &[Entry]) -> Vec<Bytes> {
    entries.iter().map(|entry| entry.key.clone()).collect()
}

#[test]
fn each_expectation_holds_when_it_should_and_not_otherwise() {
    let expectations = [
        ("a", Expect::Absent, false),
        ("d", Expect::Absent, true),
        ("a", Expect::Present, true),
        ("d", Expect::Present, false),
        ("a", Expect::Version(version(1)), true),
        ("a", Expect::Version(version(2)), false),
        ("d", Expect::Version(version(1)), false),
    ];
    for (key, expect, holds) in expectations {
        let batch = Batch::new().check(key, expect);
        let failing = (!holds).then(|| Bytes::from(key));
        assert_eq!(three().first_failing(&batch), failing, "{key} {expect:?}");
    }
}

#[test]
fn a_conflict_names_the_first_failing_check_and_changes_nothing() {
    let mut model = three();
    let batch = Batch::new()
        .check("a", Expect::Present)
        .check("z", Expect::Present)
        .check("d", Expect::Present)
        .put("a", "new")
        .delete("b");
    assert_eq!(
        model.commit(&batch, version(4)),
        Commit::Conflict { key: "z".into() }
    );
    assert_eq!(model, three());
}

#[test]
fn a_commit_puts_with_its_version_and_deletes() {
    let mut model = three();
    let batch = Batch::new()
        .check("a", Expect::Version(version(1)))
        .put("a", "new")
        .delete("b");
    assert_eq!(
        model.commit(&batch, version(4)),
        Commit::Applied(version(4))
    );
    let entry = Entry {
        key: "a".into(),
        value: "new".into(),
        version: version(4),
    };
    assert_eq!(model.entry(&"a".into()), Some(entry));
    assert_eq!(model.entry(&"b".into()), None);
}

#[test]
fn scans_are_half_open_ordered_and_may_leave_values_out() {
    let model = three();
    assert_eq!(keys(&model.range(&KeyRange::new("a", "c"))), ["a", "b"]);
    let scan = Scan::new(KeyRange::new("b", "d")).descending().keys();
    let found = model.matching(&scan);
    assert_eq!(keys(&found), ["c", "b"]);
    assert!(
        found.iter().all(|entry| entry.value.is_empty()),
        "{found:?}"
    );
    assert_eq!(model.matching(&Scan::new(KeyRange::new("c", "b"))), []);
}

#[test]
fn pages_end_at_the_limit_of_the_scan_and_of_the_read() {
    let mut model = three();
    let pages = model.read(&[
        Scan::new(KeyRange::all()).limit(2),
        Scan::new(KeyRange::all()),
    ]);
    let shown: Vec<_> = pages
        .iter()
        .map(|page| (page.entries.len(), page.more))
        .collect();
    assert_eq!(shown, [(2, true), (3, false)]);

    let put = |batch: Batch, number| batch.put(format!("n/{number:04}"), "");
    let _ = model.commit(&(0..READ_ENTRIES_MAX).fold(Batch::new(), put), version(4));
    let pages = model.read(&[Scan::prefix("n/").limit(998), Scan::new(KeyRange::all())]);
    let shown: Vec<_> = pages
        .iter()
        .map(|page| (page.entries.len(), page.more))
        .collect();
    assert_eq!(shown, [(998, true), (2, true)]);

    let large = Bytes::from(vec![0; VALUE_BYTES_MAX]);
    let put = |batch: Batch, number: usize| batch.put(format!("large/{number}"), large.clone());
    let _ = model.commit(&(0..5).fold(Batch::new(), put), version(5));
    let pages = model.read(&[
        Scan::prefix("large/"),
        Scan::point("a"),
        Scan::prefix("large/").keys(),
    ]);
    let shown: Vec<_> = pages
        .iter()
        .map(|page| (page.entries.len(), page.more))
        .collect();
    assert_eq!(shown, [(3, true), (1, false), (5, false)]);
}

//! Batches: every limit at its last allowed value and one beyond, and the
//! rules about keys.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use windlass_store::limits::{
    BATCH_BYTES_MAX, BATCH_CHECKS_MAX, BATCH_WRITES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX,
};
use windlass_store::{Batch, Expect, StoreErrorKind, Write};

/// What validation says: nothing, or why the batch is invalid.
fn refusal(batch: &Batch) -> Option<String> {
    let error = batch.validate().err()?;
    assert_eq!(
        (error.kind(), error.operation()),
        (StoreErrorKind::Invalid, "commit")
    );
    Some(error.context().to_owned())
}

fn bytes(length: usize) -> Bytes {
    vec![b'.'; length].into()
}

fn checks(count: usize) -> Batch {
    (0..count).fold(Batch::new(), |batch, number| {
        batch.check(number.to_string(), Expect::Present)
    })
}

fn puts(count: usize) -> Batch {
    (0..count).fold(Batch::new(), |batch, number| {
        batch.put(number.to_string(), "")
    })
}

/// A batch of puts of exactly so many bytes.
fn sized(size: usize) -> Batch {
    let full = (size - 1) / VALUE_BYTES_MAX;
    let put =
        |batch: Batch, number: usize| batch.put(number.to_string(), bytes(VALUE_BYTES_MAX - 1));
    let batch = (0..full).fold(Batch::new(), put);
    let rest = size - batch.size() - 1;
    batch.put("x", bytes(rest))
}

#[test]
fn each_limit_allows_its_value_and_refuses_one_more() {
    let long = |more: usize| bytes(KEY_BYTES_MAX + more);
    let cases = [
        (
            checks(BATCH_CHECKS_MAX),
            checks(BATCH_CHECKS_MAX + 1),
            "129 checks; at most 128 are allowed",
        ),
        (
            puts(BATCH_WRITES_MAX),
            puts(BATCH_WRITES_MAX + 1),
            "1025 writes; at most 1024 are allowed",
        ),
        (
            Batch::new().put(long(0), ""),
            Batch::new().put(long(1), ""),
            "a key has 1025 bytes; at most 1024 are allowed",
        ),
        (
            Batch::new().delete(long(0)),
            Batch::new().delete(long(1)),
            "a key has 1025 bytes; at most 1024 are allowed",
        ),
        (
            Batch::new().check(long(0), Expect::Present),
            Batch::new().check(long(1), Expect::Present),
            "a key has 1025 bytes; at most 1024 are allowed",
        ),
        (
            Batch::new().put("k", bytes(VALUE_BYTES_MAX)),
            Batch::new().put("k", bytes(VALUE_BYTES_MAX + 1)),
            "a value has 2097153 bytes; at most 2097152 are allowed",
        ),
        (
            sized(BATCH_BYTES_MAX),
            sized(BATCH_BYTES_MAX + 1),
            "the batch has 16777217 bytes; at most 16777216 are allowed",
        ),
    ];
    for (allowed, beyond, reason) in cases {
        assert_eq!(refusal(&allowed), None, "at the limit of: {reason}");
        assert_eq!(refusal(&beyond).as_deref(), Some(reason));
    }
}

#[test]
fn a_batch_that_does_nothing_is_refused() {
    assert_eq!(
        refusal(&Batch::new()).as_deref(),
        Some("the batch is empty")
    );
}

#[test]
fn checks_count_towards_the_size() {
    let check = |batch: Batch, number: usize| {
        batch.check(
            format!("{number:0width$}", width = KEY_BYTES_MAX),
            Expect::Present,
        )
    };
    let batch = (0..BATCH_CHECKS_MAX).fold(sized(BATCH_BYTES_MAX - 100 * KEY_BYTES_MAX), check);
    let reason = format!(
        "the batch has {} bytes; at most {BATCH_BYTES_MAX} are allowed",
        BATCH_BYTES_MAX + 28 * KEY_BYTES_MAX
    );
    assert_eq!(refusal(&batch), Some(reason));
}

#[test]
fn rules_about_keys_name_the_rule() {
    let put = || Batch::new().put("a", "1");
    let cases = [
        (put().put("a", "2"), Some("a key is written twice")),
        (put().delete("a"), Some("a key is written twice")),
        (
            Batch::new().delete("a").delete("a"),
            Some("a key is written twice"),
        ),
        (
            put()
                .check("b", Expect::Present)
                .check("b", Expect::Present),
            Some("a key is checked twice"),
        ),
        (
            put().check("a", Expect::Absent).check("a", Expect::Absent),
            Some("a key is checked twice"),
        ),
        (
            Batch::new().check("a", Expect::Absent),
            Some("a key checked absent is not put by the batch"),
        ),
        (
            put().check("b", Expect::Absent),
            Some("a key checked absent is not put by the batch"),
        ),
        (
            Batch::new().check("a", Expect::Absent).delete("a"),
            Some("a key checked absent is not put by the batch"),
        ),
        (put().check("a", Expect::Absent), None),
        (put().check("a", Expect::Present), None),
        (
            put()
                .put("b", "")
                .delete("c")
                .check("b", Expect::Absent)
                .check("z", Expect::Present),
            None,
        ),
        (Batch::new().check("a", Expect::Present), None),
        (Batch::new().delete("a"), None),
    ];
    for (batch, reason) in cases {
        assert_eq!(refusal(&batch).as_deref(), reason, "{batch:?}");
    }
}

#[test]
fn joined_batches_have_the_checks_and_writes_of_both() {
    let mut batch = Batch::new().check("a", Expect::Present).put("a", "1");
    batch.append(
        Batch::new()
            .check("b", Expect::Absent)
            .put("b", "22")
            .delete("c"),
    );
    let expected = Batch::new()
        .check("a", Expect::Present)
        .check("b", Expect::Absent)
        .put("a", "1")
        .put("b", "22")
        .delete("c");
    assert_eq!(batch, expected);
    assert_eq!(batch.size(), 1 + 1 + 2 + 3 + 1);
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![Just(Expect::Absent), Just(Expect::Present)]
}

fn write() -> impl Strategy<Value = Write> {
    ("[a-f]", any::<bool>()).prop_map(|(key, put)| {
        let key = Bytes::from(key);
        if put {
            Write::Put {
                key,
                value: Bytes::new(),
            }
        } else {
            Write::Delete { key }
        }
    })
}

proptest! {
    #[test]
    fn small_batches_are_refused_by_the_rules_and_no_other(
        checks in vec(("[a-f]", expect()), 0..3),
        writes in vec(write(), 0..4),
    ) {
        let batch = checks.iter().fold(Batch::new(), |batch, (key, expect)| batch.check(key.clone(), *expect));
        let batch = Batch { writes, ..batch };
        let twice = |keys: Vec<&Bytes>| {
            let pairs = keys.iter().enumerate();
            pairs.clone().any(|(place, key)| keys[..place].contains(key))
        };
        let puts = |key: &Bytes| batch.writes.iter().any(|write| *write == Write::Put { key: key.clone(), value: Bytes::new() });
        let invalid = batch == Batch::new()
            || twice(batch.writes.iter().map(Write::key).collect())
            || twice(batch.checks.iter().map(|check| &check.key).collect())
            || batch.checks.iter().any(|check| check.expect == Expect::Absent && !puts(&check.key));
        prop_assert_eq!(refusal(&batch).is_some(), invalid);
    }
}

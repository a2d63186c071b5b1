//! Compare-and-swap, put-if-absent and increments.

use windlass_core::Millis;
use windlass_stash::{StashError, Value};

use crate::support::{START, World, code, key, number, sized};

#[test]
fn a_swap_happens_at_the_expected_version_only() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let first = execution.put(&key("k"), &1, None).expect("stored");
    let second = execution.compare_and_swap(&key("k"), first.version, &2, None);
    let second = second.expect("nobody was faster");
    let stale = execution.compare_and_swap(&key("k"), first.version, &3, None);
    let error = stale.unwrap_err();
    assert!(
        matches!(error, StashError::VersionMismatch { expected, actual }
            if expected == Some(first.version) && actual == Some(second.version)),
        "{error:?}"
    );
    assert_eq!(number(&execution, "k"), Some(2));
    assert_eq!(
        code(execution.compare_and_swap(&key("no"), 1, &3, None)),
        "version_mismatch"
    );
}

#[test]
fn no_version_is_used_twice() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let first = execution.put(&key("k"), &1, None).expect("stored");
    assert!(execution.delete(&key("k")).expect("mine"), "it was there");
    let second = execution.put(&key("k"), &1, None).expect("stored");
    assert!(second.version > first.version, "{second:?}");
    let stale = execution.compare_and_swap(&key("k"), first.version, &2, None);
    assert_eq!(code(stale), "version_mismatch");
}

#[test]
fn put_if_absent_leaves_what_is_there() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let stored = execution
        .put_if_absent(&key("k"), &1, None)
        .expect("granted");
    assert_eq!(stored.expect("it was absent").version, 1);
    let refused = execution
        .put_if_absent(&key("k"), &2, None)
        .expect("granted");
    assert_eq!((refused, number(&execution, "k")), (None, Some(1)));
}

#[test]
fn increments_add_up_and_keep_the_deadline() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let made = execution
        .increment(&key("n"), 5, Some(10))
        .expect("absent counts as 0");
    assert_eq!(
        (made.value, made.metadata.expires),
        (5, Millis::new(START + 10))
    );
    world.env.advance_ms(3);
    let less = execution
        .increment(&key("n"), -7, Some(10))
        .expect("a number");
    assert_eq!(less.value, -2);
    let times = (
        less.metadata.created,
        less.metadata.updated,
        less.metadata.expires,
    );
    let expected = (START, START + 3, START + 10);
    assert_eq!(
        times,
        (
            Millis::new(expected.0),
            Millis::new(expected.1),
            Millis::new(expected.2)
        )
    );
    assert!(less.metadata.version > made.metadata.version, "{less:?}");
    assert_eq!((number(&execution, "n"), less.metadata.size), (Some(-2), 2));
}

#[test]
fn what_is_no_whole_number_is_not_incremented() {
    let world = World::new(|_| {});
    let execution = world.outside();
    for json in ["1.5", "1e2", "\"1\"", "null", "[1]", "true", "-0.0"] {
        let value = Value::from_json(json).expect("JSON");
        execution
            .store(windlass_stash::Put::new(key("n"), value.clone()))
            .expect("stored");
        assert_eq!(
            code(execution.increment(&key("n"), 1, None)),
            "not_a_number",
            "{json}"
        );
        assert_eq!(execution.get(&key("n")).expect("readable"), Some(value));
    }
}

#[test]
fn a_number_beyond_64_bits_overflows_and_stays() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let too_large = u64::MAX;
    execution.put(&key("u"), &too_large, None).expect("stored");
    assert_eq!(code(execution.increment(&key("u"), -1, None)), "overflow");
    for (start, by) in [(i64::MAX, 1), (i64::MIN, -1)] {
        execution.put(&key("n"), &start, None).expect("stored");
        assert_eq!(code(execution.increment(&key("n"), by, None)), "overflow");
        assert_eq!(number(&execution, "n"), Some(start));
    }
    execution.put(&key("n"), &i64::MAX, None).expect("stored");
    let back = execution.increment(&key("n"), -1, None).expect("fits");
    assert_eq!(back.value, i64::MAX - 1);
}

#[test]
fn an_increment_is_held_to_the_limits_of_size() {
    let world = World::new(|config| {
        config.value_bytes_max = 8;
        config.total_bytes_max = 9;
    });
    let execution = world.outside();
    execution
        .store(windlass_stash::Put::new(key("rest"), sized(8)))
        .expect("stored");
    execution.put(&key("n"), &9, None).expect("exactly full");
    assert_eq!(
        code(execution.increment(&key("n"), 1, None)),
        "total_size_exceeded"
    );
    assert_eq!(
        code(execution.increment(&key("n"), 99_999_999, None)),
        "value_too_large"
    );
    assert_eq!(number(&execution, "n"), Some(9));
    execution.increment(&key("n"), -1, None).expect("no larger");
}

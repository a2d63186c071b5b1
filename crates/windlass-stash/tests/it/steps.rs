//! Several operations in one atomic step.

use std::error::Error;

use windlass_stash::{Answer, Condition, Increment, Operation, Put, Value};

use crate::support::{World, code, key, number};

fn put(name: &str, number: i64) -> Operation {
    Operation::Put(Put::new(key(name), Value::of(&number).expect("JSON")))
}

fn increment(name: &str, by: i64) -> Operation {
    Operation::Increment(Increment {
        key: key(name),
        by,
        ttl_ms: None,
    })
}

#[test]
fn each_operation_sees_what_those_before_it_left() {
    let world = World::new(|_| {});
    let execution = world.outside();
    execution.put(&key("old"), &1, None).expect("stored");
    let touch = Operation::Touch {
        key: key("n"),
        ttl_ms: Some(10),
    };
    let operations = [
        put("n", 5),
        increment("n", 2),
        touch,
        Operation::Get(key("n")),
        Operation::Delete(key("old")),
        increment("old", 3),
        Operation::Get(key("none")),
    ];
    let answers = execution.step(&operations).expect("granted");
    let Answer::Entry(Some(entry)) = &answers[3] else {
        panic!("{answers:?}");
    };
    assert_eq!((entry.value.as_json(), entry.ttl_left_ms), ("7", 10));
    assert_eq!(
        (&answers[4], &answers[6]),
        (&Answer::Deleted(true), &Answer::Entry(None))
    );
    assert_eq!(
        (number(&execution, "n"), number(&execution, "old")),
        (Some(7), Some(3))
    );
}

#[test]
fn a_refused_step_leaves_everything_as_it_was() {
    let world = World::new(|config| config.keys_max = 3);
    let execution = world.outside();
    execution.put(&key("keep"), &1, None).expect("stored");
    execution.put(&key("over"), &1, Some(10)).expect("stored");
    world.env.advance_ms(10);
    let (before, kept) = (
        world.stash.usage(),
        execution.entry(&key("keep")).expect("readable"),
    );
    let stale = Put::new(key("keep"), Value::of(&9).expect("JSON"));
    let operations = [
        put("keep", 2),
        put("a", 1),
        put("b", 1),
        Operation::Delete(key("a")),
        Operation::Put(stale.condition(Condition::Version(1))),
    ];
    let error = execution.step(&operations).unwrap_err();
    assert_eq!(error.position, 4);
    assert_eq!(error.to_string(), "operation 4 of the step was refused");
    let cause = error.source().expect("why").to_string();
    assert_eq!(cause, "the entry is not at the version that was expected");
    assert_eq!(world.stash.usage(), before);
    assert_eq!(execution.entry(&key("keep")).expect("readable"), kept);
    assert_eq!(
        (number(&execution, "a"), number(&execution, "b")),
        (None, None)
    );
}

#[test]
fn a_step_may_pass_a_limit_only_for_good() {
    let world = World::new(|config| config.keys_max = 1);
    let execution = world.outside();
    execution.put(&key("a"), &1, None).expect("stored");
    let late = [put("b", 1), Operation::Delete(key("a"))];
    assert_eq!(code(execution.step(&late)), "key_limit_exceeded");
    let early = [Operation::Delete(key("a")), put("b", 1)];
    execution
        .step(&early)
        .expect("there is room when it is needed");
    assert_eq!(
        (number(&execution, "a"), number(&execution, "b")),
        (None, Some(1))
    );
}

#[test]
fn a_step_has_1_to_256_operations() {
    let world = World::new(|_| {});
    let execution = world.outside();
    assert_eq!(code(execution.step(&[])), "invalid_request");
    let many: Vec<_> = (0..257).map(|_| increment("n", 1)).collect();
    assert_eq!(code(execution.step(&many)), "invalid_request");
    assert_eq!(number(&execution, "n"), None);
    execution
        .step(&many[1..])
        .expect("exactly as many as allowed");
    assert_eq!(number(&execution, "n"), Some(256));
}

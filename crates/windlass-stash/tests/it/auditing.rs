//! What a listener hears, and what it cannot break.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass_core::{Coded, ManualEnv, Millis};
use windlass_stash::{Audit, Config, Event, KeyQuery, MemoryStash, Operation, Outcome};

use crate::support::{group, key};

/// Writes down what it hears, and moves the clock each time.
pub(crate) struct Ledger {
    env: Arc<ManualEnv>,
    lines: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn new(env: &Arc<ManualEnv>) -> Arc<Self> {
        Arc::new(Self {
            env: Arc::clone(env),
            lines: Mutex::default(),
        })
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("never panics").clone()
    }
}

impl Audit for Ledger {
    fn record(&self, event: &Event<'_>) {
        let key = event.key.map_or("-", windlass_stash::Key::as_str);
        let group = event.group.map_or("-", windlass_core::GroupId::as_str);
        let outcome = match event.outcome {
            Outcome::Done => "done",
            Outcome::Absent => "absent",
            Outcome::Refused(code) => code,
        };
        let size = event.size.map_or("-".to_owned(), |size| size.to_string());
        assert_eq!(event.duration, Duration::ZERO);
        let line = format!("{:?} {key} {group} {size} {outcome}", event.verb);
        self.lines.lock().expect("never panics").push(line);
        self.env.advance_ms(1);
    }
}

fn heard(play: impl FnOnce(&MemoryStash)) -> Vec<String> {
    let env = Arc::new(ManualEnv::new(1, Millis::new(1)));
    let ledger = Ledger::new(&env);
    let config = Config {
        operations_max: Some(9),
        ..Config::default()
    };
    let stash = MemoryStash::with_audit(env, config, ledger.clone()).expect("settings");
    play(&stash);
    ledger.lines()
}

#[test]
fn every_operation_is_told_with_its_key_size_and_outcome() {
    let lines = heard(|stash| {
        let execution = stash.execution(Some(group("a")));
        let k = key("k");
        execution.put(&k, "secret", None).expect("stored");
        execution.get(&k).expect("readable");
        execution.get(&key("none")).expect("readable");
        execution.touch(&k, None).expect("mine");
        let code = execution.increment(&k, 1, None).unwrap_err().code();
        assert_eq!(code, "not_a_number");
        execution.keys(&KeyQuery::default()).expect("readable");
        execution.delete(&k).expect("mine");
        execution.delete(&k).expect("mine");
        execution.clear().expect("granted");
        assert_eq!(execution.get(&k).unwrap_err().code(), "operation_limit");
        assert_eq!(execution.clear().unwrap_err().code(), "operation_limit");
        stash.reap_expired(None);
    });
    let expected = [
        "Put k a 8 done",
        "Get k a 8 done",
        "Get none a - absent",
        "Touch k a - done",
        "Increment k a - not_a_number",
        "Keys - a - done",
        "Delete k a - done",
        "Delete k a - absent",
        "Clear - a 0 done",
        "Get k a - operation_limit",
        "Clear - a - operation_limit",
        "Reap - - 0 done",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_step_is_told_operation_by_operation_or_as_refused() {
    let lines = heard(|stash| {
        let execution = stash.execution(None);
        let put = || {
            let value = windlass_stash::Value::of(&12).expect("JSON");
            windlass_stash::Put::new(key("k"), value)
        };
        let step = [
            Operation::Put(put()),
            Operation::Delete(key("none")),
            Operation::Get(key("k")),
        ];
        execution.step(&step).expect("granted");
        let refused = [Operation::Get(key("k")), Operation::Put(put().ttl_ms(0))];
        assert_eq!(execution.step(&refused).unwrap_err().code(), "ttl_zero");
        execution.store(put()).expect("stored");
    });
    let expected = [
        "Put k - 2 done",
        "Delete none - - absent",
        "Get k - 2 done",
        "Step k - - ttl_zero",
        "Put k - 2 done",
    ];
    assert_eq!(lines, expected);
}

/// Panics whatever it hears.
struct Clumsy;

impl Audit for Clumsy {
    fn record(&self, event: &Event<'_>) {
        std::panic::resume_unwind(Box::new(event.duration));
    }
}

#[test]
fn a_listener_that_panics_changes_no_answer_and_no_figure() {
    let env = Arc::new(ManualEnv::new(1, Millis::new(1)));
    let stash = MemoryStash::with_audit(env, Config::default(), Arc::new(Clumsy));
    let stash = stash.expect("settings");
    let execution = stash.execution(None);
    let stored = execution.put(&key("k"), &1, None).expect("stored");
    let entry = execution
        .entry(&key("k"))
        .expect("readable")
        .expect("there");
    assert_eq!(entry.metadata, stored);
    assert_eq!(stash.usage().live.value_bytes, 1);
    assert!(execution.delete(&key("k")).expect("mine"), "it was there");
    assert_eq!(stash.usage().live.keys, 0);
}

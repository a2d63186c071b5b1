//! What the tests of this crate share.

use std::fmt::Debug;
use std::sync::Arc;

use windlass_core::{Coded, GroupId, ManualEnv, Millis};
use windlass_stash::{Config, Execution, Key, MemoryStash, Value};

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const HOUR: u64 = 3_600 * SECOND;
pub(crate) const START: u64 = 1_700_000_000_000;

/// A stash and the clock it reads.
pub(crate) struct World {
    pub(crate) env: Arc<ManualEnv>,
    pub(crate) stash: MemoryStash,
}

impl World {
    pub(crate) fn new(adjust: impl FnOnce(&mut Config)) -> Self {
        let env = Arc::new(ManualEnv::new(1, Millis::new(START)));
        let mut config = Config::default();
        adjust(&mut config);
        let stash = MemoryStash::new(env.clone(), config).expect("settings that can stand");
        Self { env, stash }
    }

    /// An execution in a group.
    pub(crate) fn within(&self, name: &str) -> Execution {
        self.stash.execution(Some(group(name)))
    }

    /// An execution in none.
    pub(crate) fn outside(&self) -> Execution {
        self.stash.execution(None)
    }
}

pub(crate) fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

pub(crate) fn group(text: &str) -> GroupId {
    text.parse().expect("a group")
}

/// A value whose JSON has exactly `size` bytes.
pub(crate) fn sized(size: usize) -> Value {
    let value = Value::of(&"x".repeat(size - 2)).expect("JSON");
    assert_eq!(value.size(), u64::try_from(size).expect("small"));
    value
}

/// The number under a key, as the execution sees it.
pub(crate) fn number(execution: &Execution, name: &str) -> Option<i64> {
    let value = execution.get(&key(name)).expect("readable");
    value.map(|value| value.parse().expect("a number"))
}

/// The code of the refusal.
pub(crate) fn code<T: Debug, E: Coded>(answer: Result<T, E>) -> &'static str {
    answer.expect_err("a refusal").code()
}

//! What an execution can do with a stash in memory.

use std::fmt;
use std::sync::atomic::Ordering;

use serde::Serialize;
use windlass_core::{Coded, GroupId, Millis};

use crate::audit::{self, Asked, Outcome, Started, Told, Verb};
use crate::error::{StashError, StepError};
use crate::key::Key;
use crate::metadata::{Entry, Metadata};
use crate::operations::Operations;
use crate::request::{
    Answer, Condition, Increment, KeyPage, KeyQuery, Number, Operation, Put, Removed,
};
use crate::rules::Call;
use crate::value::Value;

use super::MemoryStash;
use super::shards::Stored;

/// One execution inside a session: a group, or none, and how many operations
/// it has made. Every operation on the entries of a stash goes through one.
///
/// An entry put in a group is that group's alone; one put in none is public
/// within the session, and a group that replaces it becomes its owner.
/// Whatever is refused changes nothing.
pub struct Execution {
    stash: MemoryStash,
    group: Option<GroupId>,
    operations: Operations,
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("group", &self.group)
            .field("operations", &self.operations)
            .finish_non_exhaustive()
    }
}

impl Execution {
    pub(super) const fn new(
        stash: MemoryStash,
        group: Option<GroupId>,
        operations: Operations,
    ) -> Self {
        Self {
            stash,
            group,
            operations,
        }
    }

    /// Its group, if it has one.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupId> {
        self.group.as_ref()
    }

    /// Gives a key a value for `ttl_ms` milliseconds, or for the configured
    /// default. Replacing restarts the time and keeps `created`.
    ///
    /// The value is written to JSON before anything is locked; what is too
    /// large is not kept even for that long.
    ///
    /// # Errors
    ///
    /// In the order of the checks: `OperationLimit`, `InvalidValue`,
    /// `ValueTooLarge`, `TtlZero` or `TtlTooLong`, `CrossGroupAccess` (or
    /// `KeyUnavailable` where foreign entries are hidden),
    /// `KeyLimitExceeded`, `GroupQuotaExceeded`, `TotalSizeExceeded`.
    pub fn put<T: Serialize + ?Sized>(
        &self,
        key: &Key,
        value: &T,
        ttl_ms: Option<u64>,
    ) -> Result<Metadata, StashError> {
        self.write(key, value, ttl_ms, Condition::Any)
    }

    /// Gives a key a value if it has none; `None` if it has.
    ///
    /// # Errors
    ///
    /// Those of [`Execution::put`].
    pub fn put_if_absent<T: Serialize + ?Sized>(
        &self,
        key: &Key,
        value: &T,
        ttl_ms: Option<u64>,
    ) -> Result<Option<Metadata>, StashError> {
        match self.write(key, value, ttl_ms, Condition::Absent) {
            Err(StashError::VersionMismatch { .. }) => Ok(None),
            stored => stored.map(Some),
        }
    }

    /// Gives a key another value if its entry still has `version`.
    ///
    /// # Errors
    ///
    /// Those of [`Execution::put`], and after the owner is checked
    /// `VersionMismatch` with the version there is.
    pub fn compare_and_swap<T: Serialize + ?Sized>(
        &self,
        key: &Key,
        version: u64,
        value: &T,
        ttl_ms: Option<u64>,
    ) -> Result<Metadata, StashError> {
        self.write(key, value, ttl_ms, Condition::Version(version))
    }

    fn write<T: Serialize + ?Sized>(
        &self,
        key: &Key,
        value: &T,
        ttl_ms: Option<u64>,
        condition: Condition,
    ) -> Result<Metadata, StashError> {
        let started = self.start();
        let max = self.stash.inner.value_bytes_max.load(Ordering::Relaxed);
        let counted = self.operations.count(1);
        let stored = counted.and_then(|()| {
            let value = Value::within(value, max)?;
            self.decide(Put {
                key: key.clone(),
                value,
                ttl_ms,
                condition,
            })
        });
        self.tell_of_put(key, started, &stored);
        stored
    }

    /// Puts a value that is JSON already.
    ///
    /// # Errors
    ///
    /// Those of [`Execution::put`], and `VersionMismatch` if the condition
    /// does not hold.
    pub fn store(&self, put: Put) -> Result<Metadata, StashError> {
        let started = self.start();
        let key = started.is_measured().then(|| put.key.clone());
        let counted = self.operations.count(1);
        let stored = counted.and_then(|()| self.decide(put));
        if let Some(key) = key {
            self.tell_of_put(&key, started, &stored);
        }
        stored
    }

    fn decide(&self, put: Put) -> Result<Metadata, StashError> {
        let caller = self.group.as_ref();
        self.stash
            .change(self.now(), caller, |index, call, changes| {
                index.put(call, put, changes)
            })
    }

    fn tell_of_put(&self, key: &Key, started: Started, stored: &Result<Metadata, StashError>) {
        self.tell(started, || Told {
            verb: Verb::Put,
            key: Some(key),
            size: stored.as_ref().ok().map(|metadata| metadata.size),
            outcome: audit::outcome(stored, |_| true),
        });
    }

    /// The value of a key, shared with the stash. Takes no lock that a writer
    /// holds for longer than it takes to exchange a pointer.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, `CrossGroupAccess`.
    pub fn get(&self, key: &Key) -> Result<Option<Value>, StashError> {
        self.read(key, |stored, _| stored.value.clone(), Value::size)
    }

    /// The entry of a key: its value, what is known beside it, and how long
    /// it still lives.
    ///
    /// # Errors
    ///
    /// Those of [`Execution::get`].
    pub fn entry(&self, key: &Key) -> Result<Option<Entry>, StashError> {
        let entry = |stored: &Stored, now| Entry {
            value: stored.value.clone(),
            metadata: stored.metadata.clone(),
            ttl_left_ms: stored.metadata.ttl_left_ms(now),
        };
        self.read(key, entry, |entry| entry.metadata.size)
    }

    fn read<T>(
        &self,
        key: &Key,
        take: impl FnOnce(&Stored, Millis) -> T,
        size: impl FnOnce(&T) -> u64,
    ) -> Result<Option<T>, StashError> {
        let started = self.start();
        let counted = self.operations.count(1);
        let found = counted.and_then(|()| self.look_up(key, take));
        self.tell(started, || Told {
            verb: Verb::Get,
            key: Some(key),
            size: found.as_ref().ok().and_then(Option::as_ref).map(size),
            outcome: audit::outcome(&found, Option::is_some),
        });
        found
    }

    fn look_up<T>(
        &self,
        key: &Key,
        take: impl FnOnce(&Stored, Millis) -> T,
    ) -> Result<Option<T>, StashError> {
        let (caller, now) = (self.group.as_ref(), self.now());
        let seen = self.stash.inner.shards.read(key, |stored| {
            let live = stored.filter(|stored| !stored.metadata.is_expired(now))?;
            if live.metadata.is_open_to(caller) {
                return Some(Ok(take(live, now)));
            }
            Some(Err(live.metadata.clone()))
        });
        match seen {
            None => Ok(None),
            Some(Ok(taken)) => Ok(Some(taken)),
            Some(Err(foreign)) => {
                let config = self.stash.config();
                let call = Call {
                    config: &config,
                    caller,
                    now,
                };
                call.seen(Some(&foreign)).map(|_| None)
            }
        }
    }

    /// Deletes the entry of a key; whether there was a live one.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, `CrossGroupAccess`.
    pub fn delete(&self, key: &Key) -> Result<bool, StashError> {
        let started = self.start();
        let caller = self.group.as_ref();
        let deleted = self.operations.count(1).and_then(|()| {
            self.stash
                .change(self.now(), caller, |index, call, changes| {
                    index.delete(call, key, changes)
                })
        });
        self.tell(started, || Told {
            verb: Verb::Delete,
            key: Some(key),
            size: None,
            outcome: audit::outcome(&deleted, |deleted| *deleted),
        });
        deleted
    }

    /// Gives an entry another time to live from now on, the configured
    /// default if none is given. Value, version, owner and `updated` stay.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, `TtlZero` or `TtlTooLong`, `CrossGroupAccess`.
    pub fn touch(&self, key: &Key, ttl_ms: Option<u64>) -> Result<Option<Metadata>, StashError> {
        let started = self.start();
        let caller = self.group.as_ref();
        let touched = self.operations.count(1).and_then(|()| {
            self.stash
                .change(self.now(), caller, |index, call, changes| {
                    index.touch(call, key, ttl_ms, changes)
                })
        });
        self.tell(started, || Told {
            verb: Verb::Touch,
            key: Some(key),
            size: None,
            outcome: audit::outcome(&touched, Option::is_some),
        });
        touched
    }

    /// Adds to the whole number a key has; an absent one counts as 0. An
    /// entry that is there keeps its owner and its deadline.
    ///
    /// # Errors
    ///
    /// Those of [`Execution::put`], after the owner is checked `NotANumber`
    /// for anything but a whole number without exponent, and `Overflow` if it
    /// or the sum does not fit into an `i64`.
    pub fn increment(&self, key: &Key, by: i64, ttl_ms: Option<u64>) -> Result<Number, StashError> {
        let started = self.start();
        let request = Increment {
            key: key.clone(),
            by,
            ttl_ms,
        };
        let caller = self.group.as_ref();
        let number = self.operations.count(1).and_then(|()| {
            self.stash
                .change(self.now(), caller, |index, call, changes| {
                    index.increment(call, &request, &|key, _| self.held(key), changes)
                })
        });
        self.tell(started, || Told {
            verb: Verb::Increment,
            key: Some(key),
            size: number.as_ref().ok().map(|number| number.metadata.size),
            outcome: audit::outcome(&number, |_| true),
        });
        number
    }

    /// The keys this execution can see, sorted by their bytes.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, `InvalidKey` or `KeyTooLong` for a prefix that no key
    /// can have, `Invalid` for a limit out of range.
    pub fn keys(&self, query: &KeyQuery) -> Result<KeyPage, StashError> {
        let started = self.start();
        let caller = self.group.as_ref();
        let page = self.operations.count(1).and_then(|()| {
            self.stash
                .change(self.now(), caller, |index, call, _| index.keys(call, query))
        });
        self.tell(started, || Told {
            verb: Verb::Keys,
            key: None,
            size: None,
            outcome: audit::outcome(&page, |_| true),
        });
        page
    }

    /// Does several operations in one atomic step: all of them, each on what
    /// those before it left, or none. Each counts as one operation.
    ///
    /// # Errors
    ///
    /// The first refusal and its place; 1 to 256 operations are allowed.
    pub fn step(&self, operations: &[Operation]) -> Result<Vec<Answer>, StepError> {
        let started = self.start();
        let caller = self.group.as_ref();
        let counted = self.operations.count(operations.len());
        let counted = counted.map_err(|error| StepError { position: 0, error });
        let answers = counted.and_then(|()| {
            self.stash
                .change(self.now(), caller, |index, call, changes| {
                    index.step(call, operations, &|key, _| self.held(key), changes)
                })
        });
        let inner = &self.stash.inner;
        let ear = &inner.ear;
        ear.tell_of_step(
            &*inner.env,
            Asked::by(caller),
            started,
            operations,
            &answers,
        );
        answers
    }

    /// Deletes all live entries of this execution's group, or all public ones
    /// if it has none. O(n) over all entries.
    ///
    /// # Errors
    ///
    /// `OperationLimit`.
    pub fn clear(&self) -> Result<Removed, StashError> {
        let started = self.start();
        let counted = self.operations.count(1);
        let Err(error) = counted else {
            return Ok(self.stash.clear(self.group.as_ref()));
        };
        self.tell(started, || Told {
            verb: Verb::Clear,
            key: None,
            size: None,
            outcome: Outcome::Refused(error.code()),
        });
        Err(error)
    }

    /// The value that is held under a key.
    fn held(&self, key: &Key) -> Option<Value> {
        let shards = &self.stash.inner.shards;
        shards.read(key, |stored| stored.map(|stored| stored.value.clone()))
    }

    fn now(&self) -> Millis {
        self.stash.inner.env.now()
    }

    fn start(&self) -> Started {
        self.stash.inner.ear.start(&*self.stash.inner.env)
    }

    fn tell<'a>(&'a self, started: Started, told: impl FnOnce() -> Told<'a>) {
        let inner = &self.stash.inner;
        let group = self.group.as_ref();
        inner
            .ear
            .tell_of(&*inner.env, Asked::by(group), started, told);
    }
}

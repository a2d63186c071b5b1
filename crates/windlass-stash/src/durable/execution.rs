//! What an execution can do with a stash on a store.

use serde::Serialize;
use windlass_core::{Coded, GroupId};

use super::once::{Deed, Once};
use super::parts::Parts;
use super::plan::{Ask, Request, Told};
use super::stashes::{Stash, whole};
use crate::audit::{Outcome, Started, Told as Heard, Verb, outcome};
use crate::error::{StashError, StepError};
use crate::key::Key;
use crate::metadata::{Entry, Metadata};
use crate::operations::Operations;
use crate::request::{
    Answer, Condition, Increment, KeyPage, KeyQuery, Number, Operation, Put, Removed,
};
use crate::rules::Call;
use crate::value::Value;

/// One execution inside a session: a group, or none, and how many operations
/// it has made. Every operation on the entries of a stash goes through one.
///
/// Whatever is refused changes nothing, and what is answered is durable as the
/// store promises. A change costs one commit, shared with other changes of the
/// same stash that wait at the same time; a refusal costs one read. Dropping a
/// future before its first poll does nothing; afterwards the change may or may
/// not happen, and an operation id tells on retry.
#[derive(Debug)]
pub struct Execution {
    stash: Stash,
    group: Option<GroupId>,
    operations: Operations,
    once: Option<Once>,
}

impl Execution {
    pub(super) const fn new(stash: Stash, group: Option<GroupId>, operations: Operations) -> Self {
        Self {
            stash,
            group,
            operations,
            once: None,
        }
    }

    /// The same execution, whose next change is made under an operation id:
    /// asked for again, in this process or another, it gives the first answer
    /// and takes effect once. See the [module](super#retries).
    ///
    /// An id is for one change. A further one under it is another request, and
    /// answered with `OperationConflict`; reading is not concerned.
    #[must_use]
    pub fn once(mut self, once: Once) -> Self {
        self.once = Some(once);
        self
    }

    /// Its group, if it has one.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupId> {
        self.group.as_ref()
    }

    /// Gives a key a value for `ttl_ms` milliseconds, or for the configured
    /// default. Replacing restarts the time and keeps `created`.
    ///
    /// A value of more than 256 KiB is written ahead in commits of its own,
    /// one for each MiB, during which nobody waits for it.
    ///
    /// # Errors
    ///
    /// In the order of the checks: `OperationLimit`, `InvalidValue`,
    /// `ValueTooLarge`, `TtlZero` or `TtlTooLong`, `CrossGroupAccess` (or
    /// `KeyUnavailable` where foreign entries are hidden),
    /// `KeyLimitExceeded`, `GroupQuotaExceeded`, `TotalSizeExceeded`; then the
    /// store's failures, and `Busy` after too many lost races. Under an
    /// operation id, as every change, also `OperationConflict` and
    /// `TooManyOperations`.
    pub async fn put<T: Serialize + Sync + ?Sized>(
        &self,
        key: &Key,
        value: &T,
        ttl_ms: Option<u64>,
    ) -> Result<Metadata, StashError> {
        self.write(key, value, ttl_ms, Condition::Any).await
    }

    /// Gives a key a value if it has none; `None` if it has.
    ///
    /// # Errors
    ///
    /// Those of [`Execution::put`].
    pub async fn put_if_absent<T: Serialize + Sync + ?Sized>(
        &self,
        key: &Key,
        value: &T,
        ttl_ms: Option<u64>,
    ) -> Result<Option<Metadata>, StashError> {
        match self.write(key, value, ttl_ms, Condition::Absent).await {
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
    pub async fn compare_and_swap<T: Serialize + Sync + ?Sized>(
        &self,
        key: &Key,
        version: u64,
        value: &T,
        ttl_ms: Option<u64>,
    ) -> Result<Metadata, StashError> {
        self.write(key, value, ttl_ms, Condition::Version(version))
            .await
    }

    async fn write<T: Serialize + Sync + ?Sized>(
        &self,
        key: &Key,
        value: &T,
        ttl_ms: Option<u64>,
        condition: Condition,
    ) -> Result<Metadata, StashError> {
        let started = self.start();
        let max = self.stash.inner.engine.config().value_bytes_max;
        let counted = self.operations.count(1);
        let stored = match counted.and_then(|()| Value::within(value, max)) {
            Ok(value) => {
                let put = Put::new(key.clone(), value).condition(condition);
                self.decide_put(Put { ttl_ms, ..put }).await
            }
            Err(error) => Err(error),
        };
        self.tell_of_put(key, started, &stored);
        stored
    }

    /// Puts a value that is JSON already.
    ///
    /// # Errors
    ///
    /// Those of [`Execution::put`], and `VersionMismatch` if the condition
    /// does not hold.
    pub async fn store(&self, put: Put) -> Result<Metadata, StashError> {
        let started = self.start();
        let key = put.key.clone();
        let stored = match self.operations.count(1) {
            Ok(()) => self.decide_put(put).await,
            Err(error) => Err(error),
        };
        self.tell_of_put(&key, started, &stored);
        stored
    }

    async fn decide_put(&self, put: Put) -> Result<Metadata, StashError> {
        match self.decide_one(Operation::Put(put)).await? {
            Answer::Stored(metadata) => Ok(metadata),
            other => Err(foreign(&other)),
        }
    }

    fn tell_of_put(&self, key: &Key, started: Started, stored: &Result<Metadata, StashError>) {
        self.tell(started, || Heard {
            verb: Verb::Put,
            key: Some(key),
            size: stored.as_ref().ok().map(|metadata| metadata.size),
            outcome: outcome(stored, |_| true),
        });
    }

    /// The value of a key. One read where the stash is known; none where this
    /// process has the store for itself and the value is kept.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, `CrossGroupAccess`; `Corrupt` if rows of the stash
    /// are damaged or missing, and the store's failures.
    pub async fn get(&self, key: &Key) -> Result<Option<Value>, StashError> {
        let entry = self.entry(key).await?;
        Ok(entry.map(|entry| entry.value))
    }

    /// The entry of a key: its value, what is known beside it, and how long
    /// it still lives.
    ///
    /// # Errors
    ///
    /// Those of [`Execution::get`].
    pub async fn entry(&self, key: &Key) -> Result<Option<Entry>, StashError> {
        let started = self.start();
        let found = match self.operations.count(1) {
            Ok(()) => self.read(key).await,
            Err(error) => Err(error),
        };
        self.tell(started, || Heard {
            verb: Verb::Get,
            key: Some(key),
            size: found
                .as_ref()
                .ok()
                .and_then(Option::as_ref)
                .map(|entry| entry.metadata.size),
            outcome: outcome(&found, Option::is_some),
        });
        found
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>, StashError> {
        let cell = self.stash.inner.cell(&self.stash.keys)?;
        cell.drive().get(self.group.as_ref(), key).await
    }

    /// Deletes the entry of a key; whether there was a live one.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, `CrossGroupAccess`, and the store's failures.
    pub async fn delete(&self, key: &Key) -> Result<bool, StashError> {
        let deleted = self.one(Operation::Delete(key.clone()), |answer| match answer {
            Answer::Deleted(deleted) => Ok(deleted),
            other => Err(foreign(&other)),
        });
        deleted.await
    }

    /// Gives an entry another time to live from now on, the configured
    /// default if none is given. Value, version, owner and `updated` stay.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, `TtlZero` or `TtlTooLong`, `CrossGroupAccess`, and
    /// the store's failures.
    pub async fn touch(
        &self,
        key: &Key,
        ttl_ms: Option<u64>,
    ) -> Result<Option<Metadata>, StashError> {
        let operation = Operation::Touch {
            key: key.clone(),
            ttl_ms,
        };
        let touched = self.one(operation, |answer| match answer {
            Answer::Touched(touched) => Ok(touched),
            other => Err(foreign(&other)),
        });
        touched.await
    }

    /// Adds to the whole number a key has; an absent one counts as 0. An
    /// entry that is there keeps its owner and its deadline.
    ///
    /// When the outcome is unknown, safe to repeat under an operation id only:
    /// see the [module](super#retries).
    ///
    /// # Errors
    ///
    /// Those of [`Execution::put`], after the owner is checked `NotANumber`
    /// for anything but a whole number without exponent, and `Overflow` if it
    /// or the sum does not fit into an `i64`.
    pub async fn increment(
        &self,
        key: &Key,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<Number, StashError> {
        let request = Increment {
            key: key.clone(),
            by,
            ttl_ms,
        };
        let number = self.one(Operation::Increment(request), |answer| match answer {
            Answer::Number(number) => Ok(number),
            other => Err(foreign(&other)),
        });
        number.await
    }

    /// One counted operation, told of like a step of one.
    async fn one<T>(
        &self,
        operation: Operation,
        take: impl FnOnce(Answer) -> Result<T, StashError>,
    ) -> Result<T, StashError> {
        let started = self.start();
        let decided = match self.operations.count(1) {
            Ok(()) => self.decide_one(operation.clone()).await,
            Err(error) => Err(error),
        };
        self.tell(started, || match &decided {
            Ok(answer) => Heard::of(&operation, answer),
            Err(error) => Heard {
                verb: Verb::of(&operation),
                key: Some(operation.key()),
                size: None,
                outcome: Outcome::Refused(error.code()),
            },
        });
        take(decided?)
    }

    /// The keys this execution can see, sorted by their bytes. One read where
    /// the stash is known.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, `InvalidKey` or `KeyTooLong` for a prefix that no key
    /// can have, `Invalid` for a limit out of range; `Corrupt` and the store's
    /// failures.
    pub async fn keys(&self, query: &KeyQuery) -> Result<KeyPage, StashError> {
        let started = self.start();
        let page = match self.operations.count(1) {
            Ok(()) => self.list(query).await,
            Err(error) => Err(error),
        };
        self.tell(started, || Heard {
            verb: Verb::Keys,
            key: None,
            size: None,
            outcome: outcome(&page, |_| true),
        });
        page
    }

    async fn list(&self, query: &KeyQuery) -> Result<KeyPage, StashError> {
        query.check()?;
        let inner = &self.stash.inner;
        let cell = inner.cell(&self.stash.keys)?;
        let page = cell.drive().look(|state, now| {
            let config = inner.engine.config();
            let call = Call {
                config: &config,
                caller: self.group.as_ref(),
                now,
            };
            state.index.keys(&call, query)
        });
        page.await?
    }

    /// Does several operations in one atomic step: all of them, each on what
    /// those before it left, or none. Each counts as one operation.
    ///
    /// # Errors
    ///
    /// The first refusal and its place; 1 to 256 operations are allowed. Under
    /// an operation id also `AnswerLost`, if the step was done before, and a
    /// long value that it read has been replaced since.
    pub async fn step(&self, operations: &[Operation]) -> Result<Vec<Answer>, StepError> {
        let started = self.start();
        let answers = match self.operations.count(operations.len()) {
            Ok(()) => self.decide(operations.to_vec()).await,
            Err(error) => Err(whole(error)),
        };
        let Stash { inner, .. } = &self.stash;
        let (ear, env) = (&inner.ear, &*inner.engine.env);
        let asked = self.stash.asked(self.group.as_ref());
        ear.tell_of_step(env, asked, started, operations, &answers);
        answers
    }

    /// Deletes all live entries of this execution's group, or all public ones
    /// if it has none: 256 of them in one atomic step, more in several.
    ///
    /// # Errors
    ///
    /// `OperationLimit`, and the store's failures.
    pub async fn clear(&self) -> Result<Removed, StashError> {
        let started = self.start();
        let group = self.group.as_ref();
        let Err(error) = self.operations.count(1) else {
            return match self.once.clone() {
                Some(once) => self.stash.clear_once(group, once).await,
                None => self.stash.clear(group).await,
            };
        };
        self.tell(started, || Heard {
            verb: Verb::Clear,
            key: None,
            size: None,
            outcome: Outcome::Refused(error.code()),
        });
        Err(error)
    }

    async fn decide_one(&self, operation: Operation) -> Result<Answer, StashError> {
        let answers = self.decide(vec![operation]).await;
        let mut answers = answers.map_err(|refusal| refusal.error)?;
        Ok(answers.pop().expect("a step answers each operation"))
    }

    async fn decide(&self, operations: Vec<Operation>) -> Result<Vec<Answer>, StepError> {
        let Stash { inner, keys } = &self.stash;
        let parts = Parts::of(&operations, &inner.engine).map_err(whole)?;
        let ahead = parts.as_ref().is_some_and(Parts::go_ahead);
        let group = self.group.as_ref();
        let deed = |once: &Once| Deed::step(once.clone(), group, &operations);
        let request = Request {
            deed: self.once.as_ref().map(deed),
            parts,
            ..Request::plain(group.cloned(), Ask::Step(operations))
        };
        let told = if ahead {
            inner.ask_ahead(keys, request).await
        } else {
            inner.ask(keys, request).await
        };
        match told? {
            Told::Answers(answers) | Told::Repeated(answers) => Ok(answers),
            Told::Removed(_) => unreachable!("a step is answered by what its operations did"),
        }
    }

    fn start(&self) -> Started {
        let inner = &self.stash.inner;
        inner.ear.start(&*inner.engine.env)
    }

    fn tell<'a>(&'a self, started: Started, told: impl FnOnce() -> Heard<'a>) {
        let inner = &self.stash.inner;
        let (env, asked) = (&*inner.engine.env, self.stash.asked(self.group.as_ref()));
        inner.ear.tell_of(env, asked, started, told);
    }
}

/// An answer to another kind of operation, which no rule gives.
fn foreign(answer: &Answer) -> StashError {
    unreachable!("an operation is answered by what it does, not by {answer:?}")
}

//! What is told of each operation to whoever watches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use windlass_core::{Coded, Env, GroupId, SessionId, TenantId};

use crate::error::StepError;
use crate::key::Key;
use crate::request::{Answer, Operation};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// A put, on whatever condition.
    Put,
    /// A read of one entry.
    Get,
    /// A deletion of one entry.
    Delete,
    /// A new deadline for one entry.
    Touch,
    /// An addition to a number.
    Increment,
    /// A listing.
    Keys,
    /// An atomic step that was refused as a whole; otherwise each of its
    /// operations is told by itself.
    Step,
    /// A removal of a group's entries.
    Clear,
    /// A removal of expired entries.
    Reap,
}

impl Verb {
    /// What an operation of a step asks for.
    #[cfg(feature = "durable")]
    pub(crate) const fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Get(_) => Self::Get,
            Operation::Put(_) => Self::Put,
            Operation::Delete(_) => Self::Delete,
            Operation::Touch { .. } => Self::Touch,
            Operation::Increment(_) => Self::Increment,
        }
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// There was no such entry.
    Absent,
    /// It was refused, with this error code.
    Refused(&'static str),
}

/// One operation. Never shows a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What was asked for.
    pub verb: Verb,
    /// Whose stash it is, where that is stored.
    pub tenant: Option<&'a TenantId>,
    /// The session that it belongs to, where it is stored.
    pub session: Option<&'a SessionId>,
    /// Of which key, where it is one key.
    pub key: Option<&'a Key>,
    /// The caller's group.
    pub group: Option<&'a GroupId>,
    /// Bytes of the value that was put or read, or of all that were removed.
    pub size: Option<u64>,
    /// How long it took, of the whole step for an operation of one.
    pub duration: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// In which stash an operation was asked for, and by which group.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) of: Option<(&'a TenantId, &'a SessionId)>,
    pub(crate) group: Option<&'a GroupId>,
}

impl<'a> Asked<'a> {
    /// In one that is not stored.
    pub(crate) const fn by(group: Option<&'a GroupId>) -> Self {
        Self { of: None, group }
    }
}

/// Hears of every operation after it has ended.
///
/// It is called on the caller's thread, when no lock is held: a slow one
/// delays that caller and nobody else. If it panics, the operation's answer
/// and the stash are what they would have been without it.
pub trait Audit: Send + Sync {
    /// Hears of one operation.
    fn record(&self, event: &Event<'_>);
}

/// Whoever listens, if anybody does. Without a listener nothing is measured.
#[derive(Clone, Default)]
pub(crate) struct Ear(Option<Arc<dyn Audit>>);

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Ear(listens)"
        } else {
            "Ear(deaf)"
        })
    }
}

impl Ear {
    pub(crate) fn new(audit: Arc<dyn Audit>) -> Self {
        Self(Some(audit))
    }

    /// Begins to measure, if anybody listens.
    pub(crate) fn start(&self, env: &dyn Env) -> Started {
        Started(self.0.as_ref().map(|_| env.monotonic()))
    }

    /// How long it took since `started`; `None` if nobody wants to know.
    pub(crate) fn elapsed(&self, env: &dyn Env, started: Started) -> Option<Duration> {
        Some(env.monotonic().saturating_sub(started.0?))
    }

    /// Tells of an operation that began at `started`, if anybody listens.
    pub(crate) fn tell_of<'a>(
        &self,
        env: &dyn Env,
        asked: Asked<'_>,
        started: Started,
        told: impl FnOnce() -> Told<'a>,
    ) {
        let Some(duration) = self.elapsed(env, started) else {
            return;
        };
        self.tell(&told().event(asked, duration));
    }

    /// Tells of each operation of a step, or of its refusal. The time is read
    /// once: what the listener takes is not the step's.
    pub(crate) fn tell_of_step(
        &self,
        env: &dyn Env,
        asked: Asked<'_>,
        started: Started,
        operations: &[Operation],
        answers: &Result<Vec<Answer>, StepError>,
    ) {
        let Some(duration) = self.elapsed(env, started) else {
            return;
        };
        let told = match answers {
            Ok(answers) => {
                let each = operations.iter().zip(answers);
                each.map(|(operation, answer)| Told::of(operation, answer))
                    .collect()
            }
            Err(error) => vec![Told {
                verb: Verb::Step,
                key: operations.get(error.position).map(Operation::key),
                size: None,
                outcome: Outcome::Refused(error.code()),
            }],
        };
        for told in &told {
            self.tell(&told.event(asked, duration));
        }
    }

    /// Tells of an operation.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        let Some(audit) = &self.0 else { return };
        // A listener's panic is its own affair.
        let _ = catch_unwind(AssertUnwindSafe(|| audit.record(event)));
    }
}

/// When an operation began, if anybody listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started(Option<Duration>);

impl Started {
    /// Whether anybody listens.
    pub(crate) const fn is_measured(self) -> bool {
        self.0.is_some()
    }
}

/// How an operation ended whose answer says whether there was an entry.
pub(crate) fn outcome<T, E: Coded>(answer: &Result<T, E>, found: impl Fn(&T) -> bool) -> Outcome {
    match answer {
        Ok(answer) if found(answer) => Outcome::Done,
        Ok(_) => Outcome::Absent,
        Err(error) => Outcome::Refused(error.code()),
    }
}

/// What is told of an operation, but for who made it and how long it took.
pub(crate) struct Told<'a> {
    pub(crate) verb: Verb,
    pub(crate) key: Option<&'a Key>,
    pub(crate) size: Option<u64>,
    pub(crate) outcome: Outcome,
}

impl<'a> Told<'a> {
    fn event<'e>(&self, asked: Asked<'e>, duration: Duration) -> Event<'e>
    where
        'a: 'e,
    {
        Event {
            verb: self.verb,
            tenant: asked.of.map(|(tenant, _)| tenant),
            session: asked.of.map(|(_, session)| session),
            key: self.key,
            group: asked.group,
            size: self.size,
            duration,
            outcome: self.outcome,
        }
    }

    /// One operation of a step that was granted.
    pub(crate) fn of(operation: &'a Operation, answer: &Answer) -> Self {
        let found = |found: bool| {
            if found {
                Outcome::Done
            } else {
                Outcome::Absent
            }
        };
        let (verb, size, outcome) = match answer {
            Answer::Entry(entry) => {
                let size = entry.as_ref().map(|entry| entry.metadata.size);
                (Verb::Get, size, found(entry.is_some()))
            }
            Answer::Stored(metadata) => (Verb::Put, Some(metadata.size), Outcome::Done),
            Answer::Deleted(deleted) => (Verb::Delete, None, found(*deleted)),
            Answer::Touched(touched) => (Verb::Touch, None, found(touched.is_some())),
            Answer::Number(number) => (Verb::Increment, Some(number.metadata.size), Outcome::Done),
        };
        Self {
            verb,
            key: Some(operation.key()),
            size,
            outcome,
        }
    }
}

//! Who wrote the last revisions of an aggregate's head.
//!
//! A commit whose outcome is unknown is resolved by reading the head again:
//! if the revision it would have written was written by the same writer, it
//! was applied. So each head carries, for its last 32 revisions, the nonce of
//! the commit that wrote each: the pair of a random writer id, drawn once
//! for each aggregate a process touches, and the revision. Revisions in a row
//! by one writer are stored as one run, which keeps the hot record small: an
//! aggregate used by one process has a single run that never changes.
//!
//! A commit that may still arrive keeps its nonce for itself: a [`Writer`]
//! goes on under another id, or the next commit of the same revision would
//! take the late one for its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Env, RandomError};
use serde::{Deserialize, Serialize};

/// Revisions of which the writer is remembered.
pub const REMEMBERED: u64 = 32;

/// The random name of one writer of heads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriterId(Arc<str>);

impl WriterId {
    /// Draws 64 random bits.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the environment has no random bytes.
    pub fn draw(env: &dyn Env) -> Result<Self, RandomError> {
        Ok(Self::of_bits(random_bits(env)?))
    }

    fn of_bits(bits: u64) -> Self {
        Self(format!("{bits:016x}").into())
    }
}

fn random_bits(env: &dyn Env) -> Result<u64, RandomError> {
    let mut bytes = [0; 8];
    env.random(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

/// Who writes one aggregate in one process, one commit after the other.
#[derive(Debug)]
pub struct Writer(Mutex<(u64, WriterId)>);

impl Writer {
    /// A writer with an id of its own.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the environment has no random bytes.
    pub fn draw(env: &dyn Env) -> Result<Self, RandomError> {
        let bits = random_bits(env)?;
        Ok(Self(Mutex::new((bits, WriterId::of_bits(bits)))))
    }

    /// The id to commit under.
    #[must_use]
    pub fn id(&self) -> WriterId {
        self.lock().1.clone()
    }

    /// Leaves the id to a commit whose outcome is unknown, and gives it: the
    /// next commit has another. Needs no randomness: ids that are drawn are
    /// too far apart to be counted up to.
    pub fn leave_id(&self) -> WriterId {
        let mut current = self.lock();
        let bits = current.0.wrapping_add(1);
        let next = (bits, WriterId::of_bits(bits));
        std::mem::replace(&mut *current, next).1
    }

    fn lock(&self) -> MutexGuard<'_, (u64, WriterId)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writers of the last [`REMEMBERED`] revisions, as a head carries them.
///
/// Runs of revisions, oldest first: who wrote, from which revision on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Writers(Vec<(WriterId, u64)>);

impl Writers {
    /// Notes that `writer` writes `revision`, the next one, and forgets what
    /// is older than is remembered.
    pub fn note(&mut self, writer: &WriterId, revision: u64) {
        if self.0.last().is_none_or(|(last, _)| last != writer) {
            self.0.push((writer.clone(), revision));
        }
        let oldest = revision.saturating_sub(REMEMBERED - 1);
        let outdated = self
            .0
            .iter()
            .skip(1)
            .take_while(|(_, from)| *from <= oldest)
            .count();
        self.0.drain(..outdated);
    }

    /// Who wrote `revision`, if that is remembered by a head now at
    /// `current`.
    #[must_use]
    pub fn of(&self, revision: u64, current: u64) -> Written<'_> {
        if revision > current {
            return Written::NotYet;
        }
        if current - revision >= REMEMBERED {
            return Written::Forgotten;
        }
        match self.0.iter().rev().find(|(_, from)| *from <= revision) {
            Some((writer, _)) => Written::By(writer),
            None => Written::Forgotten,
        }
    }
}

/// What is known about the writer of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written<'a> {
    /// The revision has not been written.
    NotYet,
    /// This writer wrote it.
    By(&'a WriterId),
    /// It was written too long ago to tell.
    Forgotten,
}

#[cfg(test)]
mod tests {
    use crate::{ManualEnv, Millis};

    use super::*;

    #[test]
    fn a_single_writer_stays_a_single_run() {
        let writer = WriterId::draw(&ManualEnv::new(1, Millis::new(0))).expect("random");
        let mut writers = Writers::default();
        for revision in 1..=1_000 {
            writers.note(&writer, revision);
        }
        assert_eq!(writers.0, vec![(writer.clone(), 1)]);
        assert_eq!(writers.of(1_000, 1_000), Written::By(&writer));
        assert_eq!(writers.of(1_001, 1_000), Written::NotYet);
        assert_eq!(writers.of(968, 1_000), Written::Forgotten);
    }

    #[test]
    fn an_id_that_was_left_is_never_used_again() {
        let writer = Writer::draw(&ManualEnv::new(1, Millis::new(0))).expect("random");
        let first = writer.id();
        assert_eq!(writer.id(), first);
        assert_eq!(writer.leave_id(), first);
        let second = writer.leave_id();
        let third = writer.id();
        assert!(first != second && second != third && third != first);
        assert_eq!(third.0.len(), first.0.len());
    }

    #[test]
    fn alternating_writers_are_told_apart_for_the_last_32_revisions() {
        let env = ManualEnv::new(2, Millis::new(0));
        let pair = [
            WriterId::draw(&env).expect("random"),
            WriterId::draw(&env).expect("random"),
        ];
        let mut writers = Writers::default();
        for revision in 1..=100_u64 {
            let index = usize::try_from(revision % 2).expect("small");
            writers.note(&pair[index], revision);
        }
        assert!(writers.0.len() <= 33, "{}", writers.0.len());
        for revision in 69..=100_u64 {
            let index = usize::try_from(revision % 2).expect("small");
            assert_eq!(
                writers.of(revision, 100),
                Written::By(&pair[index]),
                "revision {revision}"
            );
        }
        assert_eq!(writers.of(68, 100), Written::Forgotten);
    }
}

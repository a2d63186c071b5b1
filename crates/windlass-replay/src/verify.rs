//! Compares what a replay left with an uninterrupted one in memory.

use std::cmp::Ordering;
use std::fmt;

use windlass::checkpoint::PartName;
use windlass::core::{SessionId, StreamId};
use windlass::store::Entry;
use windlass::{Options, StoreLocation, Windlass};

use crate::entries::Entries;
use crate::failure::ReplayError;
use crate::replay::{Replay, ReplayOptions};

/// What was compared and is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries that an uninterrupted replay leaves too; none are compared
    /// where workers did the steps.
    pub entries: u64,
    /// Revisions of states that hold what the recording says.
    pub states: u64,
    /// Rows of outputs that are what the recording says, under digests that
    /// prove it.
    pub rows: u64,
}

impl Replay<'_> {
    /// Plays the same into a new store in memory, and compares what the two
    /// stores hold of the caller's tenant, key by key and value by value.
    /// Then compares the states of all runs with the recording: their
    /// revisions, the way to the leaf, their parts; and the rows of their
    /// outputs.
    ///
    /// Whatever else the tenant has in this store is a difference too.
    ///
    /// # Errors
    ///
    /// [`ReplayError::Differs`] with the first difference in key order;
    /// otherwise as [`Replay::run`].
    pub async fn verify(&self) -> Result<Verified, ReplayError> {
        if self.options.crew.is_some() {
            return self.verify_crew().await;
        }
        let memory = Windlass::open(&StoreLocation::Memory, Options::default()).await;
        let memory = memory.map_err(ReplayError::Engine)?;
        let alone = Replay {
            windlass: &memory,
            ..*self
        };
        alone.run(&()).await?;
        let tenant = &self.caller.tenant;
        let ours = Entries::of(self.windlass, tenant).await?;
        let entries = compare(ours, Entries::of(&memory, tenant).await?).await?;
        let states = self.verify_states().await?;
        // The other store has the same, and reading leaves cursors there.
        let rows = alone.verify_outputs().await?;
        Ok(Verified {
            entries,
            states,
            rows,
        })
    }
}

impl Replay<'_> {
    /// What workers did has real times in it, so no two replays leave the
    /// same entries. Compares what the runs came to, that their uses are those
    /// of their steps, that no work is left, and the states.
    async fn verify_crew(&self) -> Result<Verified, ReplayError> {
        let memory = Windlass::open(&StoreLocation::Memory, Options::default()).await;
        let memory = memory.map_err(ReplayError::Engine)?;
        let options = ReplayOptions {
            crew: None,
            ..self.options.clone()
        };
        let alone = Replay {
            windlass: &memory,
            options: &options,
            ..*self
        };
        let wanted = alone.run(&()).await?;
        let grants = &self.options.restrictions.grants(self.recording);
        for (place, wanted) in wanted.by_run.iter().enumerate() {
            let stage = self.stage(grants, place)?;
            let found = stage.summary().await?;
            let same = (found.allowed, &found.refused) == (wanted.allowed, &wanted.refused);
            if !same || !stage.standing().await?.is_once() {
                return Err(ReplayError::Differs(Difference::Uses(found.session)));
            }
            if !stage.is_over().await? {
                return Err(ReplayError::Differs(Difference::Work(found.session)));
            }
        }
        let states = self.verify_states().await?;
        let rows = self.verify_chunks(&alone).await?;
        Ok(Verified {
            entries: 0,
            states,
            rows,
        })
    }
}

impl Replay<'_> {
    /// Compares the chunks of all outputs, in which there are no times, with
    /// those of a replay that was not done by workers, and reads those back.
    async fn verify_chunks(&self, alone: &Replay<'_>) -> Result<u64, ReplayError> {
        let tenant = &self.caller.tenant;
        let ours = Entries::of(self.windlass, tenant).await?.chunks();
        let wanted = Entries::of(alone.windlass, tenant).await?.chunks();
        compare(ours, wanted).await?;
        self.verify_ends().await?;
        alone.verify_outputs().await
    }
}

async fn compare(mut ours: Entries<'_>, mut wanted: Entries<'_>) -> Result<u64, ReplayError> {
    let mut count = 0;
    loop {
        let (ours, wanted) = (ours.next().await?, wanted.next().await?);
        if ours.is_none() && wanted.is_none() {
            return Ok(count);
        }
        if let Some(difference) = difference(ours.as_ref(), wanted.as_ref()) {
            return Err(ReplayError::Differs(difference));
        }
        count += 1;
    }
}

fn difference(ours: Option<&Entry>, wanted: Option<&Entry>) -> Option<Difference> {
    let text = |entry: &Entry| String::from_utf8_lossy(&entry.key).into_owned();
    match (ours, wanted) {
        (None, None) => None,
        (Some(ours), None) => Some(Difference::Unexpected(text(ours))),
        (None, Some(wanted)) => Some(Difference::Missing(text(wanted))),
        (Some(ours), Some(wanted)) => match ours.key.cmp(&wanted.key) {
            Ordering::Less => Some(Difference::Unexpected(text(ours))),
            Ordering::Greater => Some(Difference::Missing(text(wanted))),
            Ordering::Equal => (ours.value != wanted.value).then(|| Difference::Value(text(ours))),
        },
    }
}

/// How a store differs from what an uninterrupted replay leaves, naming the
/// key, or a state from what was recorded, naming the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The key should be there and is not.
    Missing(String),
    /// The key is there and should not be.
    Unexpected(String),
    /// The key is there with another value.
    Value(String),
    /// The session's uses are not those that its run makes, each once.
    Uses(SessionId),
    /// The session's queue still has work, or has work that is dead.
    Work(SessionId),
    /// The state has had more commits, or fewer.
    Revision {
        /// Whose state.
        session: SessionId,
        /// The revision that follows from the recording.
        expected: u64,
        /// The state's own; 0 if there is none.
        actual: u64,
    },
    /// What leads to the leaf of this revision is not what was said.
    Path(SessionId, u64),
    /// The stream does not hold the output of its run, or is not closed.
    Output(StreamId),
    /// A part of this revision is not what was recorded.
    Part(SessionId, u64, PartName),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "`{key}` is missing"),
            Self::Unexpected(key) => write!(f, "`{key}` should not be there"),
            Self::Value(key) => write!(f, "`{key}` has another value"),
            Self::Uses(session) => write!(f, "the uses of `{session}` are not those of its run"),
            Self::Work(session) => write!(f, "there is work left in the queue of `{session}`"),
            Self::Revision {
                session,
                expected,
                actual,
            } => write!(
                f,
                "the state of `{session}` is at revision {actual}, not {expected}"
            ),
            Self::Path(session, revision) => write!(
                f,
                "revision {revision} of `{session}` does not lead to what was said"
            ),
            Self::Output(stream) => {
                write!(f, "stream `{stream}` is not the output of its run")
            }
            Self::Part(session, revision, part) => write!(
                f,
                "part `{part}` of revision {revision} of `{session}` is another one"
            ),
        }
    }
}

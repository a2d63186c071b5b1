//! Every way in which playing recorded runs can fail.

use windlass::OpenError;
use windlass::TurnError;
use windlass::checkpoint::CheckpointError;
use windlass::core::{Coded, ErrorKind, SessionId};
use windlass::queue::QueueError;
use windlass::session::SessionError;
use windlass::stash::StashError;
use windlass::stream::StreamError;

use crate::model::Run;
use crate::verify::Difference;

/// Why a replay did not come to its end. What it had done stays done; played
/// again into the same store it goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// No engine could be put over the store.
    #[error("cannot set up the replay")]
    Engine(#[source] OpenError),
    /// An operation on a run's session failed.
    #[error("cannot {verb} the session of run `{run}`")]
    Session {
        /// Which operation.
        verb: &'static str,
        /// The run's id.
        run: String,
        /// What the engine says.
        source: SessionError,
    },
    /// A tool's output could not be put into the stash of a run's session.
    #[error("cannot stash an output of run `{run}`")]
    Stash {
        /// The run's id.
        run: String,
        /// What the engine says.
        source: StashError,
    },
    /// The state of a run could not be committed or read.
    #[error("cannot keep the state of run `{run}`")]
    State {
        /// The run's id.
        run: String,
        /// What the engine says.
        source: CheckpointError,
    },
    /// The output of a run could not be written or read.
    #[error("cannot keep the output of run `{run}`")]
    Stream {
        /// The run's id.
        run: String,
        /// What the engine says.
        source: StreamError,
    },
    /// The turn of a step could not be made.
    #[error("cannot make a turn of run `{run}`")]
    Turn {
        /// The run's id.
        run: String,
        /// What the engine says.
        source: TurnError,
    },
    /// The queue of steps failed.
    #[error("cannot queue the steps")]
    Queue(#[source] QueueError),
    /// There is work in the tenant's queues that is no step of the recording.
    #[error("the queue of session `{session}` holds other work than the replay's")]
    Foreign {
        /// Whose queue.
        session: SessionId,
    },
    /// The store has the run already, from a replay under other restrictions
    /// or for another agent.
    #[error("run `{run}` is in this store already, from a replay with other options")]
    Otherwise {
        /// The run's id.
        run: String,
    },
    /// The observer asked for the end.
    #[error("the replay was stopped")]
    Stopped,
    /// What is stored could not be read back.
    #[error("cannot read back what is stored")]
    Export(#[source] SessionError),
    /// The store holds something else than an uninterrupted replay leaves.
    #[error("the store differs from an uninterrupted replay: {0}")]
    Differs(Difference),
}

impl ReplayError {
    pub(crate) fn state(run: &Run) -> impl FnOnce(CheckpointError) -> Self {
        let run = run.id();
        |source| Self::State { run, source }
    }
}

impl Coded for ReplayError {
    fn code(&self) -> &'static str {
        match self {
            Self::Engine(source) => source.code(),
            Self::Session { source, .. } | Self::Export(source) => source.code(),
            Self::Stash { source, .. } => source.code(),
            Self::State { source, .. } => source.code(),
            Self::Stream { source, .. } => source.code(),
            Self::Turn { source, .. } => source.code(),
            Self::Queue(source) => source.code(),
            Self::Foreign { .. } => "foreign_work",
            Self::Otherwise { .. } => "replayed_otherwise",
            Self::Stopped => "stopped",
            Self::Differs(_) => "replay_differs",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(source) => source.kind(),
            Self::Session { source, .. } | Self::Export(source) => source.kind(),
            Self::Stash { source, .. } => source.kind(),
            Self::State { source, .. } => source.kind(),
            Self::Stream { source, .. } => source.kind(),
            Self::Turn { source, .. } => source.kind(),
            Self::Queue(source) => source.kind(),
            Self::Foreign { .. } | Self::Otherwise { .. } => ErrorKind::Conflict,
            Self::Stopped => ErrorKind::Unavailable,
            Self::Differs(_) => ErrorKind::Corrupt,
        }
    }
}
